"""A task that writes, works on inside its transaction, and reports: not slowed, not taken for dead."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from tests.chaos.conftest import LONG
from tests.chaos.tasks import hold_a_transaction
from tests.support.jobs import job_of, log_of
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.states import State

SECONDS = 30 if LONG else 4
SHOWN_WITHIN = 2.0
"""Seconds in which a line of the log is seen on PostgreSQL; allowed twice here, for a busy machine."""

HASTE = {"HEARTBEAT": 0.2, "LEASE": 1}

pytestmark = pytest.mark.timeout(300)


def test_what_it_says_is_seen_and_it_keeps_its_job(site, trial):
    with site.worker("--threads=1", **HASTE) as one, site.worker("--threads=1", **HASTE) as other:
        message = hold_a_transaction.send(str(trial.diary), SECONDS)
        wait_until(lambda: job_of(message).state == State.RUNNING, at_most=PATIENCE, what="begin")
        if connection.vendor == "postgresql":
            wait_until(lambda: log_of(job_of(message)), at_most=2 * SHOWN_WITHIN, what="a line of its log")
            assert not Group.objects.exists(), "the transaction was over by then"
        wait_until(lambda: job_of(message).is_final, at_most=SECONDS + PATIENCE, what="its end")
        assert "is dead" not in one.log + other.log
        trial.ends_well("A task holds a transaction while it works", faults=0, in_flight=0)
    job = job_of(message)
    assert (job.state, job.attempt, job.losses, job.note) == (State.SUCCEEDED, 1, 0, "holding the database")
    assert len(log_of(job)) == SECONDS * 10
    assert Group.objects.get().name == f"written by job {job.id}"
