"""The short cuts past a digest's definition give what the definition gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slipstream.adapters.indexes.sqlite.audits import decoded_digests, encoded_digests, summed_digests
from slipstream.domain.digests import (
    Digest,
    RangeDigest,
    is_as_asked,
    merged_by_type,
    stamp_content,
    stamp_term,
    target_content,
    target_term,
)
from slipstream.domain.models import Space
from slipstream.domain.requests import EmbeddingRequest, Target
from slipstream.domain.stamps import Stamp
from slipstream.testkit.records import make_stamp

# Few values for each field, so that pairs are often alike; and values that are equal in Python, but not all the same.
_parts = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["ada", "bob"]),
        "entity_type": st.sampled_from(["Person", "Robot"]),
        "space": st.builds(lambda version: Space("model", version, 8), st.sampled_from(["1", "2"])),
        "fingerprint": st.sampled_from(["f", "g"]),
        "template": st.sampled_from(["", "t"]),
        "confidence": st.sampled_from([None, 0, 0.0, -0.0, 1, 1.0, 0.5]),
        "source": st.sampled_from([None, "", "d"]),
        "metadata": st.sampled_from([{}, {"a": 1}, {"a": 1.0}, {"a": True}]),
    }
)
_one_field = st.tuples(_parts, _parts, st.sampled_from([None, "key", "space", "fingerprint", "confidence", "source"]))


def stamp_of(parts: dict[str, object], *, needs_reembedding: bool = False) -> Stamp:
    return make_stamp(
        parts["key"],  # type: ignore[arg-type]
        space=parts["space"],  # type: ignore[arg-type]
        entity_type=parts["entity_type"],
        fingerprint=parts["fingerprint"],
        extraction_template_version=parts["template"],
        extraction_confidence=parts["confidence"],
        source_document_id=parts["source"],
        metadata=parts["metadata"],
        needs_reembedding=needs_reembedding,
    )


def target_of(parts: dict[str, object]) -> Target:
    stamp = stamp_of(parts)
    return Target(
        key=stamp.key,
        entity_type=stamp.entity_type,
        space=stamp.space,
        fingerprint=stamp.fingerprint,
        template_version=stamp.extraction_template_version,
        request=EmbeddingRequest(stamp.entity_type, "text"),
        metadata=stamp.metadata,
        source_document_id=stamp.source_document_id,
        extraction_confidence=stamp.extraction_confidence,
    )


@given(_one_field, st.booleans())
def test_equal_contents_are_equal_terms(
    given_parts: tuple[dict[str, object], dict[str, object], str | None], needs_reembedding: bool
) -> None:
    held, other, changed = given_parts
    asked = held if changed is None else {**held, changed: other[changed]}
    stamp, target = stamp_of(held, needs_reembedding=needs_reembedding), target_of(asked)
    assert (stamp_content(stamp) == target_content(target)) == (stamp_term(stamp) == target_term(target))
    if is_as_asked(stamp, target):
        assert stamp_term(stamp) == target_term(target)
    elif not held["metadata"] and not asked["metadata"]:
        assert stamp_term(stamp) != target_term(target)


_digests = st.builds(Digest, st.integers(0, 1000), st.integers(0, (1 << 128) - 1))
_by_type = st.dictionaries(st.text(max_size=3), _digests, max_size=4)


@given(st.lists(_by_type, max_size=6))
def test_sums_of_many_are_the_sums_one_by_one(parts: list[dict[str, Digest]]) -> None:
    one_by_one = RangeDigest()
    for part in parts:
        one_by_one.add(RangeDigest(dict(part)))
    texts = [encoded_digests(part) for part in parts]
    assert decoded_digests(texts) == parts
    assert summed_digests(texts) == merged_by_type(parts) == one_by_one.by_type
