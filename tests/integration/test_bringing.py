"""Values in memory are written in batches: interrupted, refused in the middle, and beside other writers."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

import slipstream
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Entity
from slipstream.domain.errors import AlreadyExistsError, InvalidInputError
from slipstream.integrations import bringing
from slipstream.integrations.bringing import Writing
from slipstream.integrations.pandas import from_frame
from tests.importers.world import entities_of, opened, relationships_of
from tests.integration.http_running import running
from tests.integration.killed_bringing import FRAME, RELATE, TWO_ROWS

WHOLE = {**{name.lower(): ("Letter", {"name": name}) for name in "ABCD"}, "x": ("Letter", {})}


@pytest.mark.parametrize(
    ("transaction", "where", "left"),
    [(2, "in", (2, 0)), (2, "behind", (4, 0)), (3, "in", (4, 0)), (3, "behind", (4, 1))],
)
def test_whoever_was_killed_writes_the_same_again(
    tmp_path: Path, transaction: int, where: str, left: tuple[int, int]
) -> None:
    place = tmp_path / "pkg"
    script = (sys.executable, "-m", "tests.integration.killed_bringing", str(place), str(transaction), where)
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with opened(place) as slip:
        assert (len(entities_of(slip)), len(relationships_of(slip))) == left
        position = from_frame(slip, FRAME, entity_type="Letter", relate=RELATE).position
        assert entities_of(slip) == WHOLE
        assert relationships_of(slip) == {"NEXT:a:b", "NEXT:b:c", "NEXT:c:d", "NEXT:d:x"}
        assert from_frame(slip, FRAME, entity_type="Letter", relate=RELATE).position == position  # nothing is changed


def test_a_batch_that_is_refused_leaves_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "_BATCH_SIZE", TWO_ROWS)
    frame = FRAME.drop(columns="next")
    wrong = frame.assign(name=["A", "B", "C", float("inf")])
    with opened(tmp_path) as slip:
        with pytest.raises(InvalidInputError, match="inf is not a finite number"):
            from_frame(slip, wrong, entity_type="Letter")
        assert entities_of(slip).keys() == {"a", "b"}
        assert from_frame(slip, frame, entity_type="Letter").entities == 4
        assert entities_of(slip).keys() == set("abcd")


@pytest.fixture(params=["opened", "connected"])
def slip(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slipstream]:
    if request.param == "opened":
        with opened(tmp_path) as found:
            yield found
    else:
        with (
            running(tmp_path, is_empty=True) as served,
            slipstream.connect(f"http://127.0.0.1:{served.api.port}") as found,
        ):
            yield found


@pytest.mark.parametrize("value", ["漢" * 1_500, ["é" * 1_500] * 2, "x" * 600_000], ids=["text", "list", "one row"])
def test_a_batch_is_never_more_than_a_server_takes(slip: Slipstream, value: object) -> None:
    count = 2 if len(str(value)) > 100_000 else 250
    frame = pd.DataFrame({"id": range(count), "value": [value] * count})
    assert from_frame(slip, frame, entity_type="Row").entities == count
    assert slip.get("1").properties == {"value": value}


def _while_it_looks(slip: Slipstream, monkeypatch: pytest.MonkeyPatch, entity_type: str, times: int) -> None:
    """Have somebody else create, behind each of the first looks of a batch, the entity that it is about."""
    find, looks = slip.find, 0

    def found(names: Sequence[str]) -> list[Entity]:
        nonlocal looks
        seen = find(names)
        if (looks := looks + 1) <= times:
            slip.pkg.upsert_entity(entity_type, "ada", {"name": "of another writer"})
            return [entity for entity in seen if entity.id != "ada"]
        return seen

    monkeypatch.setattr(slip, "find", found)


def test_what_is_created_meanwhile_is_not_overwritten(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    _while_it_looks(slip, monkeypatch, "Company", 1)
    with Writing(slip) as writing:
        writing.mention("Person", "ada")
        writing.mention("Person", "bob")
    assert writing.brought.entities == 1
    assert slip.get("ada").properties == {"name": "of another writer"}
    _while_it_looks(slip, monkeypatch, "Company", 1)
    with pytest.raises(AlreadyExistsError, match="'ada' is the id of a Company already, which a Person"):
        from_frame(slip, pd.DataFrame({"id": ["ada", "eve"]}), entity_type="Person")
    assert [entity.id for entity in slip.find(["ada", "eve"])] == ["ada"]


def test_a_batch_that_somebody_else_is_always_ahead_of_is_given_up(
    slip: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    _while_it_looks(slip, monkeypatch, "Person", 1_000)
    with pytest.raises(AlreadyExistsError, match="ada"):
        from_frame(slip, pd.DataFrame({"id": ["ada"]}), entity_type="Person")
