"""Told to end: running jobs finish, within a time; what is left goes back, charged to nobody."""

from __future__ import annotations

import signal

import pytest

from tests.app.tasks import pass_gate
from tests.support.jobs import ended, job_of
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Worker
from tom_nightshift.states import State


@pytest.fixture
def at_the_gate(site, gate):
    """Starts a worker with a job that waits at the gate."""

    def start(worker):
        message = pass_gate.send(str(gate.folder))
        wait_until(gate.came, at_most=PATIENCE, what="begin")
        return message

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_job_finishes_and_no_other_begins(site, gate, at_the_gate, number):
    with site.worker() as worker:
        running = at_the_gate(worker)
        worker.tell(number)
        worker.says("letting running jobs finish")
        wait_until(lambda: Worker.objects.filter(leaving=True).exists(), what="leaving")
        late = pass_gate.send(str(gate.folder))
        gate.open()

        assert worker.wait() == 0

    # Dramatiq's own end, which waits for seconds only, comes after the job's.
    assert worker.log.index("pass_gate succeeded") < worker.log.index("Shutting down...")
    assert (job_of(running).state, job_of(running).losses) == (State.SUCCEEDED, 0)
    assert (job_of(late).state, job_of(late).attempt) == (State.WAITING, 0)
    assert Worker.objects.count() == 0


def test_what_does_not_finish_in_time_is_handed_back_uncharged(site, gate, at_the_gate):
    with site.worker("--grace=0.1") as worker:
        message = at_the_gate(worker)
        assert worker.stop() == 0

    with site.worker():
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        gate.open()
        job = ended(message)

    assert (job.state, job.attempt, job.losses, job.failures) == (State.SUCCEEDED, 2, 0, 0)
    assert [attempt.outcome for attempt in job.attempts.all()] == ["returned", "succeeded"]
    assert gate.passed() == [str(job.id)]


def test_ctrl_c_twice_leaves_at_once(site, at_the_gate):
    with site.worker("--grace=60") as worker:
        message = at_the_gate(worker)
        worker.tell(signal.SIGINT)
        worker.says("letting running jobs finish")
        assert worker.process.poll() is None
        worker.tell(signal.SIGINT)

        assert worker.wait(at_most=5) == 0

    assert job_of(message).state == State.RUNNING  # until the next worker sees that this one is gone


def test_an_idle_worker_ends_at_once(site):
    with site.worker("--processes=2", ready=2) as worker:
        worker.tell(signal.SIGTERM)
        assert worker.wait(at_most=5) == 0
    assert Worker.objects.count() == 0
