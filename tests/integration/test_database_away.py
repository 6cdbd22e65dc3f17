"""A database that is away makes the worker wait and say so, not die, and nothing is lost."""

from __future__ import annotations

import logging
import threading

import pytest
from django.db import OperationalError, connection

from tests.support.jobs import actor, ended, job_of, own_sql, reached, running
from tests.support.rivals import holding
from tests.support.waiting import wait_until
from tom_nightshift.ledger import dispatcher as dispatching
from tom_nightshift.ledger import session
from tom_nightshift.ledger.notices import ListeningConnection
from tom_nightshift.models import Job
from tom_nightshift.states import State


@pytest.fixture(autouse=True)
def hear(caplog):
    caplog.set_level(logging.INFO, logger="nightshift")


@pytest.fixture
def away(monkeypatch):
    """Takes the database away from Nightshift's own connections, and brings it back."""
    gone = threading.Event()
    true_opened = session.OwnConnection._opened

    def opened(self):
        if gone.is_set():
            raise OperationalError("server closed the connection unexpectedly")
        return true_opened(self)

    monkeypatch.setattr(session.OwnConnection, "_opened", opened)
    return gone


def test_it_waits_says_so_and_goes_on(broker, away, caplog):
    task = actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        ended(task.send())
        away.set()
        message = task.send()  # the site's own connection works
        wait_until(lambda: "the database does not answer" in caplog.text)
        assert job_of(message).state == State.WAITING
        away.clear()
        assert ended(message).state == State.SUCCEEDED
        wait_until(lambda: "the database answers again" in caplog.text)


def test_how_a_job_ended_meanwhile_is_kept_until_then(broker, away, caplog):
    gate, over = threading.Event(), threading.Event()

    def task():
        gate.wait(10)
        over.set()
        return "kept"

    task = actor(task, broker=broker)
    with running(broker):
        message = task.send()
        reached(message, state=State.RUNNING)
        away.set()
        gate.set()
        assert over.wait(10)
        wait_until(lambda: "the database does not answer" in caplog.text)
        away.clear()
        job = ended(message)
    assert (job.state, job.attempt, job.result["value"]) == (State.SUCCEEDED, 1, "kept")


def test_a_worker_that_is_told_to_end_meanwhile_ends(broker, away, caplog, monkeypatch):
    task = actor(lambda: None, actor_name="task", broker=broker)
    true_stop = dispatching.Dispatcher.stop
    monkeypatch.setattr(dispatching.Dispatcher, "stop", lambda self: true_stop(self, timeout=0.5))
    with running(broker):
        ended(task.send())
        away.set()
        wait_until(lambda: "the database does not answer" in caplog.text)
    away.clear()
    broker.dispatcher.join(10)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite's one lock")
def test_a_lock_held_longer_than_its_patience_loses_nothing(broker, caplog, monkeypatch):
    monkeypatch.setattr(dispatching, "ListeningConnection", lambda: ListeningConnection(patience=0.1))
    gate = threading.Event()
    task = actor(lambda: gate.wait(10) and "kept", actor_name="task", broker=broker)
    with running(broker):
        message = task.send()
        reached(message, state=State.RUNNING)
        with holding(lambda sql: sql.run("UPDATE tom_nightshift_job SET title = title")):
            gate.set()
            wait_until(lambda: "database is locked" in caplog.text)
        job = ended(message)
    assert (job.state, job.attempt, job.result["value"]) == (State.SUCCEEDED, 1, "kept")


@pytest.mark.postgres
def test_connections_that_the_server_ended_are_opened_again(broker):
    """As after a restart of the server."""
    task = actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        ended(task.send())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchone()[0] > 0
        assert ended(task.send()).state == State.SUCCEEDED


@pytest.mark.postgres
def test_a_reply_that_was_lost_after_the_commit_ends_no_job_twice(broker, monkeypatch, caplog):
    """The outcome stood in the row already: writing it again changes nothing."""
    once = iter([True])
    true_frame = session.OwnSql.frame

    def lose_the_reply(sql, statement):
        true_frame(sql, statement)
        ours = statement == "COMMIT" and threading.current_thread().name == "nightshift-dispatcher"
        if ours and ended_on(sql) and next(once, False):
            raise OperationalError("the connection is lost")

    def ended_on(sql):
        # On the dispatcher's own connection: one of Django's would stay open in its thread.
        return sql.rows("SELECT 1 FROM tom_nightshift_job WHERE state = 'succeeded'")

    task = actor(lambda: None, actor_name="task", broker=broker)
    with running(broker):
        ended(task.send())
        Job.objects.all().delete()
        monkeypatch.setattr(session.OwnSql, "frame", lose_the_reply)
        message = task.send()
        ended(message)
        wait_until(lambda: "came too late" in caplog.text)
        assert ended(task.send()).state == State.SUCCEEDED
    job = job_of(message)
    assert (job.state, job.attempts.count()) == (State.SUCCEEDED, 1)
    with own_sql() as sql:
        assert sql.rows("SELECT count(*) FROM tom_nightshift_worker") == [(0,)]
