"""
Plain values of options, taken as they are.

Typer builds a validator of pydantic for each option of a command, which takes a tenth of a second: longer than a
server takes for a search. Texts, small numbers and paths without conditions need none. Whatever else is given, and
whatever is wrong, is left to Typer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_DIGITS_MAX = 9
_UNSET = object()


def take_plainly(parameters: Iterable[Any]) -> None:
    """Have the parameters of a command take plain values as they are."""
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is not None and getattr(parameter, "_runtime_param", _UNSET) is None:
            parameter._runtime_param = _Plain(descriptor, parameter.get_runtime_param)  # noqa: SLF001


class _Plain:
    """Stands before the validator of one parameter, which is made when it is needed."""

    def __init__(self, descriptor: Any, make: Callable[[], Any]) -> None:
        self._descriptor, self._make = descriptor, make

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """Return the value of a parameter; raises what Typer raises for a wrong one."""
        annotation, info = self._descriptor.annotation, self._descriptor.parameter_info
        if info.parser is None and not self._descriptor.is_choice and not self._descriptor.is_ranged:
            if value is None or (annotation in (int, bool) and type(value) is annotation):
                return value
            if isinstance(value, str) and _is_unicode(value):
                if annotation is str:
                    return value
                if annotation is int and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
                    return int(value)
                if annotation is Path and _is_free(info):
                    return Path(value)
        param._runtime_param = None  # noqa: SLF001
        try:
            return self._make().coerce(value, param=param, ctx=ctx)
        finally:
            param._runtime_param = self  # noqa: SLF001


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_free(info: Any) -> bool:
    """Return whether a path may be anything."""
    is_checked = info.exists or info.writable or info.readable or info.resolve_path or info.path_type
    return not is_checked and info.file_okay and info.dir_okay
