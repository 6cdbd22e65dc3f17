"""Each look of a heartbeat fails alone: no row that refuses its move holds others up, or runs for ever."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager

import pytest
from django.db import connection

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, reached, running
from tests.support.waiting import wait_until
from tom_nightshift.ledger import presence as presences
from tom_nightshift.ledger import rescue
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.presence import Presence
from tom_nightshift.ledger.reporter import Reporter
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.models import Job, Worker
from tom_nightshift.states import Hold, State
from tom_nightshift.worker.heartbeat import Heartbeat


@contextmanager
def refused(state, job_id=None):
    """A trigger in the database refuses this state, for one job or for all."""
    condition = f"NEW.state = '{state}'" + (f" AND NEW.id = {job_id}" if job_id else "")
    name = f"refuses_{state}"
    begin = f"CREATE TRIGGER {name} BEFORE UPDATE ON tom_nightshift_job FOR EACH ROW WHEN ({condition}) "
    if connection.vendor == "postgresql":
        body = "BEGIN RAISE integrity_constraint_violation USING MESSAGE = 'refused'; END"
        execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
        execute(begin + f"EXECUTE FUNCTION {name}()")
    else:
        execute(begin + "BEGIN SELECT RAISE(ABORT, 'refused'); END")
    try:
        yield
    finally:
        if connection.vendor == "postgresql":
            execute(f"DROP FUNCTION {name} CASCADE")
        else:
            execute(f"DROP TRIGGER {name}")


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


@pytest.fixture
def me(broker):
    """A dispatcher that is registered and holds nothing."""
    dispatcher = Dispatcher(2, ["default"], broker.known_tasks, Reporter())
    with own_sql() as sql:
        dispatcher.presence.register(sql, ["default"])
    yield dispatcher
    dispatcher.presence.release_lock()
    dispatcher.bell.close()


@pytest.fixture
def beat(me, broker):
    """One heartbeat of it."""
    heartbeat = Heartbeat(me, broker.known_tasks, lambda task: "again")

    def beat_once():
        with closing(OwnConnection()) as own:
            assert heartbeat.beat(own)

    return beat_once


def claim_two(task, worker):
    sent = [task.send(), task.send()]
    with own_sql() as sql:
        claimed(sql, worker, limit=2)
    return [job_of(message) for message in sent]


def states(*jobs):
    return [Job.objects.get(pk=job.pk).state for job in jobs]


def test_a_row_that_refuses_to_be_put_back_keeps_neither_the_others_nor_the_beat(task, me, beat, caplog):
    bad, good = claim_two(task, me.presence.name)
    Worker.objects.update(beat_at="2020-01-01T00:00Z")
    with refused(State.WAITING, bad.id):
        beat()
        beat()
        assert states(bad, good) == [State.RUNNING, State.WAITING]
        assert f"job {bad.id} could not be put back" in caplog.text
        assert Worker.objects.get().beat_at.year > 2020
    beat()
    beat()
    assert states(bad) == [State.WAITING]


def test_the_same_for_orphans(task, beat, step_clock):
    bad, good = claim_two(task, "gone")
    step_clock(61)
    with refused(State.WAITING, bad.id):
        beat()
        assert states(bad, good) == [State.RUNNING, State.WAITING]
    beat()
    assert states(bad) == [State.WAITING]


def test_the_same_for_a_dead_neighbour_whose_refused_job_becomes_an_orphan(task, beat, step_clock):
    dead = Presence(threads=2)
    with own_sql() as sql:
        dead.register(sql, ["default"])
    bad, good = claim_two(task, dead.name)
    assert dead._lock is not None
    os.close(dead._lock)
    presences._my_nonces.discard(dead.nonce)
    with refused(State.WAITING, bad.id), own_sql() as sql:
        rescue.rescue(sql, "me", lambda task: "again")
    assert states(bad, good) == [State.RUNNING, State.WAITING]
    assert not Worker.objects.filter(name=dead.name).exists()
    step_clock(61)
    beat()
    assert states(bad) == [State.WAITING]


def test_a_look_that_fails_does_not_keep_the_next_from_being_made(task, beat, step_clock, caplog):
    paused, old, orphan = task.send(), task.send_with_options(max_age=1_000), task.send()
    with own_sql() as sql:
        claimed(sql, "gone", limit=3)
    Job.objects.exclude(pk=job_of(orphan).pk).update(state=State.WAITING, hold=Hold.PAUSED)
    step_clock(61)
    with refused(State.WAITING, job_of(paused).id):
        beat()
        assert states(job_of(orphan), job_of(old)) == [State.WAITING, State.EXPIRED]
        assert job_of(paused).hold == Hold.PAUSED
    assert "heartbeat (put_holds_right): IntegrityError" in caplog.text
    beat()
    assert job_of(paused).hold == Hold.NONE


class TestForEver:
    """A row that refuses every end of its task runs again, but not without limit."""

    def test_it_is_set_aside(self, broker, nightshift, caplog):
        nightshift(HEARTBEAT=0.05)
        runs = []
        task = actor(lambda: runs.append(1), actor_name="task", broker=broker)
        with refused(State.SUCCEEDED), running(broker):
            job = ended(task.send())
        assert len(runs) == rescue.MOST_RETURNS + 1
        assert (job.state, job.reason, job.losses, job.failures) == (State.FAILED, "engine", 0, 0)
        assert job.error == "set aside: how it ended could not be written, 4 times"
        assert f"the end of job {job.id} was lost 4 times" in caplog.text
        assert [one.outcome for one in job.attempts.all()] == ["returned"] * 3 + ["failed"]

    def test_one_that_refuses_even_that_does_not_run_any_more(self, broker, nightshift, caplog):
        nightshift(HEARTBEAT=0.05)
        runs = []
        task = actor(lambda: runs.append(1), actor_name="task", broker=broker)
        with refused(State.SUCCEEDED), refused(State.FAILED), running(broker):
            message = task.send()
            reached(message, state=State.RUNNING, attempt=rescue.MOST_RETURNS + 1)
            wait_until(lambda: caplog.text.count("could not be put back") > 1)
            assert len(runs) == rescue.MOST_RETURNS + 1
        Job.objects.all().delete()

    def test_hand_backs_do_not_count(self, task, me, beat):
        message = task.send()
        for _ in range(10):
            with own_sql() as sql:
                (attempt,) = claimed(sql)
                rescue._uncharged(sql, attempt.token)
        with own_sql() as sql:
            claimed(sql, me.presence.name)
        beat()
        beat()
        assert job_of(message).state == State.WAITING
