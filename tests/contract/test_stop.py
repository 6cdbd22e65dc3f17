"""Stopping a job: at once while it waits, at its next word while it runs."""

from __future__ import annotations

import threading

import pytest

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, reached, running
from tests.support.rivals import race
from tom_nightshift import Later, checkpoint, progress
from tom_nightshift.ledger import ending, moves, outcomes, reporter
from tom_nightshift.ledger.ending import Stage
from tom_nightshift.states import Hold, State


def stop(job_id, by="ann"):
    with own_sql() as sql:
        return moves.stop(sql, job_id, by)


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


@pytest.mark.parametrize("delay", [None, 60_000])
def test_a_waiting_job_is_stopped_at_once_and_never_begins(task, broker, delay):
    message = task.send_with_options(delay=delay)
    assert stop(job_of(message).id) == State.STOPPED
    job = job_of(message)
    assert (job.state, job.hold, job.error, job.stop_by) == (State.STOPPED, "", "stopped by ann", "ann")
    assert job.finished_at is not None
    with own_sql() as sql:
        assert claimed(sql) == []


def test_a_running_job_is_asked_and_stops_at_its_next_word(broker, monkeypatch):
    monkeypatch.setattr(reporter, "INTERVAL", 0.05)
    gate = threading.Event()

    def task():
        while not gate.wait(0.01):
            progress(1)

    task = actor(task, broker=broker)
    with running(broker):
        message = task.send()
        job = reached(message, state=State.RUNNING)
        assert stop(job.id) == State.RUNNING
        job = ended(message)
        gate.set()
    assert (job.state, job.reason, job.error) == (State.STOPPED, "stopped", "stopped")


def test_a_job_that_finishes_before_it_hears_of_it_has_succeeded(broker):
    gate = threading.Event()
    task = actor(lambda: gate.wait(10), actor_name="task", broker=broker)
    with running(broker):
        message = task.send()
        stop(reached(message, state=State.RUNNING).id)
        gate.set()
        assert ended(message).state == State.SUCCEEDED


def test_a_job_that_fails_when_a_stop_was_asked_is_not_tried_again(broker):
    gate = threading.Event()

    def task():
        gate.wait(10)
        raise ValueError

    task = actor(task, max_attempts=5, broker=broker)
    with running(broker):
        message = task.send()
        stop(reached(message, state=State.RUNNING).id)
        gate.set()
        job = ended(message)
    assert (job.state, job.attempt) == (State.STOPPED, 1)
    tried = job.attempts.get()
    assert (tried.outcome, tried.error) == ("stopped", "ValueError")


def test_a_job_that_puts_itself_off_when_a_stop_was_asked_is_stopped(broker):
    gate = threading.Event()

    def task():
        gate.wait(10)
        raise Later(600, "waiting for ATLAS")

    task = actor(task, broker=broker)
    with running(broker):
        message = task.send()
        stop(reached(message, state=State.RUNNING).id)
        gate.set()
        job = ended(message)
    assert (job.state, job.snoozes) == (State.STOPPED, 0)
    assert job.attempts.get().outcome == "stopped"


def test_the_row_of_a_job_that_was_ended_by_force_says_so(task):
    """Alone in its process it is ended before the next report."""
    job = job_of(task.send())
    with own_sql() as sql:
        (attempt,) = claimed(sql)
        moves.stop(sql, job.id, "ann")
        attempt.ending = ending.ask(0.0)
        attempt.ending.stage = attempt.ending.done = Stage.KILLED
        outcomes.write(sql, attempt, outcomes.forced(attempt))
    job.refresh_from_db()
    assert (job.state, job.stop_stage) == (State.STOPPED, Stage.KILLED)


def test_a_final_job_cannot_be_stopped_nor_one_that_is_not_there(task):
    job = job_of(task.send())
    assert stop(job.id) == State.STOPPED
    assert stop(job.id) is None
    assert stop(10**9) is None


def test_a_stop_that_races_with_a_retry_is_never_lost(task):
    """Between two statements, one for each state, a job could go from running to waiting unseen."""
    for _ in range(15):
        job = job_of(task.send())
        with own_sql() as sql:
            (attempt,) = claimed(sql)

        def ask_or_retry(number, attempt=attempt):
            with own_sql() as sql:
                if number == 0:
                    return moves.stop(sql, attempt.job_id, "ann")
                return moves.wait_again(
                    sql, attempt.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
                )

        asked, _moved = race(2, ask_or_retry)
        job.refresh_from_db()
        assert asked in (State.STOPPED, State.RUNNING)
        assert job.state == State.STOPPED


def test_an_attempt_that_has_lost_its_row_is_told_so(broker, monkeypatch):
    """A worker that was taken for dead wakes up: what it runs was given to another."""
    monkeypatch.setattr(reporter, "INTERVAL", 0.05)
    told = threading.Event()

    def task():
        try:
            while True:
                checkpoint()
        except BaseException:
            told.set()
            raise

    task = actor(task, broker=broker)
    with running(broker) as worker:
        message = task.send()
        job = reached(message, state=State.RUNNING)
        broker.dispatcher.stop_claiming()
        with own_sql() as sql:
            moves.wait_again(
                sql, (job.id, 1), charge="", reason="", error="", message=None, hold=Hold.PAUSED, delay=0
            )
        assert told.wait(10)
    assert worker is not None
    assert job_of(message).state == State.WAITING
