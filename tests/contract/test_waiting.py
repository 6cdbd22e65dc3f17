"""Delayed and prioritised jobs stay in the database until they are due, and come in order."""

from __future__ import annotations

import threading

import pytest

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, running
from tests.support.rivals import race
from tom_nightshift.ledger import moves
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


def test_a_delayed_job_is_not_claimed_before_it_is_due_and_is_claimed_then(task, step_clock):
    job = job_of(task.send_with_options(delay=60_000))
    with own_sql() as sql:
        assert (moves.release_due(sql), claimed(sql)) == (0, [])
        assert 50 < moves.worth_claiming(sql, ["default"]).until_due <= 60
    step_clock(61)
    with own_sql() as sql:
        assert moves.release_due(sql) == 1
        assert [attempt.job_id for attempt in claimed(sql)] == [job.id]


def test_a_worker_begins_a_delayed_job_when_it_is_due(broker, task):
    with running(broker):
        job = ended(task.send_with_options(delay=300))
    assert 0.3 <= (job.started_at - job.created_at).total_seconds() < 5


def test_a_delay_survives_the_worker(broker, task):
    with running(broker):
        message = task.send_with_options(delay=3_600_000)
    assert (job_of(message).state, job_of(message).hold) == (State.WAITING, Hold.UNTIL)


def test_of_eight_rivals_each_due_job_is_released_once(task, step_clock):
    for _ in range(30):
        task.send_with_options(delay=1_000)
    step_clock(2)

    def release(_number):
        with own_sql() as sql:
            return moves.release_due(sql)

    released = race(8, release)
    assert all(isinstance(count, int) for count in released), released
    with own_sql() as sql:
        left = moves.release_due(sql)
    assert sum(released) + left == 30


def test_release_lets_a_held_job_begin_at_once(task):
    job = job_of(task.send_with_options(delay=3_600_000))
    with own_sql() as sql:
        assert moves.release(sql, []) == 0
        assert moves.release(sql, [job.id]) == 1
        assert len(claimed(sql)) == 1


@pytest.mark.database_carries
def test_inside_a_process_too_the_lower_priority_runs_first(broker):
    order, gate = [], threading.Event()
    first = actor(gate.wait, actor_name="first", broker=broker)
    low = actor(lambda: order.append("low"), actor_name="low", priority=100, queue_name="a", broker=broker)
    high = actor(lambda: order.append("high"), actor_name="high", priority=1, queue_name="b", broker=broker)
    with running(broker, threads=1):
        first.send()
        sent = [low.send(), low.send(), high.send()]
        gate.set()
        for message in sent:
            ended(message)
    assert order == ["high", "low", "low"]


def test_nothing_is_claimed_ahead_of_a_free_thread(broker, task):
    gate, begun = threading.Event(), threading.Semaphore(0)

    def hold():
        begun.release()
        gate.wait(10)

    slow = actor(hold, actor_name="slow", broker=broker)
    with running(broker, threads=2):
        slow.send(), slow.send()
        assert begun.acquire(timeout=10)
        assert begun.acquire(timeout=10)
        waiting = [task.send() for _ in range(5)]
        broker.dispatcher.bell.ring_here()
        assert Job.objects.filter(state=State.RUNNING).count() == 2
        gate.set()
        assert [ended(message).attempt for message in waiting] == [1] * 5
