"""IRIs have short names, each its own, whatever the order in which they come."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.names import property_fault
from slipstream.importers.rdf.names import RESERVED, short_names, split_iri
from slipstream.importers.rdf.vocabulary import DC, DCTERMS, FOAF, SCHEMA


@pytest.mark.parametrize(
    ("iri", "parts"),
    [
        ("http://example.org/ns#knows", ("http://example.org/ns#", "knows")),
        ("http://example.org/ns/knows", ("http://example.org/ns/", "knows")),
        ("http://example.org/knows/", ("http://example.org/", "knows")),
        ("urn:isbn:5", ("urn:isbn:", "5")),
    ],
)
def test_the_local_name_is_what_comes_last(iri: str, parts: tuple[str, str]) -> None:
    assert split_iri(iri) == parts


def test_the_second_of_two_equal_local_names_is_qualified() -> None:
    mine = "http://example.org/title"
    assert short_names([f"{DC}title", mine, f"{DCTERMS}title"]) == {
        mine: "title",
        f"{DCTERMS}title": "dcterms:title",
        f"{DC}title": "dc:title",
    }
    assert short_names(["http://b.example/x", "http://a.example/x"]) == {
        "http://a.example/x": "x",
        "http://b.example/x": "http://b.example/x",
    }


def test_names_that_a_property_can_not_have_are_not_given() -> None:
    long = "http://example.org/" + "x" * 200
    iris = [f"http://example.org/{name}" for name in ("id", "ID", "_key", "name", "types", "label_lang", "a`b")]
    names = short_names([*iris, long, f"{FOAF}name"], RESERVED)
    assert names["http://example.org/id"] == "http://example.org/id"
    assert names["http://example.org/label_lang"].startswith("label_lang~")
    assert names[f"{FOAF}name"] == "foaf:name"
    assert names[long].startswith("xxxx")
    assert all(property_fault(name) is None and property_fault(f"{name}_lang") is None for name in names.values())


_IRIS = st.lists(
    st.tuples(
        st.sampled_from([SCHEMA, DC, DCTERMS, "http://a/", "http://b#", "urn:x:"]),
        st.text(alphabet="aidDn_/#:`é\u2028", max_size=4),
    ).map("".join),
    max_size=12,
)


@given(_IRIS, st.randoms(use_true_random=False))
def test_names_are_different_and_do_not_depend_on_the_order(iris: list[str], chance: random.Random) -> None:
    names = short_names(iris, RESERVED)
    assert len(set(names.values())) == len(set(iris))
    assert not [fault for name in names.values() if (fault := property_fault(name))]
    shuffled = list(iris)
    chance.shuffle(shuffled)
    assert short_names(shuffled, RESERVED) == names
