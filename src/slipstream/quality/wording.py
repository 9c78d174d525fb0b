"""How a name or a text is put in other words, by a random source: misspelled, in the plural, shuffled, in a frame."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

MISSPELLED_LETTERS_MIN = 7
"""Shorter names become other names too easily."""
SHUFFLED_WORDS_MIN = 6
"""Shorter texts say too little once words are missing."""
LEFT_OUT = 0.4
"""The share of its words that a shuffled text lacks."""
FRAMES = (
    "what is {}?",
    "what does {} mean?",
    "tell me about {}",
    "define {}",
    "explain {} to me",
    "I am looking for {}",
    "where can I read about {}?",
    "information on {}",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"\S+")
_STRIPPED = "()[]{}.,;:!?\"'`"


def misspelled(name: str, rng: random.Random) -> str | None:
    """
    Return a name with one or two letters wrong: changed, missing, doubled by another one, or swapped with the next.

    None for one with fewer than `MISSPELLED_LETTERS_MIN` letters, or with signs in it.
    """
    if sum(letter.isalpha() for letter in name) < MISSPELLED_LETTERS_MIN or not _is_plain(name):
        return None
    letters = list(name.lower())
    for _ in range(rng.choice((1, 2))):
        _spoil(letters, rng)
    return "".join(letters)


def _spoil(letters: list[str], rng: random.Random) -> None:
    places = [place for place, letter in enumerate(letters) if letter.isalpha()]
    place, kind = rng.choice(places), rng.randrange(4)
    if kind == 0:
        letters[place] = rng.choice(_LETTERS.replace(letters[place], ""))
    elif kind == 1:
        del letters[place]
    elif kind == 2:
        letters.insert(place, rng.choice(_LETTERS))
    elif place + 1 < len(letters) and letters[place + 1].isalpha():
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    else:
        del letters[place]


def plural(name: str) -> str | None:
    """Return a name with its last word in the English plural; None where the rules of spelling do not say."""
    head, _, last = name.rpartition(" ")
    if len(last) < 3 or not last.isascii() or not last.isalpha() or last[-1] in "sS" or last.isupper():
        return None
    return f"{head} {_plural(last)}" if head else _plural(last)


def _plural(word: str) -> str:
    lower = word.lower()
    if lower.endswith(("x", "z", "ch", "sh")):
        return f"{word}es"
    if lower[-1] == "y" and lower[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"


def shuffled(text: str, rng: random.Random) -> str | None:
    """Return a text without two fifths of its words, the rest in any order; None for a short one."""
    words = [word for found in _WORD.findall(text) if (word := found.strip(_STRIPPED))]
    if len(words) < SHUFFLED_WORDS_MIN:
        return None
    return " ".join(rng.sample(words, len(words) - round(LEFT_OUT * len(words))))


def framed(name: str, rng: random.Random, frames: Sequence[str] = FRAMES) -> str:
    """Return a name within one of the frames, as people ask."""
    return rng.choice(frames).format(name)


def with_type(name: str, entity_type: str, rng: random.Random) -> str:
    """Return a name with the words of its type before or behind it."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", entity_type).lower()
    return rng.choice((f"{name} {words}", f"{words} {name}"))


def _is_plain(name: str) -> bool:
    return all(each.isalpha() or each in " -'" for each in name)
