"""A process of its own for one job: what happens there hurts nobody else, and is told like anywhere else."""

from __future__ import annotations

import os

from tests.app.tasks import (
    alone_and_async,
    append,
    compute,
    crash,
    eat_memory,
    pass_gate,
    segfault,
    sleep_alone,
    speak_alone,
    wait_alone,
)
from tests.support.jobs import ended, job_of, log_of, reached
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.models import Job
from tom_nightshift.states import State


def test_what_is_said_there_is_said_here(site):
    with site.worker() as worker:
        workers = worker.children()
        job = ended(speak_alone.send("hello"), at_most=PATIENCE)
    assert (job.state, job.error) == (State.WARNED, "mind the gap")
    assert [line.partition(" ")[2] for line in log_of(job)] == ["hello", "printed", "WARNING: mind the gap"]
    assert (job.done, job.total, job.note) == (1, 4, "a quarter")
    assert [stage["name"] for stage in job.stages] == ["first"]
    assert job.saved["steps"]["first"] not in (os.getpid(), *workers)
    assert job.result["value"] == {"summary": "hello"}
    assert job.result["made"] == [{"url": "/there/", "label": "there"}]


def test_an_async_task_has_its_event_loop_there(site, tmp_path):
    with site.worker() as worker:
        workers = worker.children()
        job = ended(alone_and_async.send(str(tmp_path / "ran")), at_most=PATIENCE)
    assert job.state == State.SUCCEEDED
    assert job.result["value"] not in (os.getpid(), *workers)


def test_one_that_crashes_among_many_is_the_only_one_set_aside(site, tmp_path):
    good = [append.send(str(tmp_path / "good")) for _ in range(100)]
    bad = segfault.send(str(tmp_path / "bad"))
    good += [append.send(str(tmp_path / "good")) for _ in range(100)]
    with site.worker("--threads=8", MAX_LOSSES=3):
        job = ended(bad, at_most=PATIENCE)
        wait_until(lambda: not Job.objects.open().exists(), at_most=PATIENCE, what="the end of the others")
    assert (job.state, job.reason, job.losses) == (State.FAILED, "poison", 3)
    assert job.error == "set aside: it crashed the worker 3 times (a fault in a compiled library: SIGSEGV)"
    assert {job_of(one).state for one in good} == {State.SUCCEEDED}
    assert len((tmp_path / "bad").read_text().splitlines()) == 3
    assert Job.objects.filter(losses__gt=0).count() <= 8  # those that it took along once


def test_a_process_that_dies_takes_no_worker_along(site, tmp_path):
    message = crash.send(str(tmp_path / "crashed"))
    with site.worker(MAX_LOSSES=3) as worker:
        ended(message, at_most=PATIENCE)
        assert worker.log.count(" is ready: ") == 2  # the first crash was in a thread: one worker died


def test_memory_beyond_what_its_task_allows(site, tmp_path):
    message = eat_memory.send(str(tmp_path / "came"))
    with site.worker():
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.reason) == (State.FAILED, "MemoryError")
    assert job.error == "it needed more memory than the 209,715,200 bytes that its task allows"


def test_computing_beyond_what_its_task_allows(site, tmp_path):
    message = compute.send(str(tmp_path / "came"))
    with site.worker(MAX_LOSSES=1):
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.losses) == (State.FAILED, 1)
    assert job.error.endswith("(it took more computing time than its task allows)")


def test_it_may_put_its_job_off_and_fail_as_anywhere(site, tmp_path):
    message = wait_alone.send(str(tmp_path / "came"))
    with site.worker():
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.result["value"]) == (State.SUCCEEDED, "request 7")
    assert (job.attempt, job.snoozes, job.failures, job.losses) == (3, 1, 1, 0)
    later, retried, last = job.attempts.all()
    assert [later.outcome, retried.outcome, last.outcome] == ["later", "retried", "succeeded"]
    assert (later.error, later.traceback) == ("waiting for ATLAS", "")
    assert "Busy: too busy\n\nThe above exception was the direct cause" in retried.traceback
    assert (last.started_at - retried.finished_at).total_seconds() >= 1  # as the cause asks


def test_it_ends_with_its_worker(site, gate):
    """Nobody runs on for a worker that is gone: the job runs again, and only that counts."""
    message = sleep_alone.send(str(gate.folder), 3.0)
    with site.worker() as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.kill_child()
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 2)
    assert len(gate.passed()) == 1


def test_a_job_whose_worker_died_goes_on_alone_and_may_be_stopped_there(site, gate):
    message = pass_gate.send(str(gate.folder))
    with site.worker() as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.kill_child()
        job = reached(message, state=State.RUNNING, attempt=2)
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        assert len(worker.children()) == 2  # the worker, and the process that runs this job
        gate.open()
        job = ended(message, at_most=PATIENCE)
    assert job.state == State.SUCCEEDED
