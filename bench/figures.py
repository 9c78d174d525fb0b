"""
Figures in README and docs, out of the newest recorded runs: `python -m bench.figures` writes them anew.

Each stands between `<!-- figures: NAME -->` and `<!-- end -->`; `tests/docs/test_figures.py` compares them with the
files. `python -m bench.figures record bench|bench-audits|bench-migrations [OPTIONS]` runs that command and keeps what
it says.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.growth.shown import table as growth_table
from bench.result_files import REPOSITORY, newest, write_result

PAGES = ("README.md", "docs/benchmarks.md")
_BLOCK = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NOT_YET = "Not measured on a quiet machine since the graph and the code are what they are now.\n"

Found = Mapping[str, Any]


def main() -> None:
    """Record a run, or write the figures of the newest ones into the pages."""
    if sys.argv[1:2] == ["record"]:
        record(sys.argv[2], sys.argv[3:])
        return
    for page in PAGES:
        path = REPOSITORY / page
        text = path.read_text(encoding="utf-8")
        path.write_text(filled(text, page), encoding="utf-8")


def record(command: str, options: list[str]) -> None:
    """Run a command of `slipstream`, and write what it says to a file of `bench/results`."""
    arguments = [sys.executable, "-m", "slipstream", command, "--json", *options]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, check=True)  # noqa: S603
    with tempfile.TemporaryDirectory() as folder:
        print(write_result(command, json.loads(done.stdout), Path(folder)))


def filled(text: str, page: str) -> str:
    """Return a page with the figures of the newest runs in their places."""
    return _BLOCK.sub(lambda block: f"{block[1]}{_figures(block[2], page)}{block[3]}", text)


def _figures(name: str, page: str) -> str:
    kind, render = _RENDERED[name]
    path = newest(kind)
    if path is None:
        return _NOT_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    return f"{_where(found, path, page)}\n\n{render(found).rstrip()}\n"


def _where(found: Found, path: Path, page: str) -> str:
    """Say in one line on which machine, when and of which commit a run was made, and where it is kept."""
    machine = found["machine"]
    memory = f"{machine['memory_mb'] / 1024:.0f} GB"
    facts = f"{machine['cpu']}, {machine['cores']} cores, {memory}, Python {machine['python']}"
    up = "../" * page.count("/")
    link = f"[{path.stem}]({up}{path.relative_to(REPOSITORY)})"
    load = found.get("load_before", machine.get("load_before"))
    busy = "" if load is None else f", load {load} when it began"
    return f"{facts}{busy}; {found['date']}, commit {found['commit']}: {link}."


def _targets(found: Found) -> str:
    lines = ["| | against | target | reached | |", "|---|---|---|---:|---|"]
    for row in found["rows"]:
        reached = "" if row["reached"] is None else f"{row['reached']:.3g} x"
        verdict = {True: "met", False: "**missed**", None: ""}[row["met"]]
        said = "; ".join(part for part in (verdict, row["note"]) if part)
        lines.append(f"| {row['label']} | {row['against']} | {row['target']} | {reached} | {said} |")
    return "\n".join(lines)


def _peers(found: Found) -> str:
    lines = [
        "| | load, nodes/s | 500 edits, /s | lone edit, p50 | 500 deletes, /s | searches right | damage |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for name, peer in found["peers"].items():
        rates = (f"{peer[figure]:,.0f}" for figure in ("load_per_s", "edits_per_s"))
        cells = [name, *rates, f"{peer['lone_edit_ms_p50']:.1f} ms", f"{peer['deletes_per_s']:,.0f}"]
        wrong = [check for check, seen in peer["checks"].items() if seen != "right"]
        cells += [f"not {', '.join(wrong)}" if wrong else "all", _damage(peer["damage"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _damage(damage: Found) -> str:
    look = damage["look"]
    if all(look["repaired"].values()):
        return f"found and repaired, {look['seconds']:.1f} s"
    rebuilt = damage.get("rebuild")
    noticed = "noticed, not repaired" if look["noticed"] else "not noticed"
    if rebuilt is None or not all(rebuilt["repaired"].values()):
        return noticed
    return f"{noticed}; gone after {rebuilt['what'].partition(':')[0]}, {rebuilt['seconds']:.1f} s"


def _growth(found: Found) -> str:
    return growth_table(found["sizes"])


_BENCH = (
    ("commit to searchable, MiniLM, p50", "freshness_p50_ms", "freshness_raw_p50_ms", "ms", 1),
    ("p95", "freshness_p95_ms", "freshness_raw_p95_ms", "ms", 1),
    ("p99", "freshness_p99_ms", "freshness_raw_p99_ms", "ms", 1),
    ("updates, MiniLM", "model_updates_per_s", "model_raw_per_s", "/s", 0),
    ("updates, static model", "static_updates_per_s", "static_raw_per_s", "/s", 0),
    ("irrelevant updates (nothing embedded)", "irrelevant_updates_per_s", None, "/s", 0),
    ("import, entities", "import_entities_per_s", None, "/s", 0),
    ("verify, entities", "verify_entities_per_s", None, "/s", 0),
    ("start-up", "startup_s", None, "s", 2),
    ("to the first answer", "startup_search_s", None, "s", 2),
    ("peak memory of one PKG", "pkg_peak_rss_mb", None, "MB", 0),
)


def _bench(found: Found) -> str:
    targets = {target["figure"]: target for target in found["targets"]}
    sizes = found["sizes"]
    lines = [
        f"{sizes['entities']:,} entities, {sizes['relationships']:,} relationships:",
        "",
        "| | engine | raw parts | ratio |",
        "|---|---:|---:|---:|",
    ]
    for label, figure, raw, unit, decimals in _BENCH:
        one, other = found[figure], found[raw] if raw else None
        cells = [label, *("" if each is None else f"{each:,.{decimals}f} {unit}" for each in (one, other))]
        lines.append(f"| {' | '.join(cells)} | {f'{one / other:.2f}' if one and other else ''} |")
    told = [f"{name} {target['target']}: {'met' if target['met'] else 'missed'}" for name, target in targets.items()]
    return "\n".join([*lines, "", f"Aims: {'; '.join(told)}."])


def _audits(found: Found) -> str:
    lines = [
        "| entities | relationships | full | first incremental | unchanged | after 100 changes | memory above |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    names = ("full", "incremental_first", "incremental_unchanged", "incremental_after_changes")
    for size in found["audits"]:
        times = " | ".join(f"{size[name]['seconds']:.3g} s" for name in names)
        counts = f"{size['entities']:,} | {size['relationships']:,}"
        lines.append(f"| {counts} | {times} | {size['full']['memory_above_mb']:.0f} MB |")
        if beside := size.get("beside_changes"):
            p95 = ", ".join(f"{name.replace('_', ' ')} {ms}" for name, ms in beside["freshness_p95_ms"].items())
            lines.append(f"| | | | | | p95 at {beside['changes_per_s']} changes/s, ms: {p95} | |")
    return "\n".join(lines)


def _migrations(found: Found) -> str:
    lines = [
        "| next generation | built | freshness p95 before, building, behind | slow-down | cut-over with its audit |",
        "|---|---:|---:|---:|---:|",
    ]
    for case, each in found["migrations"].items():
        p95 = ", ".join(f"{each['phases'][name]['freshness_p95_ms']}" for name in ("before", "building", "behind"))
        rest = f"{each['slow_down_p95']:.2f} | {each['cut_over_s']:.1f} s"
        lines.append(f"| {case} | {each['built_per_s']:,.0f}/s | {p95} ms | {rest} |")
    return "\n".join(lines)


def _server(found: Found) -> str:
    lines = ["| | p50 | p95 | p99 |", "|---|---:|---:|---:|"]
    for label, name in (
        ("a search in Python", "python"),
        ("over HTTP, one client", "http"),
        ("over HTTP, 16 clients at once", "clients"),
        ("a commit until searchable, idle", "freshness_idle"),
        ("the same beside the 16 clients", "freshness_busy"),
        ("`slipstream search` alone", "command_alone"),
        ("`slipstream search`, asking the server", "command_served"),
    ):
        cells = (f"{found[name][f'{share}_ms']:,.2f} ms" for share in ("p50", "p95", "p99"))
        lines.append(f"| {label} | {' | '.join(cells)} |")
    clients = found["clients"]
    told = (
        f"HTTP adds {found['over_python_ms']:.2f} ms (aim: 2).",
        f"16 clients: {clients['searches_per_s']:,.0f} searches/s, {clients['errors']} errors,",
        f"p99 {clients['p99_over_p50']:.1f} x p50 (aim: 10);",
        f"freshness p95 {found['freshness_ratio_p95']:.2f} x idle (aim: 2).",
        f"The command takes {found['command_ratio']:.2f} x alone (aim: 0.25).",
        f"The server held {found['resident_mb']:,.0f} MB; the audit at the end found {found['consistency']}.",
    )
    return "\n".join([*lines, "", " ".join(told)])


def _hostile(found: Found) -> str:
    memory = found["memory_mb"]
    told = (
        f"{found['requests']:,} requests in {found['seconds']:,.0f} s:",
        f"the server {'lived' if found['alive'] else '**died**'};",
        f"memory {memory[1]:,.0f} MB after the first tenth, {memory[-1]:,.0f} MB at the end.",
        f"Of {found['writes_acknowledged']:,} writes that were acknowledged meanwhile",
        f"{found['writes_lost']} were lost ({found['writes_refused']} were refused);",
        f"the audit found {found['consistency']}.",
    )
    return " ".join(told)


_PARTS = {
    "import": "import, until all of it is searchable",
    "parse": "parser alone",
    "graph": "graph file alone",
    "embed": "model alone",
    "index": "index alone",
}


def _import(found: Found) -> str:
    lines = ["| | by the clock | of the processors |", "|---|---:|---:|"]
    lines += [
        f"| {label} | {found['seconds'][name]:,.1f} s | {found['cpu_seconds'][name]:,.1f} s |"
        for name, label in _PARTS.items()
        if name in found["seconds"]
    ]
    ratio = sum(found["ratios"]) / len(found["ratios"])
    cpu_ratio = sum(found["cpu_ratios"]) / len(found["cpu_ratios"])
    told = (
        f"{found['count']:,} {found['unit']} ({found['source_mb']:,.0f} MB), {found['entities']:,} entities, "
        f"{found['relationships']:,} relationships, {found['model']}: {ratio:.2f} x the speed of its parts one after "
        f"the other, {cpu_ratio:.2f} x by processor time; aim {found['target']:g}, "
        f"{'met' if ratio >= found['target'] else '**missed**'}."
    )
    return "\n".join([*lines, "", told])


def _vault(found: Found) -> str:
    done = found["rounds"][0]
    aims = {name: "met" if is_met else "**missed**" for name, is_met in found["met"].items()}
    told = (
        f"{found['notes']:,} notes of WordNet ({found['texts']:,} texts of {found['characters']} characters), the",
        f"packaged model: imported until searchable in {done['import_s']:,.0f} s, the model alone on the same texts",
        f"{done['model_s']:,.0f} s; {found['ratio']:.2f} x its speed, aim 0.9, {aims['ratio']}.",
        f"{found['saves']} notes saved one by one in a watched vault: searchable after",
        f"{found['saved_p50_ms']:.0f} ms (p50), {found['saved_p95_ms']:.0f} ms (p95; aim 300,",
        f"{aims['saved_p95_ms']}), {found['saved_max_ms']:.0f} ms at most.",
    )
    return " ".join(told)


_RENDERED: Mapping[str, tuple[str, Callable[[Found], str]]] = {
    "targets": ("targets", _targets),
    "peers": ("peers", _peers),
    "growth": ("growth", _growth),
    "server": ("server", _server),
    "hostile": ("server-hostile", _hostile),
    "import-csv": ("import-csv", _import),
    "import-rdf": ("import-rdf", _import),
    "vault": ("vault", _vault),
    "bench": ("bench", _bench),
    "audits": ("bench-audits", _audits),
    "migrations": ("bench-migrations", _migrations),
}
"""By the name in the page: the kind of run, and what is shown of it."""

if __name__ == "__main__":
    main()
