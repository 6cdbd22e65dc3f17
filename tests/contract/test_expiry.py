"""``max_age``: a job that waits too long is of no use any more."""

from __future__ import annotations

import pytest

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, reached, running
from tom_nightshift import Later, pause_queue
from tom_nightshift.ledger import moves
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State
from tom_nightshift.web import words


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", max_age=60_000, broker=broker)


def expire():
    with own_sql() as sql:
        found = moves.anything_too_old(sql)
        count = moves.expire(sql)
    assert found == bool(count)
    return count


def test_the_row_knows_until_when_it_is_of_use(task):
    job = job_of(task.send())
    assert 59 < (job.expires_at - job.created_at).total_seconds() < 60.5


def test_it_counts_from_when_the_message_was_made_as_dramatiq_counts(task, broker):
    message = task.message()
    broker.enqueue(message.copy(message_timestamp=message.message_timestamp - 50_000))
    job = job_of(message)
    assert 8 < (job.expires_at - job.created_at).total_seconds() < 10.5


def test_one_call_may_say_it(task, broker):
    job = job_of(task.send_with_options(max_age=3_600_000))
    assert 3_590 < (job.expires_at - job.created_at).total_seconds() < 3_601
    unlimited = actor(lambda: None, actor_name="unlimited", broker=broker)
    assert job_of(unlimited.send()).expires_at is None


@pytest.mark.parametrize("hold", [Hold.NONE, Hold.UNTIL, Hold.PAUSED, Hold.PARKED])
def test_one_that_waits_too_long_expires_whatever_held_it(task, step_clock, hold):
    message = task.send()
    Job.objects.update(hold=hold)
    step_clock(55)
    assert expire() == 0
    step_clock(10)
    assert expire() == 1
    job = job_of(message)
    assert (job.state, job.hold, job.reason, job.attempt) == (State.EXPIRED, Hold.NONE, "expired", 0)
    assert job.finished_at > job.expires_at
    assert words.sentence(job) == "Not started: it was too old when its turn came."


def test_one_that_runs_does_not(task, step_clock):
    message = task.send()
    with own_sql() as sql:
        claimed(sql)
    step_clock(61)
    assert expire() == 0
    assert job_of(message).state == State.RUNNING


def test_a_worker_sees_to_it(broker, task, nightshift):
    nightshift(HEARTBEAT=0.1)
    pause_queue("default")
    with running(broker):
        assert ended(task.send_with_options(max_age=100)).state == State.EXPIRED


def test_one_that_was_tried_says_that_it_was_given_up(broker, nightshift):
    def task():
        raise Later(3600, "waiting for ATLAS")

    nightshift(HEARTBEAT=0.1)
    declared = actor(task, max_age=3_000, broker=broker)
    with running(broker):
        message = declared.send()
        reached(message, snoozes=1)
        job = ended(message)
    assert job.state == State.EXPIRED
    assert words.sentence(job).startswith("Given up at ")


def test_at_the_claim_dramatiqs_age_limit_decides(broker, task):
    message = task.message()
    broker.enqueue(message.copy(message_timestamp=message.message_timestamp - 61_000))
    Job.objects.update(expires_at=None)  # or the sweep may come first
    with running(broker):
        job = ended(message)
    assert (job.state, job.attempt) == (State.EXPIRED, 1)
