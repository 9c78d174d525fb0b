"""What a search says of itself and of its hits, in words for people; from plain data, as it comes over a wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LACKS = {
    "graph": "the hits are not joined with the graph",
    "vector": "nothing was found by meaning, for no model answered",
    "keyword": "nothing was found by words, for they could not be searched",
}
_KINDS = {"id": "it is its id", "key": "it is a key of it", "name": "it is its name", "alias": "it is an alias of it"}
_NARROWING = "narrowing"
"""What is narrowed by time, confidence and source, which says itself by what."""

Data = Mapping[str, Any]


def lack_told(tag: str) -> str:
    """Return what one entry of `degraded` means."""
    if tag in _LACKS:
        return _LACKS[tag]
    model = tag.removeprefix("vector:")
    return f"nothing was found by meaning of what {model} embeds, for it did not answer" if model != tag else tag


def hit_told(explanation: Data) -> str:
    """Return why a hit is one, in a line: what the text is to it, what each arm says, and the words that it has."""
    return "; ".join(_parts(explanation))


def arms_told(arms: Sequence[Data]) -> Iterator[str]:
    """Yield what each arm says of a record: its rank, the arm's own score, and what that adds."""
    for arm in arms:
        name = f"{arm['arm']} ({arm['model_id']})" if arm["model_id"] else arm["arm"]
        adds = f", adds {arm['share']:.3f}" if arm["share"] else ""
        yield f"{name}: rank {arm['rank']}, {arm['score']:.3f}{adds}"


def search_told(explanation: Data, frontiers: Mapping[str, int]) -> Iterator[str]:
    """Yield what was asked of the arms, a line each."""
    arms = ", ".join(f"{name} {count}" for name, count in explanation["arms"].items()) or "none"
    fused = f", put together by {explanation['fusion']}" if explanation["fusion"] else ""
    yield f"mode {explanation['mode']}: hits of {arms}{fused}"
    if frontiers:
        yield "up to position " + ", ".join(f"{position} by {arm}" for arm, position in frontiers.items())
    if explanation["words"]:
        yield f"words: {', '.join(explanation['words'])}"
    if explanation["corrected"]:
        yield f"also searched for: {explanation['corrected']}"
    if explanation["filters"]:
        yield "only: " + "; ".join(
            told if name == _NARROWING else f"{name} {told}" for name, told in explanation["filters"].items()
        )


def _parts(explanation: Data) -> Iterator[str]:
    if explanation["name_kind"]:
        kind = str(explanation["name_kind"])
        yield _KINDS.get(kind, kind)
    yield from arms_told(explanation["arms"])
    if explanation["matched"]:
        yield f"words: {', '.join(explanation['matched'])}"
