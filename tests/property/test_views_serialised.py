"""Views as JSON: nothing is lost, and what is not ours is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.entities import Direction
from slipstream.domain.errors import CorruptionError
from slipstream.views.declaration import Chain, Via, View
from slipstream.views.serialised import views_from_json, views_to_json

_names = st.text(min_size=1, max_size=12)
_vias = st.builds(
    Via, _names, st.sampled_from(Direction), st.lists(_names, max_size=3).map(tuple), st.integers(1, 1_000)
)
_chains = st.builds(
    Chain,
    _names,
    st.sampled_from(Direction),
    st.integers(1, 5),
    st.lists(_names, max_size=3).map(tuple),
    st.integers(1, 1_000),
)
_views = st.builds(
    View,
    type=_names,
    template=st.none() | st.text(),
    via=st.dictionaries(_names, _vias, max_size=3),
    model=st.none() | _names,
    metadata=st.lists(_names, max_size=3).map(tuple),
    temporal=st.sampled_from([None, True, False]),
    is_relationship=st.booleans(),
    causes=st.none() | _chains,
    sequence=st.none() | _chains,
)


@given(st.lists(_views, max_size=4))
def test_nothing_is_lost(views: list[View]) -> None:
    found = views_from_json(views_to_json(views))
    assert found == views
    assert [repr(view) for view in found] == [repr(view) for view in views], "types are kept, too"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 2),
        (("views",), None),
        (("views", 0, "type"), ...),
        (("views", 0, "colour"), "red"),
        (("views", 0, "via", "employer", "direction"), "sideways"),
        (("views", 0, "via", "employer", "hops"), 3),
    ],
)
def test_what_can_not_be_read_is_refused(path: tuple[str | int, ...], value: object) -> None:
    content = json.loads(views_to_json([View("Person", via={"employer": Via("WORKS_AT")})]))
    place = content
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(CorruptionError):
        views_from_json(json.dumps(content))
    with pytest.raises(CorruptionError):
        views_from_json("no json")
