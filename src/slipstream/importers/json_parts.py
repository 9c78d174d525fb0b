"""Reads a JSON object piece by piece: the members of it, and of some of them each item, as they come."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from slipstream.domain.errors import ConfigError
from slipstream.events.formats.reader import INTEGER_MAX, INTEGER_MIN

VALUE_SIZE_MAX = 16 * 1024 * 1024
"""The longest item, or other member, that is read, in characters."""
_SPACE = " \t\n\r"
_BEHIND = frozenset(",]}:" + _SPACE)
OnOdd = Callable[[str], None]


class Part(NamedTuple):
    """An item of a member that is an array, or (with `place` -1) a whole member."""

    member: str
    place: int
    value: Any
    text: str


def parts(chunks: Iterable[bytes], name: str, arrays: Collection[str], on_odd: OnOdd) -> Iterator[Part]:
    """
    Yield the members of the object that a file is, and instead of the named arrays each of their items.

    Little more than one item is in memory. Numbers that are no 64 bits, or not finite, are their text, and `on_odd`
    hears of each. Raises `ConfigError` for what is no JSON object, or is too large.
    """
    return _Parts(chunks, name, on_odd).read(arrays)


class _Parts:
    def __init__(self, chunks: Iterable[bytes], name: str, on_odd: OnOdd) -> None:
        self._chunks, self._name, self._on_odd = iter(chunks), name, on_odd
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._at, self._before = "", 0, 0
        self._has_ended = False
        self._decoder = json.JSONDecoder(
            parse_int=self._integer, parse_float=self._float, parse_constant=self._constant
        )

    def read(self, arrays: Collection[str]) -> Iterator[Part]:
        self._expect("{")
        if self._next_is("}"):
            return
        while True:
            member, _ = self._value()
            if not isinstance(member, str):
                raise self._broken("a name of a member")
            self._expect(":")
            if member in arrays and self._peek() == "[":
                self._expect("[")
                yield from self._items(member)
            else:
                value, text = self._value()
                yield Part(member, -1, value, text)
            if self._next_is("}"):
                break
            self._expect(",")
        if self._peek():
            raise self._broken("the end of the file")

    def _items(self, member: str) -> Iterator[Part]:
        if self._next_is("]"):
            yield Part(member, -1, [], "[]")  # that it is there is something, too
            return
        index = 0
        while True:
            value, text = self._value()
            yield Part(member, index, value, text)
            index += 1
            if self._next_is("]"):
                return
            self._expect(",")

    # ------------------------------------------------------------------ the text

    def _more(self) -> bool:
        """Have more of the file in the buffer, at least twice of what is not read yet; False at its end."""
        if self._has_ended:
            return False
        self._text, self._before, self._at = self._text[self._at :], self._before + self._at, 0
        pieces, wanted = [self._text], 2 * len(self._text) + 1
        size = len(self._text)
        while size < wanted and not self._has_ended:
            chunk = next(self._chunks, None)
            self._has_ended = chunk is None
            try:
                pieces.append(self._decode(chunk or b"", self._has_ended))
            except UnicodeDecodeError as error:
                raise ConfigError(f"{self._name} is not UTF-8 ({error.reason}): convert it") from error
            size += len(pieces[-1])
        self._text = "".join(pieces)
        return True

    def _peek(self) -> str:
        """Return the next character that is no space; nothing at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _next_is(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _expect(self, character: str) -> None:
        if not self._next_is(character):
            raise self._broken(repr(character))

    def _value(self) -> tuple[Any, str]:
        """Return the next value and its text."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number may go on behind the end of the buffer: 4, 4. and 4.5e begin 4.5e1.
                if self._has_ended or self._text[end : end + 1] in _BEHIND:
                    text = self._text[self._at : end]
                    self._at = end
                    return value, text
            except ValueError:
                if self._has_ended:
                    raise self._broken("a value") from None
            except RecursionError:
                raise self._broken("a value that is not nested so deep") from None
            if len(self._text) - self._at > VALUE_SIZE_MAX:
                raise self._broken(f"a value of at most {VALUE_SIZE_MAX:,} characters")
            self._more()

    def _broken(self, wanted: str) -> ConfigError:
        found = self._text[self._at : self._at + 20]
        shown = f"there is {found!r}" if found else "the file ends"
        return ConfigError(
            f"{self._name} is no JSON that can be read: near character {self._before + self._at:,}, where {wanted} "
            f"should be, {shown}; it is damaged, or was cut short: make it anew"
        )

    # ------------------------------------------------------------------ numbers

    def _integer(self, text: str) -> int | str:
        return found if len(text) < 21 and INTEGER_MIN <= (found := int(text)) <= INTEGER_MAX else self._odd(text)

    def _float(self, text: str) -> float | str:
        return found if math.isfinite(found := float(text)) else self._odd(text)

    def _constant(self, text: str) -> str:
        return self._odd(text)

    def _odd(self, text: str) -> str:
        self._on_odd(text)
        return text
