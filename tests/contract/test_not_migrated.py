"""A worker whose tables are not there, or are those of another version, says what to do and waits for it."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.db import connection

from tests.support.jobs import actor, ended, reached, running
from tests.support.waiting import wait_until
from tom_nightshift.states import State

WITHOUT = {
    "the table of attempts": (
        "tom_nightshift_attempt RENAME TO away",
        "away RENAME TO tom_nightshift_attempt",
    ),
    "a table": ("tom_nightshift_worker RENAME TO away", "away RENAME TO tom_nightshift_worker"),
    "a column": (
        "tom_nightshift_worker RENAME COLUMN nonce TO away",
        "tom_nightshift_worker RENAME COLUMN away TO nonce",
    ),
}


@contextmanager
def without(what):
    take_away, bring_back = WITHOUT[what]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {take_away}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {bring_back}")


@pytest.mark.parametrize("what", ["a table", "a column"])
def test_it_says_run_migrate_and_goes_on_once_that_was_done(broker, caplog, what):
    caplog.set_level("WARNING", logger="nightshift")
    task = actor(lambda: None, actor_name="task", broker=broker)
    with without(what):
        message = task.send()
        with running(broker):
            wait_until(lambda: "trying again" in caplog.text)
    assert "run ./manage.py migrate" in caplog.text
    assert "does not answer" not in caplog.text
    with running(broker):
        assert ended(message).state == State.SUCCEEDED


def test_how_a_job_ended_meanwhile_is_kept_until_they_are_there(broker, caplog):
    caplog.set_level("WARNING", logger="nightshift")
    gate = threading.Event()
    task = actor(lambda: gate.wait(10) and "kept", actor_name="task", broker=broker)
    with running(broker):
        message = task.send()
        reached(message, state=State.RUNNING)
        with without("the table of attempts"):
            gate.set()
            wait_until(lambda: "run ./manage.py migrate" in caplog.text)
        job = ended(message)
    assert (job.state, job.attempt, job.result["value"], job.error) == (State.SUCCEEDED, 1, "kept", "")
