"""The log of an attempt in memory: bounded, whole lines, its beginning and its end kept, nothing twice."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tom_nightshift.ledger.logbuffer import LONGEST_HALF_LINE, LogBuffer

LARGE = 1_000_000
SMALL = 200
LEFT_OUT = 40
"""Bytes that the line about what is left out may take beyond the limit."""

lines_of_text = st.lists(st.text("aZ é☃\N{GRINNING FACE}", max_size=60), max_size=40)
"""One to four bytes a character."""


class Row:
    """What stands in the database: pieces by their place."""

    def __init__(self) -> None:
        self.pieces: dict[int, str] = {}

    def write(self, pieces):
        for piece in pieces:
            assert piece.replaces or piece.seq not in self.pieces, "a piece was written twice"
            self.pieces[piece.seq] = piece.text
        return self

    @property
    def text(self):
        return "".join(text for _, text in sorted(self.pieces.items()))


def written(buffer):
    return Row().write(buffer.take()).text


@given(lines_of_text)
def test_what_fits_is_kept_as_it_is(lines):
    buffer = LogBuffer(LARGE)
    for line in lines:
        buffer.add(line)
    assert written(buffer) == "".join(f"{line}\n" for line in lines)


@given(lines_of_text, st.integers(2, 300), st.lists(st.booleans()))
def test_it_is_bounded_however_it_is_taken(lines, limit, takes):
    buffer, row = LogBuffer(limit), Row()
    for number, line in enumerate(lines):
        buffer.add(line)
        if number < len(takes) and takes[number]:
            row.write(buffer.take())
    row.write(buffer.take())
    assert len(row.text.encode()) <= limit + LEFT_OUT


@given(st.integers(1, 400), st.lists(st.booleans()))
def test_the_beginning_and_the_end_are_kept_and_the_gap_is_counted(count, takes):
    buffer, row = LogBuffer(SMALL), Row()
    for number in range(count):
        buffer.add(f"line {number}")
        if number < len(takes) and takes[number]:
            row.write(buffer.take())
    lines = row.write(buffer.take()).text.splitlines()

    gap = [line for line in lines if "left out" in line]
    kept = [int(line.split()[1]) for line in lines if line not in gap]
    left_out = int(gap[0].split()[1]) if gap else 0
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(kept) + left_out == count
    assert len(gap) <= 1
    jumps = [(before, after) for before, after in pairwise(kept) if after != before + 1]
    assert jumps == ([(jumps[0][0], jumps[0][0] + left_out + 1)] if left_out else [])


@given(st.integers(1, 120), st.lists(st.sampled_from(["written", "refused", "wait"]), max_size=120))
def test_what_could_not_be_written_comes_again_in_order_and_once(count, ends):
    buffer, without_trouble, row = LogBuffer(SMALL), LogBuffer(SMALL), Row()
    for number in range(count):
        buffer.add(f"line {number}")
        without_trouble.add(f"line {number}")
        end = ends[number] if number < len(ends) else "wait"
        if end == "written":
            row.write(buffer.take())
        elif end == "refused":
            buffer.give_back(buffer.take())
    assert row.write(buffer.take()).text == written(without_trouble)


def test_nothing_new_gives_nothing():
    buffer = LogBuffer(LARGE)
    buffer.add("one")
    buffer.take()
    assert buffer.take() == []


def test_the_tail_is_given_again_only_when_it_changed():
    buffer = LogBuffer(20)
    for number in range(9):
        buffer.add(f"line {number}")
    first, second = buffer.take()
    assert (first.replaces, second.replaces) == (False, True)
    assert buffer.take() == []
    buffer.add("line 9")
    (again,) = buffer.take()
    assert (again.seq, again.replaces) == (second.seq, True)


def test_one_line_longer_than_all_is_cut():
    buffer = LogBuffer(100)
    buffer.add("x" * 1000)
    assert written(buffer).endswith("…\n")
    assert len(written_again(buffer).encode()) <= 100


def written_again(buffer):
    buffer.add("y" * 1000)
    return Row().write(buffer.take()).text.partition("left out …\n")[2]


@given(st.lists(st.text("ab\n", max_size=9), max_size=30))
def test_prints_make_whole_lines_however_they_are_cut(parts):
    buffer = LogBuffer(LARGE)
    for part in parts:
        buffer.write(part, "12:00:00")
    buffer.end_line("12:00:00")
    lines = [line for line in "".join(parts).split("\n") if line]
    assert written(buffer) == "".join(f"12:00:00 {line}\n" for line in lines)


def test_a_half_line_waits_for_its_end():
    buffer = LogBuffer(LARGE)
    buffer.write("half", "12:00:00")
    assert buffer.take() == []
    buffer.write(" and half\n", "12:00:01")
    assert written(buffer) == "12:00:01 half and half\n"


@pytest.mark.parametrize("bar", ["10%\r50%\r100%\n", "10%\r50%\r100%\r\n"])
def test_a_bar_that_redraws_itself_leaves_its_last_state(bar):
    buffer = LogBuffer(LARGE)
    buffer.write(bar, "12:00:00")
    assert written(buffer) == "12:00:00 100%\n"


def test_a_line_that_never_ends_does_not_stay_in_memory():
    buffer = LogBuffer(LARGE)
    for _ in range(LONGEST_HALF_LINE + 1):
        buffer.write("x", "12:00:00")
    assert len(written(buffer)) > LONGEST_HALF_LINE


def test_half_a_surrogate_does_no_harm():
    buffer = LogBuffer(20)
    for _ in range(20):
        buffer.add("\ud800")
    assert written(buffer).startswith("\ud800")
