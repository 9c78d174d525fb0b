"""`search` by modes, time and confidence; what it says of each hit, and of what is none."""

from __future__ import annotations

import pytest

import slipstream
from tests.e2e.everyday import HOSTILE, Cli, made


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    cli = made(tmp_path_factory.mktemp("search") / "pkg")
    with slipstream.open(cli.directory) as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity("Flood", "f1", {"name": "flood of the Seine", "timestamp": "1910-01-28"})
            tx.create_entity(
                "Flood",
                "f2",
                {"name": "flood of the Elbe", "timestamp": "2002-08", "extraction_confidence": 0.9},
            )
            tx.create_entity("Flood", "f3", {"name": f"flood {HOSTILE}", "source_document_id": "press"})
        assert slip.sync.drain(60)
    return cli


def _ids(cli: Cli, *words: str) -> list[str]:
    return [hit["entity_id"] for hit in cli.json("search", *words)]


def test_a_mode_says_what_is_searched(cli: Cli) -> None:
    assert _ids(cli, "ADA", "--mode", "exact") == ["ada"]
    assert _ids(cli, "seine", "--mode", "keyword") == ["f1"]
    assert _ids(cli, "qwertzuiop", "--mode", "keyword") == []
    assert len(_ids(cli, "qwertzuiop", "--mode", "vector")) == 6
    assert _ids(cli, "elbe", "-k", "1") == ["f2"]
    assert "mode: must be one of hybrid, vector, keyword, exact" in cli.refused("search", "x", "--mode", "guessing")


def test_a_range_of_time_narrows_and_an_order_by_time_holds(cli: Cli) -> None:
    assert _ids(cli, "flood", "--since", "1911", "--type", "Flood") == ["f2"]
    assert _ids(cli, "flood", "--until", "1910-01-28", "--type", "Flood") == ["f1"]
    assert _ids(cli, "flood", "--since", "10000d", "--type", "Flood") == ["f2"]
    assert _ids(cli, "flood", "--type", "Flood", "--sort", "newest") == ["f2", "f1", "f3"]
    assert _ids(cli, "flood", "--type", "Flood", "--sort", "oldest") == ["f1", "f2", "f3"]
    assert _ids(cli, "flood", "--min-confidence", "0.5") == ["f2"]
    assert _ids(cli, "flood", "--source", "press") == ["f3"]
    assert _ids(cli, "flood", "--since", "1900", "--time-property", "built") == []
    aged = cli.json("search", "flood of the Elbe", "--mode", "vector", "--half-life-days", "1", "--type", "Flood")
    assert aged[-1]["entity_id"] in {"f1", "f2"}
    assert {round(hit["score"], 3) for hit in aged if hit["entity_id"] != "f3"} == {0.0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "soon"), "since: must look like 15m, 6h"),
        (("--until", "2026-02-30"), "until: must look like 15m, 6h"),
        (("--since", "2026", "--until", "2025"), "until: "),
        (("--sort", "upwards"), "sort: must be one of score, newest, oldest"),
        (("--min-confidence", "2"), "min_confidence: must be"),
        (("--half-life-days", "0"), "half_life_days: must be a number of days above 0"),
    ],
)
def test_what_can_not_be_asked_is_refused_by_name(cli: Cli, words: tuple[str, ...], said: str) -> None:
    assert said in cli.refused("search", "x", *words)


def test_an_explanation_is_for_people_and_for_programs(cli: Cli) -> None:
    out, err = cli.run("search", "flood of the Elbe", "-k", "2", "--type", "Flood", "--explain")
    assert err == ""
    assert "mode hybrid: hits of " in out
    assert "only: entity_type Flood" in out
    (first,) = [line for line in out.splitlines() if line.startswith("1. f2: ")]
    assert "it is its name" in first
    assert "vector (" in first
    assert "elbe" in first.casefold()
    told = cli.json("search", "flood of the Elbe", "-k", "2", "--explain")
    assert [hit["entity_id"] for hit in told["hits"]][:1] == ["f2"]
    assert told["hits"][0]["explanation"]["name_kind"] == "name"
    assert told["frontiers"].keys() == {"vector", "keyword"}
    assert (told["degraded"], told["unasked"], told["why_not"]) == ([], [], None)
    assert told["explanation"]["words"]
    assert "explanation" not in cli.json("search", "flood")[0]


def test_it_is_told_why_a_record_is_no_hit(cli: Cli) -> None:
    out, _ = cli.run("search", "seine", "-k", "1", "--mode", "vector", "--why-not", "grace")
    assert "\ngrace: rank: " in out
    told = cli.json("search", "seine", "--since", "2000", "--why-not", "f1")["why_not"]
    assert (told["entity_id"], told["reason"]) == ("f1", "filtered")
    assert cli.json("search", "seine", "--why-not", "nobody")["why_not"]["reason"] == "unknown"


def test_nothing_that_a_terminal_obeys_comes_out_of_an_explanation(cli: Cli) -> None:
    for words in (("search", "red", "--explain"), ("search", "x", "--why-not", HOSTILE)):
        out, err = cli.run(*words)
        assert not {"\x1b", "\x07", "\u202e"} & set(out + err)
