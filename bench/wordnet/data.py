"""
WordNet as a graph: Debian's package, fetched at run time, written as the JSON lines that `slipstream import` reads.

A synset is an entity, typed by its part of speech. A semantic pointer (one between synsets, not between words) is a
relationship, of one type for each symbol. WordNet writes most of them down twice, once from either end; of such a
pair only the one listed below is taken. WordNet 3.0 whole: 117,659 entities and 156,540 relationships.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

PACKAGE = "wordnet-base"
_DOWNLOAD = ("apt-get", "--option", "APT::Sandbox::User=root", "--quiet", "download", PACKAGE)
_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_TYPES = {"n": "Noun", "v": "Verb", "a": "Adjective", "s": "AdjectiveSatellite", "r": "Adverb"}
_RELATIONSHIPS = {
    "@": "HYPERNYM",
    "@i": "INSTANCE_HYPERNYM",
    "#m": "MEMBER_HOLONYM",
    "#s": "SUBSTANCE_HOLONYM",
    "#p": "PART_HOLONYM",
    ";c": "DOMAIN_TOPIC",
    ";r": "DOMAIN_REGION",
    ";u": "DOMAIN_USAGE",
    "*": "ENTAILMENT",
    ">": "CAUSE",
    "=": "ATTRIBUTE",
    "^": "ALSO_SEE",
    "$": "VERB_GROUP",
    "&": "SIMILAR_TO",
}
_BETWEEN_SYNSETS = "0000"


@dataclass(frozen=True, slots=True)
class Synset:
    """One line of a data file; a pointer is a relationship's type and the id of the synset it leads to."""

    id: str
    type: str
    words: tuple[str, ...]
    gloss: str
    lexicographer_file: int
    pointers: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """All its words, as one name."""
        return ", ".join(self.words)


@dataclass(frozen=True, slots=True)
class Dump:
    """A graph on disk, and how much of it there is."""

    path: Path
    entities: int
    relationships: int


def fetch(folder: Path) -> Path:
    """Download and unpack the package in a folder, unless it is there already; return where its data files are."""
    unpacked = folder / "unpacked"
    data = unpacked / "usr/share/wordnet"
    if not data.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(_DOWNLOAD, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        package = next(folder.glob(f"{PACKAGE}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)  # noqa: S603, S607
    return data


def write_dump(data: Path, path: Path, count: int | None) -> Dump:
    """Write the first synsets (None: all) and the relationships among them, entities first."""
    ids = {synset.id for synset in islice(synsets(data), count)}
    relationships = 0
    with path.open("w", encoding="utf-8") as file:
        for synset in islice(synsets(data), count):
            file.write(json.dumps(_node(synset), ensure_ascii=False) + "\n")
        for synset in islice(synsets(data), count):
            for kind, target in synset.pointers:
                if target in ids:
                    file.write(json.dumps(_relationship(relationships, synset.id, kind, target)) + "\n")
                    relationships += 1
    return Dump(path, len(ids), relationships)


def synsets(data: Path) -> Iterator[Synset]:
    """Yield the synsets, in the order of the files."""
    for name in _FILES:
        with (data / name).open(encoding="utf-8") as file:
            yield from (_synset(line) for line in file if not line.startswith(" "))  # the licence is indented


def _synset(line: str) -> Synset:
    """Parse `offset file type count (word sense)* count (symbol offset type words)* … | gloss`, see wndb(5WN)."""
    head, _, gloss = line.partition(" | ")
    offset, file, kind, count, *rest = head.split()
    words_end = 2 * int(count, 16)
    words = [word.replace("_", " ") for word in rest[:words_end:2]]
    fields = rest[words_end + 1 : words_end + 1 + 4 * int(rest[words_end])]
    pointers = zip(fields[::4], fields[1::4], fields[2::4], fields[3::4], strict=True)
    return Synset(
        id=_id(kind, offset),
        type=_TYPES[kind],
        words=tuple(words),
        gloss=gloss.strip(),
        lexicographer_file=int(file),
        pointers=tuple(
            (_RELATIONSHIPS[symbol], _id(target_kind, target))
            for symbol, target, target_kind, ends in pointers
            if ends == _BETWEEN_SYNSETS and symbol in _RELATIONSHIPS
        ),
    )


def _id(kind: str, offset: str) -> str:
    # A satellite stands in the file of the adjectives, and pointers say "a" of both.
    return ("a" if kind == "s" else kind) + offset


def _node(synset: Synset) -> dict[str, object]:
    properties = {
        "id": synset.id,
        "name": synset.name,
        "description": synset.gloss,  # so the default view embeds "name: gloss"
        "lexicographer_file": synset.lexicographer_file,
    }
    return {"type": "node", "id": synset.id, "labels": [synset.type], "properties": properties}


def _relationship(number: int, source: str, kind: str, target: str) -> dict[str, object]:
    return {"type": "relationship", "id": str(number), "label": kind, "start": {"id": source}, "end": {"id": target}}
