"""A thread of a worker dies inside a job, and nobody hears how the job ended."""

from __future__ import annotations

import pytest

from tests.app.tasks import append, lose_its_end
from tests.support.jobs import ended
from tests.support.workers import PATIENCE
from tom_nightshift.ledger.rescue import NO_THREAD
from tom_nightshift.states import State

HEARTBEAT = 2.0
SLACK = 1.5
"""Seconds that two looks may take on a machine that is busy."""


@pytest.mark.database_carries
def test_its_row_goes_back_within_two_heartbeats_and_the_thread_is_replaced(site, tmp_path):
    message = lose_its_end.send(str(tmp_path / "came"))
    with site.worker("--threads=1", HEARTBEAT=HEARTBEAT) as worker:
        job = ended(message, at_most=PATIENCE)  # with its only thread dead, another was there to run it
        assert ended(append.send(str(tmp_path / "came")), at_most=PATIENCE).state == State.SUCCEEDED
        worker.says("1 threads of this worker had died")
        assert worker.log.count(" is ready: ") == 1
    assert (job.state, job.attempt) == (State.SUCCEEDED, 2)
    assert (job.failures, job.losses, job.snoozes) == (0, 0, 0)
    first, second = job.attempts.all()
    assert (first.outcome, first.error, second.outcome) == ("returned", NO_THREAD, "succeeded")
    assert (first.finished_at - first.started_at).total_seconds() < 2 * HEARTBEAT + SLACK
