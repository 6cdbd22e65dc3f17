"""A worker whose threads are all busy holds as many jobs as it has threads, and leaves the rest to others."""

from __future__ import annotations

from tests.app.tasks import pass_gate
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job, Worker
from tom_nightshift.states import State

THREADS = 3


def test_nothing_is_claimed_ahead(site, gate):
    with site.worker(f"--threads={THREADS}", HEARTBEAT=0.2):
        for _ in range(THREADS * 3):
            pass_gate.send(str(gate.folder))
        wait_until(lambda: len(gate.came()) == THREADS, at_most=PATIENCE, what="busy threads")
        wait_until(two_more_beats(), at_most=PATIENCE, what="two more heartbeats")
        assert counts() == {State.RUNNING: THREADS, State.WAITING: THREADS * 2}
        assert Job.objects.filter(state=State.WAITING, attempt=0).count() == THREADS * 2

        with site.worker(f"--threads={THREADS}"):
            wait_until(lambda: len(gate.came()) == THREADS * 2, at_most=PATIENCE, what="the other's jobs")
            assert counts() == {State.RUNNING: THREADS * 2, State.WAITING: THREADS}
            gate.open()
            wait_until(lambda: not Job.objects.open().exists(), at_most=PATIENCE, what="end of all jobs")
    assert set(Job.objects.values_list("state", "attempt")) == {(State.SUCCEEDED, 1)}


def two_more_beats():
    """Whether the worker has beaten twice from now on: at each beat it compares what it holds."""
    seen = [Worker.objects.get().beat_at]

    def beaten():
        if (now := Worker.objects.get().beat_at) != seen[-1]:
            seen.append(now)
        return len(seen) > 2

    return beaten


def counts():
    states = list(Job.objects.values_list("state", flat=True))
    return {state: states.count(state) for state in set(states)}
