"""``rate``: of one key not more than so many attempts begin in a period, on all machines together."""

from __future__ import annotations

import pytest
from django.db import transaction

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, reached, running
from tests.support.rivals import race
from tom_nightshift import pause_queue
from tom_nightshift.ledger import admission, limits, moves
from tom_nightshift.models import Job, Limit
from tom_nightshift.states import Hold, State

MOMENT = 61
"""Seconds: a minute, and the hundredth by which the log of a rate is coarse."""


@pytest.fixture
def ask(broker):
    """Three in a minute."""
    return actor(lambda *_: None, actor_name="ask", rate=("ATLAS", "3/m"), broker=broker)


def admit(at_most=9):
    with own_sql() as sql:
        return admission.admit(sql, at_most)


def claim(limit=9):
    with own_sql() as sql:
        return claimed(sql, limit=limit)


def until_open():
    with own_sql() as sql:
        return admission.seconds_until_open(sql)


def test_so_many_begin_and_the_next_when_a_minute_has_passed(ask, step_clock):
    for _ in range(5):
        ask.send()
    assert set(Job.objects.values_list("hold", "rate_key")) == {(Hold.RATE, "ATLAS")}
    assert claim() == []
    assert admit() == 3
    assert len(claim()) == 3
    assert admit() == 0
    assert 55 < until_open() < 61
    step_clock(55)
    assert admit() == 0
    step_clock(6)
    assert admit() == 2


def test_not_more_are_let_go_than_can_begin_and_none_while_one_of_them_has_not(ask):
    for _ in range(5):
        ask.send()
    assert admit(at_most=0) == 0
    assert admit(at_most=1) == 1
    assert admit(at_most=9) == 0
    claim()
    assert admit(at_most=9) == 2


def test_each_attempt_counts_once(ask):
    ask.send()
    for times in (1, 2, 3):
        assert admit() == 1
        (attempt,) = claim()
        assert attempt.number == times
        with own_sql() as sql:
            moves.wait_again(
                sql, attempt.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
            )
    assert (Job.objects.get().hold, admit()) == (Hold.RATE, 0)


def test_the_soonest_comes_first(ask, broker):
    sooner = actor(lambda: None, actor_name="sooner", priority=-1, rate=("ATLAS", "3/m"), broker=broker)
    for _ in range(3):
        ask.send()
    soonest = sooner.send()
    admit(at_most=1)
    assert job_of(soonest).hold == Hold.NONE


def test_a_rate_and_a_limit_a_slot_is_held_while_the_rate_is_waited_for(broker):
    both = actor(lambda: None, actor_name="both", limit=("ATLAS", 2), rate=("ATLAS", "1/m"), broker=broker)
    for _ in range(4):
        both.send()
    assert set(Job.objects.values_list("hold", flat=True)) == {Hold.LIMIT}
    admit()
    assert sorted(Job.objects.values_list("hold", flat=True)) == ["", "limit", "limit", "rate"]
    assert {row.kind for row in Limit.objects.all()} == {"limit", "rate"}


def test_a_paused_one_gives_its_turn_away(ask):
    ask.send()
    pause_queue("default")
    assert (Job.objects.get().hold, admit()) == (Hold.PAUSED, 0)


def test_eight_that_admit_at_once_let_no_more_go(ask):
    for _ in range(20):
        ask.send()

    def rival(number):
        for _ in range(5):
            with own_sql() as sql:
                admission.admit(sql, 9)
                claimed(sql, f"host:{number}:a", limit=1)

    assert race(8, rival) == [None] * 8
    assert Job.objects.filter(state=State.RUNNING).count() == 3


def test_nobody_who_asks_waits_for_one_who_admits_nor_the_other_way_round(ask):
    ask.send()
    admit()
    with transaction.atomic():
        ask.send()
        if transaction.get_connection().vendor == "postgresql":
            claim()
            assert admit() == 0  # what is not committed is not seen, and nothing is waited for
    assert Limit.objects.get().number == 3


def test_a_worker_that_starts_brings_its_number(ask, broker):
    ask.send()
    ask.options["rate"] = ("ATLAS", "100/h")
    with own_sql() as sql:
        assert limits.renew(sql, limits.declared(ask)) == 1
    row = Limit.objects.get()
    assert (row.number, row.period) == (100, 3600)


def test_one_that_nobody_has_declared_is_one_a_minute(ask):
    ask.send(), ask.send()
    Limit.objects.all().delete()
    assert (admit(), len(claim()), admit()) == (1, 1, 0)


def test_a_worker_waits_for_the_moment_and_does_not_ask_again_and_again(broker):
    task = actor(lambda: None, actor_name="task", rate="2/s", broker=broker)
    with running(broker):
        messages = [task.send() for _ in range(6)]
        for message in messages:
            assert ended(message).state == State.SUCCEEDED
    began = sorted(job.started_at.timestamp() for job in Job.objects.all())
    for first, third in zip(began, began[2:], strict=False):
        assert third - first > 0.9  # the moment at which it was let go counts; it begins a little later


def test_one_that_was_let_go_and_that_nobody_takes_keeps_the_others_back(broker):
    task = actor(lambda: None, actor_name="task", rate="10/s", broker=broker)
    blocked = actor(lambda: None, actor_name="elsewhere", queue_name="elsewhere", rate="10/s", broker=broker)
    with running(broker, queues={"default"}):
        ended(task.send())
        reached(blocked.send(), hold=Hold.NONE)
        waits = blocked.send()
        ended(task.send())
        assert job_of(waits).hold == Hold.RATE
