"""The other shapes of a worker: drained, replaced when spent, loaded anew, killed when silent."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.app.tasks import append, hold_everything, pass_gate, sleep, sleep_alone, spin
from tests.support.jobs import ended, job_of, own_sql, reached
from tests.support.waiting import wait_until
from tests.support.workers import PATIENCE
from tom_nightshift.ledger import moves
from tom_nightshift.models import Job, Worker
from tom_nightshift.states import State

SOON = {"HEARTBEAT": 0.5, "STOP_PATIENCE": 1}
"""A stop is seen with a heartbeat, and goes on to its next stage after so many seconds."""


@pytest.fixture(autouse=True)
def stops_soon(site, settings):
    """Whoever asks writes into the row when the next stage comes: by the settings of this process."""
    settings.NIGHTSHIFT = {**settings.NIGHTSHIFT, **SOON}


def stop(message):
    with own_sql() as sql:
        assert moves.stop(sql, reached(message, state=State.RUNNING).id, "ann") == State.RUNNING


def test_drain_runs_what_waits_and_ends(site, tmp_path):
    sent = [append.send(str(tmp_path / "done")) for _ in range(20)]
    later = append.send_with_options(args=(str(tmp_path / "done"),), delay=3_600_000)
    site.run("nightshift", "--drain", "--processes=2")
    assert {job_of(message).state for message in sent} == {State.SUCCEEDED}
    assert job_of(later).state == State.WAITING
    assert Worker.objects.count() == 0


def test_a_drain_of_nothing_ends_at_once(site):
    assert "jobs at a time" in site.run("nightshift", "--drain")


def test_a_process_that_has_run_its_jobs_gives_way_and_loses_none(site, tmp_path):
    sent = []
    with site.worker("--max-jobs=5") as worker:
        for turn in (1, 2, 3):
            sent += [append.send(str(tmp_path / "done")) for _ in range(20)]
            worker.says("another takes its place: it has run", turn)
        wait_until(lambda: not Job.objects.open().exists(), at_most=PATIENCE, what="the end of all jobs")
    assert {(job_of(message).state, job_of(message).attempt) for message in sent} == {(State.SUCCEEDED, 1)}
    assert len((tmp_path / "done").read_text().splitlines()) == 60


def test_a_process_that_grew_too_large_gives_way(site, tmp_path):
    with site.worker("--max-memory=1") as worker:
        worker.says("bytes of memory")
        worker.says(" is ready: ", 2)


def test_a_running_job_outlives_its_process_s_turn(site, gate, tmp_path):
    """Another takes the place at once; the one before stays until its job has ended."""
    waiting = pass_gate.send(str(gate.folder))
    with site.worker("--max-jobs=1", "--threads=2") as worker:
        wait_until(gate.came, at_most=PATIENCE)
        assert ended(append.send(str(tmp_path / "done")), at_most=PATIENCE).state == State.SUCCEEDED
        worker.says(" is ready: ", 2)
        assert ended(append.send(str(tmp_path / "done")), at_most=PATIENCE).state == State.SUCCEEDED
        gate.open()
        job = ended(waiting, at_most=PATIENCE)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def test_sighup_loads_the_code_anew_and_ends_no_job(site, gate, tmp_path):
    waiting = pass_gate.send(str(gate.folder))
    with site.worker() as worker:
        wait_until(gate.came, at_most=PATIENCE)
        before = worker.children()
        worker.tell(signal.SIGHUP)
        worker.says("starting anew")
        worker.says(" is ready: ", 2)
        assert worker.process.poll() is None
        assert set(before) < set(worker.children())  # still there: it has a job in hand
        assert ended(append.send(str(tmp_path / "done")), at_most=PATIENCE).state == State.SUCCEEDED
        gate.open()
        assert ended(waiting, at_most=PATIENCE).attempt == 1
        wait_until(
            lambda: not set(before) & set(worker.children()), at_most=PATIENCE, what="end of the old one"
        )
        assert worker.stop() == 0


def test_code_that_does_not_load_is_refused(site, tmp_path):
    broken = tmp_path / "broken"
    site.environment = {"NIGHTSHIFT_TEST_BROKEN": str(broken)}
    with site.worker() as worker:
        before = worker.children()
        broken.touch()
        worker.tell(signal.SIGHUP)
        worker.says("the new code does not load (django.core.exceptions.ImproperlyConfigured: broken)")
        assert worker.children() == before
        assert ended(append.send(str(tmp_path / "done")), at_most=PATIENCE).state == State.SUCCEEDED


@pytest.mark.parametrize("how", ["suspended", "in C"])
def test_a_process_that_shows_no_sign_of_life_is_killed(site, gate, how):
    """Only its supervisor can tell: its lock is held, and on SQLite its heartbeat says nothing."""
    message = (
        pass_gate.send(str(gate.folder)) if how == "suspended" else hold_everything.send(str(gate.folder), 60)
    )
    with site.worker("--unresponsive=4") as worker:
        wait_until(gate.came, at_most=PATIENCE)
        if how == "suspended":
            os.kill(worker.children()[0], signal.SIGSTOP)
        worker.says("no sign of life")
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        gate.open()
        if how == "suspended":
            assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
    job = job_of(message)
    assert (job.attempt, job.losses) == (2, 1)


def test_a_supervisor_that_was_suspended_itself_kills_nobody(site, gate):
    message = pass_gate.send(str(gate.folder))
    with site.worker("--unresponsive=4") as worker:
        wait_until(gate.came, at_most=PATIENCE)
        os.killpg(worker.pid, signal.SIGSTOP)
        try:
            wait_until(
                lambda: Job.objects.filter(claimed_at__lt=timezone.now() - timedelta(seconds=6)).exists(),
                at_most=PATIENCE,
            )
        finally:
            os.killpg(worker.pid, signal.SIGCONT)
        gate.open()
        job = ended(message, at_most=PATIENCE)
        assert "no sign of life" not in worker.log
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def test_stop_kills_a_process_of_its_own(site, gate):
    message = sleep_alone.send(str(gate.folder), 600.0)
    with site.worker(**SOON):
        wait_until(gate.came, at_most=PATIENCE)
        stop(message)
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.error, job.stop_stage) == (State.STOPPED, "stopped", 3)


def test_stop_interrupts_a_process_of_its_own(site, gate):
    """The same stages, there: a task in Python hears the second."""
    message = spin.send_with_options(args=(str(gate.folder),))
    with site.worker(**SOON) as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.kill_child()  # from now on it runs alone
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE, what="second attempt")
        stop(message)
        job = ended(message, at_most=PATIENCE)
    assert (job.state, job.losses) == (State.STOPPED, 1)


def test_stop_of_what_only_the_end_of_its_process_ends(site, gate, tmp_path):
    """It shares its process with another job: that one finishes first; others go to the next process."""
    stuck = sleep.send(str(gate.folder), 600.0)
    neighbour = pass_gate.send(str(gate.folder))
    with site.worker("--threads=2", **SOON) as worker:
        wait_until(lambda: len(gate.came()) == 2, at_most=PATIENCE)
        stop(stuck)
        worker.says("does not end, not even when interrupted")
        assert ended(append.send(str(tmp_path / "done")), at_most=PATIENCE).state == State.SUCCEEDED
        assert job_of(neighbour).state == State.RUNNING
        assert job_of(stuck).state == State.RUNNING
        gate.open()
        job = ended(stuck, at_most=PATIENCE)
    assert (job.state, job.stop_stage) == (State.STOPPED, 3)
    assert (job_of(neighbour).state, job_of(neighbour).attempt) == (State.SUCCEEDED, 1)


def test_a_time_limit_that_nothing_else_ends_ends_the_process(site, gate):
    message = sleep.send_with_options(args=(str(gate.folder), 600.0), time_limit=1000)
    with site.worker("--threads=1", **SOON) as worker:
        job = ended(message, at_most=PATIENCE)
        worker.says(" is ready: ", 2)
    assert (job.state, job.reason, job.losses) == (State.FAILED, "time limit", 0)


def test_a_stop_during_shutdown_counts(site, gate):
    message = spin.send(str(gate.folder))
    with site.worker("--grace=60", **SOON) as worker:
        wait_until(gate.came, at_most=PATIENCE)
        worker.tell(signal.SIGTERM)
        worker.says("letting running jobs finish")
        stop(message)
        assert worker.wait() == 0
    assert job_of(message).state == State.STOPPED


def test_what_runs_on_when_its_worker_ends_is_interrupted_and_handed_back(site, gate):
    message = spin.send(str(gate.folder))
    with site.worker("--grace=0.1") as worker:
        wait_until(gate.came, at_most=PATIENCE)
        assert worker.stop() == 0
    job = job_of(message)
    assert (job.state, job.reason, job.losses, job.failures) == (State.WAITING, "handed back", 0, 0)
    assert [attempt.outcome for attempt in job.attempts.all()] == ["returned"]


def test_a_queue_is_paused_and_resumed_by_the_command(site, tmp_path):
    with site.worker():
        assert "Queue default is paused; 0 of its jobs wait." in site.run("nightshift", "pause", "default")
        message = append.send(str(tmp_path / "done"))
        assert job_of(message).hold == "paused"
        assert "1 of its jobs may begin" in site.run("nightshift", "resume", "default")
        assert ended(message, at_most=PATIENCE).state == State.SUCCEEDED
