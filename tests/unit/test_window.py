"""The window of a rate: in no period more than its number, and as many as that at once."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tom_nightshift.ledger.window import SLICES, Window

steps = st.lists(st.tuples(st.floats(0, 90), st.integers(0, 12)), max_size=40)
"""Seconds that pass, and how many want to begin then."""


def begin(window: Window, wanted: int, now: float) -> int:
    many = min(wanted, window.room())
    window.take(many, now)
    return many


def later(window: Window, now: float) -> Window:
    """As another process reads it from its row."""
    return Window.read(window.number, window.period, window.written(), now)


@given(steps, st.integers(1, 15), st.sampled_from([1.0, 60.0]))
def test_in_no_period_do_more_begin(steps, number, period):
    now, window = 1e9, Window(number, period)
    began: list[float] = []
    for seconds, wanted in steps:
        now += seconds
        window = later(window, now)
        began += [now] * begin(window, wanted, now)
    for start in began:
        assert sum(start <= moment < start + period for moment in began) <= number


@given(steps, st.integers(1, 15))
def test_none_waits_longer_than_it_must(steps, number):
    """But for a slice: a period and a hundredth after the last ones, all may begin again."""
    period, now, window = 60.0, 1e9, Window(number, 60.0)
    began: list[float] = []
    for seconds, wanted in steps:
        now += seconds
        window = later(window, now)
        lately = sum(now - moment < period * (1 + 1.1 / SLICES) for moment in began)
        assert window.room() >= number - lately
        began += [now] * begin(window, wanted, now)


@given(steps, st.integers(1, 15))
def test_it_says_when_the_next_may_begin(steps, number):
    now, window = 1e9, Window(number, 60.0)
    for seconds, wanted in steps:
        now += seconds
        window = later(window, now)
        begin(window, wanted, now)
        opens = window.opens_at()
        if window.room():
            assert opens == -math.inf
        else:
            assert now < opens <= now + 61
            assert later(window, opens + 1e-3).room() > 0
            assert later(window, opens - 1e-3).room() == 0


def test_all_may_begin_at_once():
    assert begin(Window(10, 60), 100, 1e9) == 10


def test_however_many_begin_it_stays_small():
    window = Window(1_000_000, 60)
    for tick in range(10_000):
        now = 1e9 + tick / 100
        window = later(window, now)
        begin(window, 7, now)
    assert len(json.loads(window.written())) <= SLICES + 2


def test_a_clock_that_was_put_back_blocks_nothing_for_longer_than_a_period():
    window = Window(2, 60)
    begin(window, 2, 1e9)
    now = 1e9 - 86_400
    window = later(window, now)
    assert window.room() == 0
    assert later(window, now + 61).room() == 2


@pytest.mark.parametrize("number", [1, 5])
def test_a_number_that_was_lowered_holds_from_then_on(number):
    window = Window(10, 60)
    begin(window, 10, 1e9)
    lowered = Window.read(number, 60, window.written(), 1e9 + 1)
    assert lowered.room() == 0
    assert lowered.opens_at() > 1e9 + 1
