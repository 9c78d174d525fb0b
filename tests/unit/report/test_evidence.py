"""The evidence page: the report's numbers are on it, nothing of the data becomes markup, files appear whole."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from slipstream.audit.ratios import percent
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.report.evidence import render_html, write_evidence
from slipstream.report.evidence_page import visible

CLASSES = [
    "missing",
    "orphaned",
    "stale",
    "outdated",
    "wrong_model",
    "duplicate",
    "corrupt",
    "drifted",
    "unrenderable",
]
VOID = {"meta", "wbr", "br", "hr", "img", "input", "link"}
DIGEST, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
BEGAN = datetime(2026, 7, 1, 3, tzinfo=UTC)


class Page(HTMLParser):
    """Reads a page, and fails where tags are not nested as they should be."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.by_tag: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.by_tag.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.texts.append(data)
        for tag in set(self.open):
            self.by_tag[tag][-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def rows(self) -> list[str]:
        return [re.sub(r"\s+", " ", row).strip() for row in self.by_tag.get("tr", [])]


@dataclass(slots=True)
class Made:
    """A report in the making."""

    id: int | None = 7
    kind: str = "full"
    counts: Mapping[str, int] = field(default_factory=dict)
    divergences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    hours: float = 0.0

    def report(self) -> dict[str, Any]:
        began, wrong = BEGAN + timedelta(hours=self.hours), sum(self.counts.values())
        return {
            "schema": "slipstream.audit/1",
            "id": self.id,
            "kind": self.kind,
            "position": 123_456,
            "frontier": 123_450,
            "started_at": began.isoformat(),
            "finished_at": (began + timedelta(seconds=8)).isoformat(),
            "duration_s": 8.25,
            "rows_read": {"graph": 20_011, "index": 20_022, "vectors": 33},
            "consistency": max(0.0, 1.0 - wrong / 10_000),
            "consistent": not wrong,
            "total_entities": 20_044,
            "total_embeddings": 20_055,
            "expected_embeddings": 20_066,
            "coverage": {
                "Person": {
                    "expected": 12_345,
                    "found": 12_344,
                    "fresh": 12_340,
                    "graph_digest": DIGEST,
                    "index_digest": OTHER,
                    "counts": dict(self.counts),
                },
                "Paper": {"expected": 8, "found": 8, "fresh": 8, "graph_digest": DIGEST, "index_digest": DIGEST},
            },
            "counts": {**dict.fromkeys(CLASSES, 0), **self.counts},
            "divergences": dict(self.divergences),
            "unsettled": 0,
            "graph_digest": DIGEST,
            "index_digest": OTHER if wrong else DIGEST,
            "notes": [],
            **self.more,
        }


def _summary(made: Made) -> dict[str, Any]:
    report = made.report()
    del report["divergences"]
    return report


def _history(count: int) -> list[dict[str, Any]]:
    kinds = ["full", "incremental"]
    return [
        _summary(Made(id=n, kind=kinds[n % 2], counts={"stale": n % 3, "missing": n % 2}, hours=n))
        for n in range(1, count + 1)
    ]


def test_every_number_of_the_report_is_on_the_page() -> None:
    made = Made(counts={"missing": 2, "stale": 1}, divergences={"missing": ["e:a", "e:b"], "stale": ["r:c"]})
    page = Page(render_html(made.report(), []))
    for said in ("123,456", "123,450", "6 behind the graph", "20,011", "20,022", "33", "20,044", "20,055", "20,066"):
        assert said in page.text
    assert "2026-07-01 03:00:00 UTC" in page.text
    assert "2026-07-01 03:00:08 UTC" in page.text
    assert "8.2 s" in page.text
    assert page.by_tag["h1"] == ["3 divergences found"]
    assert "99.97 %" in page.text
    rows = page.rows()
    assert "Paper888100 %equalnot told" in rows
    assert "Person12,34512,34412,34099.9594 %differentmissing 2, stale 1" in rows
    assert "missingin the graph, without a vector2" in rows
    assert any(row.startswith("duplicate") and row.endswith("0") for row in rows)
    assert [text.strip() for text in page.by_tag["li"][:3]] == ["e:a", "e:b", "r:c"]
    assert "".join(page.by_tag["code"]).startswith(DIGEST + OTHER)


def test_each_class_is_explained() -> None:
    rows = Page(render_html(Made().report(), [])).rows()
    for name in CLASSES:
        (row,) = [row for row in rows if row.startswith(name)]
        assert len(row) > len(name) + 20


@pytest.mark.parametrize(
    ("made", "headline"),
    [
        (Made(), "Graph and index agree"),
        (Made(kind="deep"), "Graph and index agree"),
        (Made(kind="incremental"), "Consistent, where it looked"),
        (Made(kind="keys"), "Consistent, where it looked"),
        (Made(counts={"corrupt": 1}), "1 divergence found"),
        (Made(more={"unsettled": 3, "consistent": False}), "Could not tell of 3 keys"),
        (Made(more={"unsettled": 1, "lagging": 2, "consistent": False}), "Could not tell of 3 keys"),
        (Made(more={"owed": {"repair": 1, "live": 1}}), "Graph and index agree, but for 2 keys still owed"),
        (Made(more={"consistency": None}), "Nothing to compare"),
        (Made(more={"consistency": None, "owed": {"live": 2}, "consistent": False}), "Could not tell of 2 keys"),
        (Made(counts={"stale": 1200}, more={"unsettled": 3}), "1,200 divergences found"),
        (Made(more={"consistent": False}), "Not consistent"),
    ],
)
def test_the_verdict_says_no_more_than_the_report(made: Made, headline: str) -> None:
    assert Page(render_html(made.report(), [])).by_tag["h1"] == [headline]


def test_nothing_to_compare_is_not_shown_as_everything() -> None:
    report = Made(more={"consistency": None}).report()
    page = render_html(report, [report])
    assert "nothing to compare" in page
    assert "100 %</b>" not in page


@pytest.mark.parametrize("owed", [{"owed": {"retry": 1}}, {"lagging": 1}], ids=["now", "of an older version"])
def test_limits_and_notes_are_said(owed: dict[str, object]) -> None:
    name = next(iter(owed))
    more = {
        "unsettled": 2,
        **owed,
        "undecided": {name: ["e:slow"], "unsettled": ["e:hot", "e:hotter"]},
        "notes": ["vectors were not looked at"],
    }
    made = Made(kind="incremental", more=more)
    notes = Page(render_html(made.report(), [])).by_tag["li"]
    assert notes[0] == "vectors were not looked at"
    assert any("2 keys kept changing" in note and "e:hot, e:hotter" in note for note in notes)
    assert any("1 key still to be brought up to date" in note and "e:slow" in note for note in notes)
    assert any("all else was not compared" in note for note in notes)


@pytest.mark.parametrize(
    ("graph", "index", "said"),
    [
        (DIGEST, DIGEST, "✓ Equal."),
        (DIGEST, OTHER, "≠ Different."),
        ("", "", "took no digests"),
        (None, None, "took no"),
    ],
)
def test_digests_are_compared(graph: str | None, index: str | None, said: str) -> None:
    made = Made(more={"graph_digest": graph, "index_digest": index})
    assert said in Page(render_html(made.report(), [])).text


HOSTILE = [
    "e:<script>alert(1)</script>",
    "e:</code></li></ul></details><img src=x onerror=alert(1)>",
    'e:"\' onmouseover="alert(1)',
    "e:{{ 7 * 7 }}{% raw %}",
    "e:&lt;b&gt;&amp;amp;",
    "e:]]>--><!--",
    "e:\u202egnp.exe\u200b\x00\n\ud800",
]


def test_nothing_hostile_becomes_markup() -> None:
    made = Made(
        counts={"missing": len(HOSTILE) + 1, HOSTILE[0]: 1, HOSTILE[-1]: 1},
        divergences={"missing": HOSTILE, HOSTILE[0]: HOSTILE[:1]},
        more={
            "coverage": {text: {"expected": 1, "found": 1, "fresh": 1} for text in HOSTILE},
            "notes": HOSTILE,
            "kind": HOSTILE[-1],
            "graph_digest": HOSTILE[1],
            "index_digest": HOSTILE[-1],
        },
    )
    html = render_html(made.report(), [{**_summary(made), "id": 6}, _summary(made)], paging="show {name} {after}")
    html.encode()
    page = Page(html)
    harmless = Page(render_html(Made(counts={"missing": 2}, divergences={"missing": ["e:a"]}).report(), _history(2)))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for text in HOSTILE:
        assert re.sub(r"\s+", " ", visible(text)) in page.text


def test_what_hides_itself_is_shown_as_an_escape() -> None:
    assert visible("e:\u202ea\u200bb\nc\ud800\x00") == "e:\\u202ea\\u200bb\\nc\\ud800\\x00"
    assert visible("e:Zoë/日本/🌊 x") == "e:Zoë/日本/🌊 x"


def test_the_page_needs_no_network_and_no_script() -> None:
    html = render_html(Made(counts={"stale": 1}, divergences={"stale": ["e:a"]}).report(), _history(5))
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if {"src", "href", "style"} & attributes.keys()]
    assert "url(" not in html
    assert "@import" not in html
    assert any("default-src 'none'" in (meta.get("content") or "") for meta in page.all("meta"))


def test_the_page_can_be_read_without_seeing_it() -> None:
    page = Page(render_html(Made(counts={"stale": 1}, divergences={"stale": ["e:a"]}).report(), _history(5)))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.by_tag["h1"]) == 1
    assert len(page.by_tag["caption"]) == len(page.by_tag["table"])
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [name for _, attributes in page.tags for name in (attributes.get("aria-labelledby") or "").split()]
    assert set(named) <= set(ids)
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and svg.get("aria-labelledby"))


@pytest.mark.parametrize("count", [1, 2, 40])
def test_each_audit_of_the_history_is_a_point_and_a_row(count: int) -> None:
    history = _history(count)
    page = Page(render_html({**history[-1], "divergences": {}}, history))
    plots = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    found = {name for item in history for name, number in item["counts"].items() if number}
    assert len(plots) == 1 + len(found)
    assert len(page.all("circle")) == count * len(plots)
    for line in page.all("polyline"):
        assert len(str(line["points"]).split()) == count
    assert len([svg for svg in page.all("circle") if "latest" in str(svg["class"])]) == len(plots)
    assert sum("2026-07-0" in row for row in page.rows()) == count
    assert f"{count}, this" in page.text


def test_points_stand_where_their_time_and_value_are() -> None:
    history = [
        _summary(Made(id=n, hours=hours, counts={"stale": stale}))
        for n, (hours, stale) in enumerate([(0, 0), (1, 3000), (4, 1500)])
    ]
    page = Page(render_html({**history[-1], "divergences": {}}, history))
    places = [tuple(map(float, point.split(","))) for point in str(page.all("polyline")[0]["points"]).split()]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert (x1 - x0) * 3 == pytest.approx(x2 - x1, abs=0.1)
    assert y0 < y2 < y1  # the better, the higher
    assert (y1 - y0) == pytest.approx(2 * (y2 - y0), abs=0.1)
    assert all(0 <= x <= 760 and 0 <= y <= 230 for x, y in places)


@pytest.mark.parametrize("consistency", [1.0, 0.99999999, 0.9996, 0.5, 0.0])
def test_any_consistency_can_be_plotted(consistency: float) -> None:
    item = _summary(Made(more={"consistency": consistency}))
    page = Page(render_html({**item, "divergences": {}}, [item, item]))
    for circle in page.all("circle"):
        assert 0 <= float(str(circle["cy"])) <= 230
    assert percent(consistency) in page.text
    assert ("100 %" in page.by_tag["b"]) == (consistency == 1.0)


def test_an_empty_history_is_said() -> None:
    page = Page(render_html(Made().report(), []))
    assert "No audit has been recorded" in page.text
    assert page.all("polyline") == []


def test_nothing_at_all_is_consistent() -> None:
    empty = dict.fromkeys(["position", "total_entities", "total_embeddings", "expected_embeddings"], 0)
    rows = {"graph": 0, "index": 0, "vectors": 0}
    more = {**empty, "coverage": {}, "rows_read": rows, "frontier": None}
    page = Page(render_html(Made(id=None, more=more).report(), []))
    assert page.by_tag["h1"] == ["Graph and index agree"]
    assert "No type has a record" in page.text
    assert "unknown" in page.text


def test_a_type_that_expects_nothing_divides_by_nothing() -> None:
    coverage = {"Gone": {"expected": 0, "found": 3, "fresh": 0, "graph_digest": DIGEST, "index_digest": OTHER}}
    assert (
        "Gone030none expecteddifferentnot told"
        in Page(render_html(Made(more={"coverage": coverage}).report(), [])).rows()
    )


def test_ten_thousand_ids_are_all_there() -> None:
    ids = [f"e:pkg.module_{n}" for n in range(10_000)]
    page = Page(render_html(Made(counts={"missing": 10_000}, divergences={"missing": ids}).report(), []))
    assert set(ids) <= {text.strip() for text in page.by_tag["code"]}
    assert "not on this page" not in page.text
    assert all("open" not in attributes for attributes in page.all("details"))


def test_a_report_that_carries_fewer_ids_says_how_to_page_on() -> None:
    made = Made(counts={"stale": 5_000, "missing": 9}, divergences={"stale": ["e:a", "e:it's; rm -rf"]})
    text = Page(render_html(made.report(), [])).text
    assert "4,998 more are not on this page. To page on, ask for class stale of audit 7 behind the key e:it's" in text
    assert "9 more are not on this page. To page on, ask for class missing of audit 7." in text
    page = Page(render_html(made.report(), [], paging="slipstream audits --id {id} --class {name} --after {after}"))
    commands = [shlex.split(code) for code in page.by_tag["code"] if code.startswith("slipstream audits")]
    assert commands[1] == ["slipstream", "audits", "--id", "7", "--class", "stale", "--after", "e:it's; rm -rf"]


def test_an_audit_that_is_not_recorded_can_not_be_paged() -> None:
    made = Made(id=None, counts={"stale": 5}, divergences={"stale": ["e:a"]})
    text = Page(render_html(made.report(), [], paging="show {id}")).text
    assert "4 more are not on this page. This audit is not recorded" in text
    assert "show None" not in text


@pytest.mark.parametrize(
    ("change", "field_"),
    [
        ({"schema": "slipstream.audit/2"}, "schema"),
        ({"counts": None}, "report"),
        ({"position": "far"}, "report"),
        ({"coverage": None}, "report"),
        ({"rows_read": None}, "report"),
        ({"finished_at": "2026-07-01T03:00:00"}, "report"),
        ({"consistency": 1.5}, "consistency"),
    ],
)
def test_a_report_of_another_kind_is_refused(change: dict[str, Any], field_: str) -> None:
    with pytest.raises(InvalidInputError, match=field_):
        render_html({**Made().report(), **change}, [])


@pytest.mark.parametrize("name", [name for name in Made().report() if not name.endswith("_digest")])
def test_a_field_that_is_missing_is_named(name: str) -> None:
    report = Made().report()
    del report[name]
    with pytest.raises(InvalidInputError, match=name):
        render_html(report, [])


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("given", ["audit", "audit.json", "audit.html", "audit.HTML"])
def test_whichever_suffix_is_given_both_files_are_written(tmp_path: Path, given: str) -> None:
    report, history = Made().report(), _history(3)
    written = write_evidence(tmp_path / given, report, history)
    assert written == (tmp_path / "audit.json", tmp_path / "audit.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.html", "audit.json"]
    document = json.loads(written[0].read_text(encoding="utf-8"))
    assert document == {**report, "history": history}
    page = written[1].read_text(encoding="utf-8")
    assert page == render_html(report, history) == render_html(document, document["history"])


def test_another_dot_in_the_name_is_kept(tmp_path: Path) -> None:
    json_path, html_path = write_evidence(tmp_path / "audit.2026-07", Made().report(), [])
    assert (json_path.name, html_path.name) == ("audit.2026-07.json", "audit.2026-07.html")


def test_hostile_ids_survive_the_json(tmp_path: Path) -> None:
    made = Made(counts={"missing": len(HOSTILE)}, divergences={"missing": HOSTILE})
    json_path, _ = write_evidence(tmp_path / "audit", made.report(), [])
    assert json.loads(json_path.read_text(encoding="utf-8"))["divergences"]["missing"] == HOSTILE


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"make the directory {tmp_path / 'nowhere'} first")):
        write_evidence(tmp_path / "nowhere" / "audit.json", Made().report(), [])
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        write_evidence(tmp_path, Made().report(), [])


def test_what_can_not_be_rendered_leaves_the_earlier_files_alone(tmp_path: Path) -> None:
    paths = write_evidence(tmp_path / "audit", Made().report(), [])
    before = [path.read_bytes() for path in paths]
    for broken in ({"duration_s": float("nan")}, {"schema": "other"}, {"extra": object()}):
        with pytest.raises(InvalidInputError):
            write_evidence(tmp_path / "audit", {**Made().report(), **broken}, [])
    assert [path.read_bytes() for path in paths] == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_target_that_can_not_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "audit.html").mkdir()
    with pytest.raises(ConfigError, match="choose another place"):
        write_evidence(tmp_path / "audit", Made().report(), [])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_files_have_the_permissions_that_the_user_asks_for(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        paths = write_evidence(tmp_path / "audit", Made().report(), [])
    finally:
        os.umask(mask)
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o640, 0o640]


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.999, "99.9 %"),
        (0.57, "57 %"),
        (0.9999999, "99.9999 %"),
        (1 - 2**-53, "99.9999 %"),
        (1e-9, "0 %"),
    ],
)
def test_percent_is_cut(ratio: float, shown: str) -> None:
    assert percent(ratio) == shown
