"""What a package's metadata says of it: its facts, dependencies, topics and README. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageMetadata

from slipstream.demo.corpus.sources import PYTHON, canonical_name
from slipstream.demo.corpus.text import clean, excerpt, slug

README_SIZE_MAX = 4_000
SUMMARY_SIZE_MAX = 500
TOPIC_SIZE_MAX = 80

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_OPTIONAL = re.compile(r"\bextra\b")


@dataclass(frozen=True, slots=True)
class Topic:
    """A keyword or classifier; `path` is its readable id, `description` the whole classifier."""

    path: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """Another package that a package may need, and under which condition it says so."""

    package: str
    requirement: str
    optional: bool
    """Only needed by an extra."""


def package_facts(metadata: PackageMetadata) -> dict[str, str]:
    """Return the facts of a package that are stated: description, license, required Python."""
    licence = first(metadata, "License-Expression") or first(metadata, "License").partition("\n")[0]
    facts = {
        "description": excerpt(first(metadata, "Summary"), SUMMARY_SIZE_MAX),
        "license": excerpt(licence, TOPIC_SIZE_MAX),
        "requires_python": excerpt(first(metadata, "Requires-Python"), TOPIC_SIZE_MAX),
    }
    return {name: value for name, value in facts.items() if value}


def readme(metadata: PackageMetadata) -> str:
    """Return the beginning of a package's long description."""
    return excerpt(first(metadata, "Description"), README_SIZE_MAX)


def dependencies(metadata: PackageMetadata) -> Mapping[str, Dependency]:
    """Return the dependencies by canonical name, whatever their markers; the first requirement of each counts."""
    found: dict[str, Dependency] = {}
    for line in metadata.get_all("Requires-Dist") or []:
        match = _REQUIREMENT.match(str(line))
        if match is not None:
            name = canonical_name(match[1])
            optional = bool(_OPTIONAL.search(str(line).partition(";")[2]))
            found.setdefault(name, Dependency(name, excerpt(str(line), 200), optional))
    python = first(metadata, "Requires-Python")
    if python:
        found.setdefault(PYTHON, Dependency(PYTHON, excerpt(f"python{python}", 200), optional=False))
    return dict(sorted(found.items()))


def topics(metadata: PackageMetadata) -> list[Topic]:
    """Return the keywords and classifiers of a package by id; `Private ::` says nothing about it."""
    found: dict[str, Topic] = {}
    for keyword in _keywords(first(metadata, "Keywords")):
        found.setdefault(slug(keyword), Topic(slug(keyword), keyword, ""))
    for line in metadata.get_all("Classifier") or []:
        parts = [clean(part) for part in str(line).split("::")]
        path = "/".join(slug(part) for part in parts)
        if all(slug(part) for part in parts) and parts[0] != "Private" and len(path) <= 4 * TOPIC_SIZE_MAX:
            found.setdefault(path, Topic(path, parts[-1], " :: ".join(parts)))
    return [found[path] for path in sorted(found)]


def first(metadata: PackageMetadata, name: str) -> str:
    """Return a field's first value, empty when it is not stated."""
    value = next(iter(metadata.get_all(name) or []), "")
    return "" if str(value) == "UNKNOWN" else clean(str(value))


def _keywords(text: str) -> list[str]:
    """Split keywords at commas, or at blanks where an older package has no comma."""
    parts = re.split(r"[,;\n]", text) if re.search(r"[,;\n]", text) else text.split()
    return [word for word in (" ".join(part.split()) for part in parts) if slug(word) and len(word) <= TOPIC_SIZE_MAX]
