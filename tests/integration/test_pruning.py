"""Final jobs go after a time, with all that belongs to them."""

from __future__ import annotations

import pytest

from tests.support.jobs import actor, own_sql
from tom_nightshift.ledger import pruning
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.models import Attempt, Job, Log, Picture
from tom_nightshift.states import State

DAY = 86_400


@pytest.fixture
def prune(broker, step_clock):
    """Prune after so many days."""
    connection = OwnConnection()

    def after(days):
        step_clock(days * DAY)
        return pruning.prune(connection)

    yield after
    connection.close()


@pytest.fixture
def jobs(broker):
    """A job in each state, with an attempt, a piece of log and a picture."""
    task = actor(lambda: None, actor_name="task", broker=broker)
    for state in State:
        message = task.send()
        job = Job.objects.get(message_id=message.message_id)
        with own_sql() as sql:
            finished = f", finished_at = {sql.now}" if state not in (State.WAITING, State.RUNNING) else ""
            sql.run(f"UPDATE tom_nightshift_job SET state = %s{finished} WHERE id = %s", [state, job.id])
        Attempt.objects.create(job=job, number=1, finished_at=job.created_at, outcome=state)
        Log.objects.create(job=job, attempt=1, seq=0, text="line")
        Picture.objects.create(job=job, content_type="image/png", width=1, height=1, data=b"")


def states():
    return set(Job.objects.values_list("state", flat=True))


def test_young_ones_stay(prune, jobs):
    assert prune(29) == 0
    assert states() == set(State)


def test_after_30_days_those_that_succeeded_go_with_all_that_is_theirs(prune, jobs):
    assert prune(31) == 2
    assert states() == set(State) - {State.SUCCEEDED, State.WARNED}
    for parts in (Attempt, Log, Picture):
        assert parts.objects.count() == 6


def test_after_90_days_all_others_go_but_not_those_that_are_open(prune, jobs):
    assert prune(91) == 6
    assert states() == {State.WAITING, State.RUNNING}


def test_the_days_are_settings(prune, jobs, nightshift):
    nightshift(KEEP_DAYS=1, KEEP_FAILED_DAYS=400)
    assert prune(91) == 2


def test_however_many_they_are(prune, jobs, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 2)
    assert prune(91) == 6
