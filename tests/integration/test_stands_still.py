"""A worker that stands still in the middle of a transaction gives up the rows that it has locked."""

from __future__ import annotations

import pytest
from django.db import DatabaseError

from tests.support.jobs import actor, claimed, job_of, own_sql
from tom_nightshift.ledger import moves
from tom_nightshift.states import State

pytestmark = pytest.mark.postgres  # on SQLite all are on one host, and the kernel knows who is dead


def test_its_jobs_can_be_returned_after_the_lease(broker, nightshift):
    nightshift(LEASE=0.5)
    message = actor(lambda: None, actor_name="task", broker=broker).send()
    with own_sql() as sql:
        [attempt] = claimed(sql)
    with pytest.raises(DatabaseError):
        stand_still_while(lambda: end_in_another(attempt), attempt)
    assert job_of(message).state == State.FAILED


def stand_still_while(act, attempt):
    with own_sql() as sql:
        assert end(sql, attempt, State.SUCCEEDED)
        act()


def end_in_another(attempt):
    """Waits for the lock as long as it is held."""
    with own_sql() as sql:
        assert end(sql, attempt, State.FAILED)


def end(sql, attempt, state):
    return moves.finish(sql, attempt.token, state, reason="", error="", result=None)
