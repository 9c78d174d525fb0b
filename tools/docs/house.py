"""The picture of the house in ARCHITECTURE.md, drawn from the import contracts of `pyproject.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Contract: TypeAlias = "Mapping[str, Any]"
Floors: TypeAlias = "Sequence[Sequence[str]]"
"""From the roof down; each floor's rooms stand side by side, and know nothing of each other."""

ROOT = "slipstream."
ADAPTERS = "slipstream.adapters"
TESTKIT = "slipstream.testkit"


def contracts_of(pyproject: str) -> list[Contract]:
    """Return the import contracts of the project file."""
    found: list[Contract] = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    return found


def floors_of(contracts: Sequence[Contract]) -> Floors:
    """Return the rooms of each floor, as the contract of the whole package lists them."""
    layers = next(c["layers"] for c in contracts if c["type"] == "layers" and "slipstream.domain" in c["layers"])
    return [[room.strip(" ()").removeprefix(ROOT) for room in layer.replace(":", "|").split("|")] for layer in layers]


def kinds_of_adapters(contracts: Sequence[Contract]) -> list[str]:
    """Return the kinds that are independent of each other."""
    for contract in contracts:
        modules = contract.get("modules", ())
        if contract["type"] == "independence" and all(m.startswith(ADAPTERS) and m.count(".") == 2 for m in modules):
            return [module.rpartition(".")[2] for module in modules]
    raise ValueError("no contract says which kinds of adapters are independent of each other")


def strangers_to(room: str, contracts: Sequence[Contract]) -> set[str]:
    """Return the rooms that may not reach a room, over whatever is between them."""
    return {
        source.removeprefix(ROOT)
        for contract in contracts
        if contract["type"] == "forbidden" and room in contract["forbidden_modules"]
        if not contract.get("allow_indirect_imports")
        for source in contract["source_modules"]
    }


def who_names_adapters(contracts: Sequence[Contract]) -> list[str]:
    """Return the modules that are let through to adapters by name."""
    return sorted(
        {
            importer.removeprefix(ROOT).removesuffix(".**")
            for contract in contracts
            if contract["type"] == "forbidden" and ADAPTERS in contract["forbidden_modules"]
            for importer, _, imported in (line.partition(" -> ") for line in contract.get("ignore_imports", ()))
            if imported == f"{ADAPTERS}.**"
        }
    )


def picture(pyproject: str) -> str:
    """Return the picture as a mermaid block."""
    contracts = contracts_of(pyproject)
    floors = floors_of(contracts)
    lines = ["```mermaid", "flowchart TB"]
    for number, rooms in enumerate(floors):
        if rooms == ["adapters"]:
            boxes = " ~~~ ".join(f'adapters_{kind}["{kind}/"]' for kind in kinds_of_adapters(contracts))
            lines.append(f'    subgraph floor{number}["adapters/"]\n        direction LR\n        {boxes}\n    end')
        else:
            boxes = " ~~~ ".join(f'{room}["{room}/"]' for room in rooms)
            lines.append(f'    subgraph floor{number}[" "]\n        direction LR\n        {boxes}\n    end')
    lines += [f"    {arrow}" for arrow in _arrows(floors, contracts)]
    return "\n".join([*lines, "```"])


def _arrows(floors: Floors, contracts: Sequence[Contract]) -> list[str]:
    """Return an arrow from each floor to the next one that it may import, and those that go past floors."""
    strangers = strangers_to(ADAPTERS, contracts)
    number_of = {room: number for number, rooms in enumerate(floors) for room in rooms}
    arrows = []
    for number, rooms in enumerate(floors[:-1]):
        below = number + 1
        if floors[below] == ["adapters"] and strangers.issuperset(rooms):
            below += 1
        arrows.append(f"floor{number} --> floor{below}")
    arrows += [
        f'{module.partition(".")[0]} -. "{module}" .-> floor{number_of["adapters"]}'
        for module in who_names_adapters(contracts)
    ]
    top = min(number_of[room] for room in set(number_of) - unknown_to_testkit(contracts))
    arrows.append(f'testkit["testkit/"] --> floor{top}')
    return arrows


def unknown_to_testkit(contracts: Sequence[Contract]) -> set[str]:
    """Return what the test kit may not import."""
    return {
        module.removeprefix(ROOT)
        for contract in contracts
        if contract["type"] == "forbidden" and contract["source_modules"] == [TESTKIT]
        for module in contract["forbidden_modules"]
    }
