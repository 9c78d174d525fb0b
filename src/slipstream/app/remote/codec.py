"""
Arguments, results and progress as JSON, by the type hints of what is called.

Only what a hint asks for is decoded, and the text never names a class.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import PydanticSerializationError

from slipstream.audit.findings import AuditReport
from slipstream.audit.reloading import kept_report, report_of
from slipstream.domain.audits import Finding
from slipstream.domain.errors import InvalidInputError, UnsupportedError
from slipstream.ports.audits import AuditLog

_AUDITS = "audits"


@dataclass(frozen=True)
class Signature:
    """What a function takes and returns, and which of its parameters are told of progress."""

    function: Callable[..., Any]
    name: str
    without: tuple[str, ...] = ()
    """Parameters that are never sent: the owner uses its own defaults."""

    @cached_property
    def _hints(self) -> dict[str, Any]:
        hints = typing.get_type_hints(self.function, include_extras=True)
        for name in [name for name, hint in hints.items() if typing.get_origin(hint) is typing.Unpack]:
            hints |= typing.get_type_hints(typing.get_args(hints.pop(name))[0], include_extras=True)
        return hints

    @cached_property
    def _plain(self) -> inspect.Signature:
        found = inspect.signature(self.function)
        parameters = [
            known
            for each in found.parameters.values()
            if each.name not in {"self", "slipstream", *self.without}
            for known in self._spelled(each)
        ]
        return found.replace(parameters=parameters)

    def _spelled(self, parameter: inspect.Parameter) -> Sequence[inspect.Parameter]:
        """Return a parameter as it is; each name that it stands for, where it unpacks a `TypedDict`."""
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            return (parameter,)
        named = typing.get_args(typing.get_type_hints(self.function, include_extras=True)[parameter.name])
        names = typing.get_type_hints(named[0]) if named else ()
        return [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]

    @cached_property
    def _data(self) -> Mapping[str, TypeAdapter[Any]]:
        return {
            name: TypeAdapter(_wired(self._hints[name]))
            for name in self._plain.parameters
            if _callable_in(self._hints[name]) is None
        }

    @cached_property
    def callbacks(self) -> Mapping[str, Sequence[TypeAdapter[Any]]]:
        """The parameters that are callbacks (callables that return nothing), with the types of their arguments."""
        found = {name: _callable_in(self._hints[name]) for name in self._plain.parameters}
        return {
            name: [TypeAdapter(_wired(hint)) for hint in typing.get_args(kind)[0]]
            for name, kind in found.items()
            if kind is not None and typing.get_args(kind)[1] in (None, type(None))
        }

    @cached_property
    def _result(self) -> TypeAdapter[Any]:
        return TypeAdapter(_wired(self._hints["return"]))

    # ------------------------------------------------------------------ arguments

    def arguments_as_json(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[str, dict[str, Callable[..., None]]]:
        """
        Return arguments as JSON, and the callbacks among them.

        Raises `TypeError` as the call itself would, `UnsupportedError` for a callback that has to return something.
        """
        bound = self._plain.bind(*args, **kwargs)
        given: dict[str, Any] = {}
        callbacks: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if name in self._data:
                given[name] = self._dumped(self._data[name], value, name)
            elif value is not None and name not in self.callbacks:
                raise UnsupportedError(
                    f"{self.name}: {name} is a function, which the process that runs the engine can not call: leave "
                    "it out, or do this in a program that runs the engine itself"
                )
            elif value is not None:
                callbacks[name] = value
        return json.dumps({"arguments": given, "callbacks": sorted(callbacks)}), callbacks

    def arguments(self, text: str, audits: AuditLog) -> tuple[dict[str, Any], list[str]]:
        """Return the arguments, and the names of the callbacks asked for; raises `InvalidInputError` for bad ones."""
        asked = json.loads(text)
        given = self._known(asked["arguments"], audits)
        return given, [name for name in asked["callbacks"] if name in self.callbacks]

    def decoded(self, arguments: Mapping[str, Any], audits: AuditLog) -> dict[str, Any]:
        """Return arguments that came as plain data; raises `InvalidInputError` for unknown, bad and missing ones."""
        found = self._known(arguments, audits)
        for name, parameter in self._plain.parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in found and name in self._data:
                raise InvalidInputError(f"is missing ({self.name})", field=name)
        return found

    def _known(self, arguments: Mapping[str, Any], audits: AuditLog) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if name in self._data}
        unknown = arguments.keys() - given.keys()
        if unknown:
            raise InvalidInputError(
                f"is not known to the process that runs the engine ({self.name}): it may be of another version",
                field=min(unknown),
            )
        return {name: self._loaded(self._data[name], value, name, audits) for name, value in given.items()}

    # ------------------------------------------------------------------ progress and results

    def told(self, callback: str, args: Sequence[object]) -> list[Any]:
        """Return the arguments of a callback as plain data."""
        adapters = self.callbacks[callback]
        return [self._dumped(adapter, value, callback) for adapter, value in zip(adapters, args, strict=True)]

    def heard(self, callback: str, told: Sequence[Any], audits: AuditLog) -> list[Any]:
        """Return the decoded arguments of a callback."""
        adapters = self.callbacks[callback]
        return [self._loaded(adapter, value, callback, audits) for adapter, value in zip(adapters, told, strict=True)]

    def result_as_data(self, result: object) -> Any:
        """Return a result as plain data."""
        return self._dumped(self._result, result, "result")

    def result(self, data: Any, audits: AuditLog) -> Any:
        """Return a decoded result; kept audits are loaded from `audits`."""
        return self._loaded(self._result, data, "result", audits)

    def _dumped(self, adapter: TypeAdapter[Any], value: object, what: str) -> Any:
        try:
            return adapter.dump_python(value, mode="json", warnings="error")
        except PydanticSerializationError as error:
            raise InvalidInputError(f"can not be sent ({self.name}): {error}", field=what) from error

    def _loaded(self, adapter: TypeAdapter[Any], data: Any, what: str, audits: AuditLog) -> Any:
        try:
            return adapter.validate_python(data, context={_AUDITS: audits})
        except ValidationError as error:
            raise InvalidInputError(
                f"can not be understood ({self.name}): the other process may be of another version: {error}",
                field=what,
            ) from error


def _callable_in(hint: Any) -> Any | None:
    """Return the callable type of a hint, which may be optional; None when there is none."""
    return next((kind for kind in _members(hint) if typing.get_origin(kind) is Callable), None)


def _members(hint: Any) -> Sequence[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


# ---------------------------------------------------------------------- audit reports


def _report_as_data(report: AuditReport) -> dict[str, Any]:
    """Return the id of a kept audit, or the whole of one that is not kept."""
    if report.id is not None:
        return {"kept": report.id}
    return {"summary": report.summary(), "findings": [list(finding) for finding in report.findings()]}


def _report_from(data: Any, info: ValidationInfo) -> AuditReport:
    if isinstance(data, AuditReport):
        return data
    if "kept" not in data:
        return report_of(data["summary"], [Finding(*finding) for finding in data["findings"]])
    audits: AuditLog = (info.context or {})[_AUDITS]
    return kept_report(audits, int(data["kept"]))


_Report = Annotated[AuditReport, PlainSerializer(_report_as_data), PlainValidator(_report_from)]


def _wired(hint: Any) -> Any:
    """Return a hint by which kept audit reports are sent as their id."""
    if hint is AuditReport:
        return _Report
    if AuditReport in _members(hint):
        return typing.Union[tuple(_Report if kind is AuditReport else kind for kind in _members(hint))]  # noqa: UP007
    return hint
