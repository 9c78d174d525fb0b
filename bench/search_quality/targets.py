"""What the hybrid search has to gain over the vectors alone, and whether it does."""

from __future__ import annotations

from typing import Any

from slipstream.quality.search_figures import HYBRID, ClassQuality, SearchQuality

HPO_CLASSES = ("alias", "unlisted")
"""Of the ontology these count beside all classes of WordNet: the fourteen classes that the targets were set by."""
MISSPELLED = ("misspelled", "asked_misspelled")
SURE = ("name", "rare_name", "id", "alias")
FIRST_MIN, LOSS_MAX = 0.995, -0.01


def verdicts(wordnet: SearchQuality, hpo: SearchQuality) -> list[dict[str, Any]]:
    """Return each target with what was measured."""
    classes = [("WordNet", row) for row in wordnet.classes]
    classes += [("HPO", row) for row in hpo.classes if row.name in HPO_CLASSES]
    rows = [row for _, row in classes]
    others = [row for row in rows if row.name not in MISSPELLED]
    sure = {f"{place} {row.name}": row.arms[HYBRID].recall_1 for place, row in classes if row.name in SURE}
    worst = min(sure, key=lambda name: sure[name])
    losers = [f"{place} {row.name}" for place, row in classes if row.gains[HYBRID]["recall_5"].high < LOSS_MAX]
    by_name = {row.name: row.arms[HYBRID].recall_5 for row in wordnet.classes}
    return [
        _points("macro recall@5 gained", _gained(rows, "recall_5"), 14),
        _points("macro recall@1 gained", _gained(rows, "recall_1"), 22),
        _points("recall@5 gained without misspelled classes", _gained(others, "recall_5"), 8.5),
        _row(
            f"names, ids, listed aliases first (least: {worst})",
            f"{100 * sure[worst]:.1f} %",
            ">= 99.5 %",
            met=sure[worst] >= FIRST_MIN,
        ),
        _points("misspelled names, recall@5", by_name["misspelled"], 90),
        _points("misspelled names in questions, recall@5", by_name["asked_misspelled"], 70),
        _row("classes wholly below -1", ", ".join(losers) or "none", "none", met=not losers),
    ]


def _gained(rows: list[ClassQuality], figure: str) -> float:
    gains = [row.gains[HYBRID][figure].mean for row in rows]
    return sum(gains) / len(gains)


def _points(label: str, share: float, least: float) -> dict[str, Any]:
    return _row(label, f"{100 * share:.1f}", f">= {least:g}", met=100 * share >= least)


def _row(label: str, value: str, target: str, *, met: bool) -> dict[str, Any]:
    return {"label": label, "value": value, "target": target, "met": met}
