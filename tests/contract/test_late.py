"""What an attempt says too late, or what its row will not take, changes nothing and holds nobody up."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from tests.support.jobs import actor, claimed, ended, in_hand, job_of, log_of, own_sql, reached, running
from tests.support.waiting import wait_until
from tom_nightshift.ledger import moves
from tom_nightshift.ledger.outcomes import Outcome, write
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


@pytest.fixture
def late(task):
    """A message whose first attempt was taken for dead while the second runs, and that first attempt."""
    message = task.send()
    with own_sql() as sql:
        (first,) = claimed(sql)
        moves.wait_again(
            sql, first.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
        )
        claimed(sql)
    return message, first


def test_the_last_words_of_a_late_attempt_are_refused_with_its_outcome(late):
    message, first = late
    first.reports.done, first.reports.total, first.reports.note, first.reports.changed = 3, 4, "late", True
    first.log.add("late")
    with own_sql() as sql:
        assert not write(sql, first, Outcome(State.SUCCEEDED))
    job = job_of(message)
    assert (job.state, job.done, job.total, job.note, log_of(job)) == (State.RUNNING, None, None, "", [])


@pytest.fixture
def refused(monkeypatch):
    """Ids of jobs whose rows refuse every end."""
    ids: set[int] = set()
    true_finish, true_finish_all = moves.finish, moves.finish_all

    def finish(sql, token, state, **values):
        if token[0] in ids:
            raise IntegrityError("refused")
        return true_finish(sql, token, state, **values)

    def finish_all(sql, ends):
        if any(end.token[0] in ids for end in ends):
            raise IntegrityError("refused")
        return true_finish_all(sql, ends)

    monkeypatch.setattr(moves, "finish", finish)
    monkeypatch.setattr(moves, "finish_all", finish_all)
    return ids


def test_a_row_that_refuses_even_the_bare_outcome_holds_nobody_up(broker, task, refused):
    message = task.send()
    refused.add(job_of(message).id)
    with running(broker, threads=1) as worker:
        reached(message, state=State.RUNNING)
        assert ended(task.send()).state == State.SUCCEEDED
        wait_until(lambda: not in_hand(worker))


def test_such_a_row_is_put_back_by_the_next_comparison(broker, nightshift, task, refused):
    nightshift(HEARTBEAT=0.05)
    message = task.send()
    refused.add(job_of(message).id)
    with running(broker):
        wait_until(lambda: job_of(message).attempt > 1)
        refused.clear()
        assert ended(message).state == State.SUCCEEDED


def test_the_last_words_outlive_a_commit_that_failed(task):
    message = task.send()
    with own_sql() as sql:
        (attempt,) = claimed(sql)
    attempt.log.add("last words")
    with pytest.raises(IntegrityError), own_sql() as sql:  # noqa: PT012 - both belong to one transaction
        assert write(sql, attempt, Outcome(State.SUCCEEDED))
        raise IntegrityError("at the commit")
    with own_sql() as sql:
        assert write(sql, attempt, Outcome(State.SUCCEEDED))
    assert log_of(job_of(message)) == ["last words"]
