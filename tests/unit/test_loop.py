"""The one background loop: it ticks until it is told to stop, whatever a tick meets."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.support.waiting import wait_until
from tom_nightshift.loop import Loop

NEVER = 3600.0


@pytest.fixture
def looping():
    """Start loops; they are stopped after the test."""
    started = []

    def start(tick: Callable[[], object], interval: float, *needed: Callable[[], bool]) -> Loop:
        loop = Loop("test", tick, interval, *needed)
        loop.start()
        started.append(loop)
        return loop

    yield start
    for loop in started:
        loop.stop()
        assert not loop.is_alive()


def test_it_ticks_at_once_and_again(looping):
    ticks = []
    looping(lambda: ticks.append(1), 0.001)
    wait_until(lambda: len(ticks) > 3)


def test_an_error_in_a_tick_is_reported_and_does_not_end_it(looping, caplog):
    ticks = []

    def fail():
        ticks.append(1)
        raise ValueError("this tick")

    looping(fail, 0.001)
    wait_until(lambda: len(ticks) > 3)
    assert "nightshift-test: ValueError: this tick" in caplog.text


def test_waking_makes_the_next_tick_come_at_once(looping):
    ticks = []
    loop = looping(lambda: ticks.append(1), NEVER)
    wait_until(lambda: len(ticks) == 1)
    loop.wake()
    wait_until(lambda: len(ticks) == 2)


def test_stopping_does_not_wait_for_the_interval_but_for_the_tick(looping):
    inside, go_on, done = threading.Event(), threading.Event(), []

    def tick():
        inside.set()
        go_on.wait(10)
        done.append(1)

    loop = looping(tick, NEVER)
    inside.wait(10)
    threading.Timer(0.05, go_on.set).start()
    loop.stop()
    assert (done, loop.is_alive()) == ([1], False)


def test_it_sleeps_while_it_is_not_needed(looping):
    ticks: list[int] = []
    looks: list[int] = []
    work = threading.Event()

    def needed():
        looks.append(len(ticks))
        return work.is_set()

    loop = looping(lambda: ticks.append(1), 0.001, needed)
    wait_until(lambda: len(looks) == 1)
    loop.rouse()
    wait_until(lambda: len(looks) == 2)
    assert (looks, ticks) == ([1, 1], [1])
    work.set()
    loop.rouse()
    wait_until(lambda: len(ticks) > 3)


def test_one_that_sleeps_can_be_stopped(looping):
    loop = looping(lambda: None, 0.001, lambda: False)
    wait_until(lambda: loop.resting)
    loop.stop()
    assert not loop.is_alive()


def test_a_tick_may_stop_its_own_loop(looping):
    ticks = []

    def tick():
        ticks.append(1)
        loop.stop()

    loop = Loop("test", tick, 0.001)
    loop.start()
    loop.join(10)
    assert ticks == [1]


def test_one_that_never_began_can_be_stopped():
    Loop("test", lambda: None, NEVER).stop()


def test_it_does_not_keep_its_process_alive():
    assert Loop("test", lambda: None, NEVER).daemon
