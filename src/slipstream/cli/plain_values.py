"""
Plain values of options, taken as they are.

Typer builds a validator of pydantic for each option of a command, which takes a tenth of a second: longer than a
server takes for a search. Texts, lists of them, small numbers and paths without conditions need none. Whatever else
is given, and whatever is wrong, is left to Typer.
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
        found = _taken(self._descriptor, value)
        if found is not _UNSET:
            return found
        param._runtime_param = None  # noqa: SLF001
        try:
            return self._make().coerce(value, param=param, ctx=ctx)
        finally:
            param._runtime_param = self  # noqa: SLF001


def _taken(descriptor: Any, value: Any) -> Any:
    """Return a plain value as the command gets it; `_UNSET` where Typer has to decide."""
    annotation, info = descriptor.annotation, descriptor.parameter_info
    if info.parser is not None or descriptor.is_choice or descriptor.is_ranged:
        return _UNSET
    if value is None or (annotation in (int, bool) and type(value) is annotation):
        return value
    if annotation == list[str] and isinstance(value, tuple | list) and all(map(_is_unicode, value)):
        return list(value)
    if annotation is Path and isinstance(value, Path | str) and _is_unicode(str(value)) and _is_free(info):
        return Path(value)
    return _text_taken(annotation, value)


def _text_taken(annotation: Any, value: Any) -> Any:
    if annotation is str and _is_unicode(value):
        return value
    if annotation is int and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value) if len(value) <= _DIGITS_MAX else _UNSET
    return _UNSET


def _is_unicode(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_free(info: Any) -> bool:
    """Return whether a path may be anything."""
    is_checked = info.exists or info.writable or info.readable or info.resolve_path or info.path_type
    return not is_checked and info.file_okay and info.dir_okay
