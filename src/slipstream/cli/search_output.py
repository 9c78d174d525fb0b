"""What `search` prints: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.cli.output import out, print_json, print_table
from slipstream.cli.searching import Found
from slipstream.search.telling import arms_told, hit_told, search_told

_TEXT_SHOWN = 160
_SHOWN = ("entity_id", "entity_type", "score", "name", "text", "model_id", "position")
_SHOWN_OF_NEIGHBOURS = ("entity_id", "entity_type", "name", "relationship_type", "direction", "hops")


def print_found(found: Found) -> None:
    """Print hits as a table, and behind it what else was asked for."""
    rows = [
        (f"{hit['score']:.3f}", hit["entity_type"], hit["entity_id"], hit["name"], _short(hit["text"]))
        for hit in found.hits
    ]
    print_table(f"at position {found.frontier}", ["score", "type", "id", "name", "text"], rows)
    for hit in found.hits:
        for neighbour in hit["neighbours"]:
            arrow = "->" if neighbour["direction"] == "out" else "<-"
            _line(
                f"{hit['entity_id']} {arrow} {neighbour['relationship_type']} {neighbour['entity_id']} "
                f"({neighbour['name']})"
            )
    if found.explanation is not None:
        _print_explained(found, found.explanation)
    if found.why_not is not None:
        _print_why_not(found.why_not)


def print_found_as_json(found: Found, *, whole: bool) -> None:
    """Print the hits as a list; with `whole` one object that has all that was asked for."""
    hits = [_as_dict(hit, found) for hit in found.hits]
    if not whole:
        print_json(hits)
        return
    print_json(
        {
            "hits": hits,
            "frontier": found.frontier,
            "frontiers": found.frontiers,
            "degraded": list(found.degraded),
            "unasked": list(found.unasked),
            "explanation": found.explanation,
            "why_not": found.why_not,
        }
    )


def _print_explained(found: Found, explanation: Mapping[str, Any]) -> None:
    for told in search_told(explanation, found.frontiers):
        _line(told)
    for number, hit in enumerate(found.hits, 1):
        if hit["explanation"] is None:
            continue
        _line(f"{number}. {hit['entity_id']}: {hit_told(hit['explanation'])}")
        if hit["explanation"]["snippet"]:
            _line(f"   {_short(hit['explanation']['snippet'])}")


def _print_why_not(why_not: Mapping[str, Any]) -> None:
    _line(f"{why_not['entity_id']}: {why_not['reason']}: {why_not['line']}")
    for told in arms_told(why_not["arms"]):
        _line(f"   {told}")


def _line(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_SHOWN else flat[: _TEXT_SHOWN - 1] + "…"


def _as_dict(hit: Mapping[str, Any], found: Found) -> dict[str, Any]:
    neighbours = [{name: neighbour[name] for name in _SHOWN_OF_NEIGHBOURS} for neighbour in hit["neighbours"]]
    told = {name: hit[name] for name in _SHOWN}
    told |= {"neighbours": neighbours, "degraded": list(found.degraded), "unasked": list(found.unasked)}
    return told if hit["explanation"] is None else {**told, "explanation": hit["explanation"]}
