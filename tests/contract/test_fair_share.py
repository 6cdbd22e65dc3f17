"""Owners of one priority take turns, however many jobs one of them has; and a lower priority is sooner."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, reached, running
from tom_nightshift.ledger import moves
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State

ANN, BEN = 7, 8


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


def send(task, owner=None, times=1, **options):
    return [task.send_with_options(owner=owner, **options) for _ in range(times)]


def claim(limit=1, *, end=True, queues=("default", "other")):
    """Whose jobs are claimed, in order."""
    with own_sql() as sql:
        attempts = claimed(sql, limit=limit, queues=queues)
        for attempt in attempts if end else []:
            moves.finish(sql, attempt.token, State.SUCCEEDED, reason="", error="", result=None)
    return [attempt.owner_id for attempt in attempts]


def test_one_job_does_not_wait_for_five_hundred_of_another(task):
    send(task, ANN, 500)
    send(task, BEN)
    assert claim(2) == [ANN, BEN]


def test_it_comes_soon_also_while_those_run(task):
    send(task, ANN, 100)
    claim(40)
    claim(8, end=False)
    send(task, BEN)
    assert claim(2) == [ANN, BEN]


def test_two_owners_take_turns(task):
    send(task, ANN, 10)
    send(task, BEN, 5)
    assert claim(10) == [ANN, BEN] * 5
    assert claim(10) == [ANN] * 5


def test_many_that_are_asked_for_at_once_take_turns_as_those_one_by_one(task, broker):
    broker.enqueue_many([task.message_with_options(owner=ANN) for _ in range(10)])
    send(task, BEN, 5)
    assert claim(10) == [ANN, BEN] * 5


def test_those_without_an_owner_share_a_lane(task):
    send(task, None, 10)
    send(task, ANN, 2)
    assert claim(4) == [None, ANN] * 2


def test_who_was_busy_before_has_lost_no_turn(task):
    send(task, ANN, 50)
    claim(50)
    send(task, BEN, 5)
    send(task, ANN, 1)
    assert claim(2) == [BEN, ANN]


def test_who_comes_again_and_again_does_not_keep_the_others_back(task):
    send(task, ANN, 10)
    turns = []
    for _ in range(10):
        send(task, BEN)
        turns += claim(1, end=False)
    assert turns.count(ANN) >= 4


def test_while_no_worker_runs_time_stands_where_the_first_waits(task):
    send(task, ANN, 60)
    claim(50)
    send(task, BEN, 20)
    assert claim(6) == [ANN, BEN] * 3


def test_a_retry_keeps_its_place(task):
    send(task, ANN, 3)
    with own_sql() as sql:
        (attempt,) = claimed(sql)
        moves.wait_again(
            sql, attempt.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
        )
        assert [again.job_id for again in claimed(sql)] == [attempt.job_id]


def test_each_priority_has_a_line_of_its_own(task, broker):
    urgent = actor(lambda: None, actor_name="urgent", priority=-10, broker=broker)
    send(urgent, ANN, 30)
    claim(25, end=False)
    send(task, ANN, 3)
    send(task, BEN, 1)
    assert [job_of(message).ord for message in send(task, BEN)] == [2]


def test_all_queues_share_a_line(task, broker):
    other = actor(lambda: None, actor_name="other", queue_name="other", broker=broker)
    send(task, ANN, 5)
    send(other, ANN, 5)
    send(other, BEN)
    assert claim(2) == [ANN, BEN]


def test_it_costs_no_statement(task):
    with CaptureQueriesContext(connection) as few:
        send(task, ANN)
    send(task, ANN, 50)
    with CaptureQueriesContext(connection) as many:
        send(task, ANN)
    assert len(_but_for_news(few)) == len(_but_for_news(many))
    assert len([query for query in many if "tom_nightshift_job" in query["sql"]]) == 1


def _but_for_news(queries):
    """PostgreSQL is asked to tell other machines only so many times a second."""
    return [query for query in queries if not query["sql"].startswith("NOTIFY")]


@pytest.mark.database_carries
def test_a_worker_takes_the_lowest_priority_first_whatever_its_queue(broker):
    gate, ran = threading.Event(), []
    actor(lambda: gate.wait(10), actor_name="first", broker=broker)
    for name, priority, queue in (
        ("late", 50, "default"), ("soon", -5, "other"), ("usual", 0, "default"), ("usual too", 0, "other"),
    ):  # fmt: skip
        actor(
            lambda name=name: ran.append(name),
            actor_name=name, priority=priority, queue_name=queue, broker=broker,
        )  # fmt: skip
    with running(broker, threads=1):
        reached(broker.get_actor("first").send(), state=State.RUNNING)
        messages = [broker.get_actor(name).send() for name in ("late", "usual", "usual too", "soon")]
        gate.set()
        for message in messages:
            ended(message)
    assert ran == ["soon", "usual", "usual too", "late"]
    assert Job.objects.filter(state=State.SUCCEEDED).count() == 5
