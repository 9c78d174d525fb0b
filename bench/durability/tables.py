"""The tables of docs/durability.md, out of the outcomes of faults placed in a whole PKG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.faults.preload import KILLS

_INTO = {"KILL_BEFORE": "before", "KILL_TORN": "half of it", "KILL_AFTER": "after"}
_NAMES = {"NotYetError": "not yet"}
"""What is no error of the product's: the worker had waited for a moment."""
Outcome = Mapping[str, Any]


def show(outcomes: Iterable[Outcome]) -> None:
    """Print both tables, and the sums."""
    found = [each for each in outcomes if "broken" not in each]
    kills = [each for each in found if each["what"] == "kill" and each["is_killed"]]
    at_random = [each for each in found if each["what"] == "random" and each["is_killed"]]
    failing = [each for each in found if each["what"] == "fail" and each["count"]]
    calls = sum(each["count"] for each in failing)
    print(f"\nplaced kills: {len(kills)}, at random: {len(at_random)}", end="; ")
    print(f"runs with failing calls: {len(failing)} ({calls} calls)")
    _show_kills(kills, at_random)
    _show_failing(failing)


def _show_kills(kills: list[Outcome], at_random: list[Outcome]) -> None:
    counts = Counter((each["index"], call_of(each), each["kind"]) for each in kills)
    print("\n| index | call | " + " | ".join(_INTO[kind.name] for kind in KILLS) + " |\n|---|---|--:|--:|--:|")
    for index, call in sorted({(index, call) for index, call, _ in counts}):
        print(f"| {index} | `{call}` | " + " | ".join(str(counts[index, call, kind.name]) for kind in KILLS) + " |")
    for index, count in sorted(Counter(each["index"] for each in at_random).items()):
        print(f"| {index} | anywhere, at random | | {count} | |")
    print("\n| workload | sqlite | chroma |\n|---|--:|--:|")
    by_workload = Counter((each["workload"], each["index"]) for each in [*kills, *at_random])
    for workload in dict.fromkeys(workload for workload, _ in by_workload):
        print(f"| {workload} | {by_workload[workload, 'sqlite']} | {by_workload[workload, 'chroma']} |")


def _show_failing(failing: list[Outcome]) -> None:
    print("\n| index | what fails | runs | calls | steps that raised | errors | opened anew | hung |")
    print("|---|---|--:|--:|--:|---|--:|--:|")
    for index, kind in sorted({(each["index"], each["kind"]) for each in failing}):
        runs = [each for each in failing if (each["index"], each["kind"]) == (index, kind)]
        errors = Counter(_NAMES.get(error, error) for each in runs for error in each["errors"])
        named = ", ".join(f"{count} {error}" for error, count in errors.most_common())
        calls, raised = sum(each["count"] for each in runs), sum(len(each["errors"]) for each in runs)
        ended = f"{sum(each['reopened'] for each in runs)} | {sum(each['is_hung'] for each in runs)}"
        print(f"| {index} | {kind} | {len(runs)} | {calls} | {raised} | {named} | {ended} |")


def call_of(outcome: Outcome) -> str:
    """Return what the fault came to, by file; those of a backup, and of the copy that proves it, count as one."""
    what, _, file = next(iter(outcome["calls"])).partition(" ")
    return f"{what} {'backup/…' if file.startswith('backup') else file.removeprefix('pkg/')}"
