"""The server throws everybody out, or somebody holds the lock: a worker waits, says so, and loses nothing."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from functools import partial

import psycopg
import pytest
from django.db import connection

from tests.support.jobs import actor, ended, job_of, reached, running
from tests.support.rivals import holding
from tests.support.waiting import wait_until
from tom_nightshift.ledger import dispatcher
from tom_nightshift.ledger.notices import ListeningConnection
from tom_nightshift.states import State

AWAY = "the database does not answer"
BACK = "the database answers again"


@contextmanager
def locked():
    """Somebody holds the write lock of the file."""
    with holding(lambda sql: None):
        yield


@contextmanager
def closed_to_all():
    """The server throws everybody out of the database, and lets nobody in."""
    wanted = connection.get_connection_params() | {"dbname": "postgres"}
    known = {key: wanted[key] for key in ("host", "port", "user", "password", "dbname") if key in wanted}
    name = connection.settings_dict["NAME"]
    connection.close()
    with closing(psycopg.connect(**known, autocommit=True)) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@pytest.fixture
def away(monkeypatch, caplog):
    """While its block runs, the worker cannot write."""
    caplog.set_level("INFO", logger="nightshift")
    monkeypatch.setattr(dispatcher, "ListeningConnection", partial(ListeningConnection, patience=0.05))
    return locked if connection.vendor == "sqlite" else closed_to_all


def test_what_ended_meanwhile_is_written_once_it_is_back(broker, away, caplog):
    go_on = threading.Event()
    ran = []

    def work():
        ran.append(1)
        assert go_on.wait(20)

    task = actor(work, actor_name="work", broker=broker)
    with running(broker):
        message = task.send()
        reached(message, state=State.RUNNING)
        wait_until(lambda: ran)
        with away():
            go_on.set()
            wait_until(lambda: AWAY in caplog.text, what="it says so")
        job = ended(message, at_most=20)

    assert (job.state, job.attempt, job.failures, job.losses) == (State.SUCCEEDED, 1, 0, 0)
    assert ran == [1]
    wait_until(lambda: BACK in caplog.text)


def test_it_is_said_once_for_each_try_and_the_tries_grow_rare(broker, away, caplog):
    with running(broker) as worker:
        assert worker.broker.dispatcher.registered.wait(10)  # type: ignore[attr-defined]
        task = actor(lambda: None, actor_name="work", broker=broker)
        message = task.send()
        ended(message)
        caplog.clear()
        with away():
            worker.broker.dispatcher.anew = True  # type: ignore[attr-defined]
            worker.broker.dispatcher.bell.ring_here()  # type: ignore[attr-defined]
            wait_until(lambda: caplog.text.count(AWAY) >= 2, what="two tries")
        wait_until(lambda: BACK in caplog.text, at_most=20)
        assert caplog.text.count(AWAY) < 6
        assert job_of(message).state == State.SUCCEEDED


def test_a_worker_that_starts_meanwhile_waits_for_it(broker, away, caplog):
    task = actor(lambda: "done", actor_name="work", broker=broker)
    message = task.send()
    with away():
        worker = running(broker)
        worker.__enter__()
        wait_until(lambda: AWAY in caplog.text, what="it says so")
    try:
        assert ended(message, at_most=20).state == State.SUCCEEDED
    finally:
        worker.__exit__(None, None, None)
