"""Text and JSON that every database takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tom_nightshift.ledger import storable

ANY_TEXT = st.text(st.characters())
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


def refused(words):
    return "\x00" in words or any("\ud800" <= letter <= "\udfff" for letter in words)


@given(st.text(st.characters() | st.sampled_from("\x00\ud800\udfff\\u0")), st.integers(1, 50))
def test_text_has_nothing_that_is_refused_and_is_not_too_long(words, limit):
    kept = storable.text(words, limit)
    assert not refused(kept)
    assert len(kept) <= limit
    kept.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_sound_text_is_as_it_was(words):
    assert storable.text(words) == words


@given(ANY_JSON)
def test_json_has_nothing_that_is_refused_and_means_the_same(value):
    kept = json.loads(storable.as_json(value))
    assert not refused(storable.as_json(value))
    assert "\\u0000" not in json.dumps(kept, ensure_ascii=False)
    if not refused(json.dumps(value, ensure_ascii=False)) and "\\u0000" not in json.dumps(value):
        assert kept == value


def test_what_only_looks_like_an_escape_stays():
    assert json.loads(storable.as_json("\\u0000")) == "\\u0000"
    assert json.loads(storable.as_json("\\\x00")) == f"\\{storable.INSTEAD}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}], ids=str)
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        storable.as_json({"value": value})


def test_what_is_inside_itself_or_too_deep_is_refused():
    loop: list[object] = []
    loop.append(loop)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (loop, deep):
        with pytest.raises(ValueError, match=r"Circular|deep"):
            storable.as_json(value)


def test_a_value_that_cannot_say_itself_has_its_kind():
    class Mute:
        def __str__(self):
            raise RuntimeError

    assert storable.text(Mute()) == "(Mute)"
