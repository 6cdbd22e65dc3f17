"""Jobs of dead workers go back, charged to whom it is due; rows that no thread runs go back too."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from dramatiq.middleware import Middleware

from tests.support.jobs import actor, claimed, ended, in_hand, job_of, own_sql, reached, running
from tests.support.rivals import race
from tests.support.waiting import wait_until
from tom_nightshift.ledger import presence as presences
from tom_nightshift.ledger import rescue
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.dispatcher import Dispatcher
from tom_nightshift.ledger.presence import Presence
from tom_nightshift.ledger.reporter import Reporter
from tom_nightshift.ledger.session import OwnConnection
from tom_nightshift.models import Job, Worker
from tom_nightshift.states import State
from tom_nightshift.worker.heartbeat import Heartbeat
from tom_nightshift.worker.housekeeping import House

AGAIN, LOST = (lambda task: "again"), (lambda task: "lost")


@pytest.fixture
def dead(broker):
    """A worker whose process died: its row and its lock file are there, the lock is not held."""
    presence = Presence(threads=2)
    with own_sql() as sql:
        presence.register(sql, ["default"])
    forget(presence)
    return presence


def forget(presence):
    """As the kernel does when a process dies."""
    os.close(presence._lock)
    presences._my_nonces.discard(presence.nonce)


@pytest.fixture
def job(broker, dead):
    """A job that the dead worker was running."""
    message = actor(lambda: None, actor_name="task", broker=broker).send()
    with own_sql() as sql:
        claimed(sql, worker=dead.name)
    return job_of(message)


def rescue_as(name, on_lost=AGAIN):
    with own_sql() as sql:
        return rescue.rescue(sql, name, on_lost)


def return_orphans(on_lost=AGAIN):
    with own_sql() as sql:
        return rescue.return_orphans(sql, rescue.orphans(sql), on_lost)


def rescue_without_commit():
    with own_sql() as sql:
        assert rescue.rescue(sql, "me", AGAIN) == 1
        raise OperationalError("the line was cut")


def outcomes(job):
    job.refresh_from_db()
    return [attempt.outcome for attempt in job.attempts.all()]


def test_a_dead_workers_job_waits_again_and_its_row_goes(job):
    assert rescue_as("me") == 1
    assert outcomes(job) == ["lost"]
    assert (job.state, job.hold, job.losses, job.failures, job.worker) == (State.WAITING, "", 1, 0, "")
    assert Worker.objects.count() == 0


def test_a_rescue_that_is_not_committed_leaves_the_next_one_what_it_needs(job, dead):
    """The lock file is what shows at once that the worker is dead."""
    with pytest.raises(OperationalError):
        rescue_without_commit()
    assert rescue_as("another") == 1
    assert outcomes(job) == ["lost"]
    assert not os.path.exists(dead._path)


def test_a_task_that_must_not_run_twice_is_lost(job):
    rescue_as("me", LOST)
    assert outcomes(job) == ["lost"]
    assert (job.state, job.error) == (State.LOST, "interrupted: we do not know whether it finished")
    assert job.losses == 1


def test_a_job_that_was_asked_to_stop_is_stopped(job):
    Job.objects.update(stop_requested=True)
    rescue_as("me")
    assert outcomes(job) == ["lost"]
    assert job.state == State.STOPPED


def test_the_third_time_it_is_set_aside(job):
    Job.objects.update(losses=2)
    rescue_as("me")
    assert outcomes(job) == ["lost"]
    assert (job.state, job.reason, job.losses) == (State.FAILED, "poison", 3)
    assert job.error == "set aside: it crashed the worker 3 times"


def test_what_a_leaving_worker_held_is_charged_to_nobody(job, dead):
    with own_sql() as sql:
        dead.leave(sql)
    rescue_as("me", AGAIN)
    assert outcomes(job) == ["returned"]
    assert (job.state, job.losses) == (State.WAITING, 0)


def test_what_a_leaving_worker_held_and_must_not_run_twice_is_lost(job, dead):
    with own_sql() as sql:
        dead.leave(sql)
    rescue_as("me", LOST)
    assert outcomes(job) == ["lost"]
    assert (job.state, job.losses) == (State.LOST, 0)


def test_what_a_leaving_worker_held_and_was_asked_to_stop_is_stopped(job, dead):
    with own_sql() as sql:
        dead.leave(sql)
    Job.objects.update(stop_requested=True)
    rescue_as("me")
    outcomes(job)
    assert job.state == State.STOPPED


def test_one_who_may_have_been_away_itself_does_not_judge_by_silence(job, dead, step_clock):
    """After an outage of the database every worker is silent: the first one back must not rob the others."""
    Worker.objects.update(host="elsewhere", lock_path="/of/another/host")
    step_clock(3600)
    with own_sql() as sql:
        assert rescue.rescue(sql, "me", AGAIN, by_silence=False) == 0
    job.refresh_from_db()
    assert job.state == State.RUNNING
    assert rescue_as("me") == 1


@pytest.mark.parametrize(("steady", "left"), [(False, 1), (True, 0)])
def test_a_worker_asks_itself_before_it_judges_by_silence(job, broker, monkeypatch, steady, left):
    Worker.objects.update(
        host="elsewhere", lock_path="/of/another/host", beat_at=datetime(2020, 1, 1, tzinfo=UTC)
    )
    monkeypatch.setattr(Presence, "may_judge_silence", lambda self: steady)
    with running(broker) as worker:
        wait_until(broker.dispatcher.registered.is_set)
        with closing(House(broker, worker)) as house:
            house.rescue()
        assert Worker.objects.filter(host="elsewhere").count() == left


def test_each_dead_worker_is_seen_to_by_itself(job, broker, monkeypatch):
    """A rescuer that does not come to the end of its list has still returned the jobs of the first."""
    second = Presence(threads=2)
    with own_sql() as sql:
        second.register(sql, ["default"])
    forget(second)
    true_return = rescue._return_jobs

    def fails_at_the_second(sql, dead, on_lost):
        if dead.name == second.name:
            raise OperationalError("the line was cut")
        return true_return(sql, dead, on_lost)

    monkeypatch.setattr(rescue, "_return_jobs", fails_at_the_second)
    with running(broker) as worker:
        wait_until(broker.dispatcher.registered.is_set)
        with closing(House(broker, worker)) as house:
            house.rescue()
        assert Worker.objects.filter(name=second.name).exists()
        assert outcomes(job)[0] == "lost"


def test_of_eight_rivals_one_rescues(job):
    returned = race(8, lambda number: rescue_as(f"rival {number}"))
    assert all(isinstance(count, int) for count in returned), returned
    assert sorted(returned) == [0] * 7 + [1]
    assert outcomes(job) == ["lost"]
    assert job.losses == 1


def test_a_living_workers_job_stays(broker):
    gate = threading.Event()
    task = actor(lambda: gate.wait(10), actor_name="task", broker=broker)
    with running(broker):
        job = reached(task.send(), state=State.RUNNING)
        assert rescue_as("me") == 0
        gate.set()
    job.refresh_from_db()
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def test_a_worker_returns_the_jobs_of_a_dead_neighbour_by_itself(broker, job):
    with running(broker):
        finished = wait_until(lambda: Job.objects.filter(pk=job.pk, state=State.SUCCEEDED).first())
    assert outcomes(finished) == ["lost", "succeeded"]


def test_a_job_whose_worker_has_no_row_goes_back_after_a_lease(job, dead, step_clock):
    Worker.objects.all().delete()
    assert return_orphans() == 0
    step_clock(61)
    assert return_orphans() == 1
    assert outcomes(job) == ["returned"]
    assert (job.state, job.losses) == (State.WAITING, 0)


def test_a_job_whose_web_process_died_in_the_request_is_lost_after_its_time(job, step_clock):
    Job.objects.update(worker=rescue.IN_THE_REQUEST)
    step_clock(61)
    assert return_orphans() == 0
    step_clock(3600)
    assert return_orphans() == 1
    assert outcomes(job) == ["lost"]
    assert job.state == State.LOST


def test_an_orphan_that_must_not_run_twice_is_lost(job, step_clock):
    Worker.objects.all().delete()
    step_clock(61)
    assert return_orphans(LOST) == 1
    assert outcomes(job) == ["lost"]
    assert job.state == State.LOST


def test_of_two_that_died_together_for_the_last_time_none_is_set_aside(broker, job, dead):
    message = actor(lambda: None, actor_name="neighbour", broker=broker).send()
    with own_sql() as sql:
        claimed(sql, worker=dead.name)
    Job.objects.update(losses=2)
    assert rescue_as("me") == 2
    assert {one.state for one in (job_of(message), Job.objects.get(pk=job.pk))} == {State.WAITING}


def test_what_was_asked_to_stop_is_stopped_though_its_worker_was_told_to_end(job, dead):
    with own_sql() as sql:
        dead.leave(sql)
    Job.objects.update(stop_requested=True)
    assert rescue_as("me", LOST) == 1
    assert outcomes(job) == ["lost"]
    assert job.state == State.STOPPED


def test_a_job_that_was_asked_to_stop_is_stopped_where_its_web_process_died(job, step_clock):
    Job.objects.update(worker=rescue.IN_THE_REQUEST, stop_requested=True)
    step_clock(3601)
    assert return_orphans() == 1
    assert outcomes(job) == ["lost"]
    assert job.state == State.STOPPED


class TestComparing:
    """A live worker can lose a job: what it holds is compared with the rows that name it."""

    @pytest.fixture
    def on_lost(self):
        return AGAIN

    @pytest.fixture
    def look(self, broker, dead, monkeypatch, on_lost):
        """Look once as this worker, with these attempts in hand."""
        dispatcher = Dispatcher(1, ["default"], list, Reporter())
        monkeypatch.setattr(dispatcher, "presence", dead)
        heartbeat = Heartbeat(dispatcher, broker.known_tasks, on_lost)

        def look_once(*in_hand):
            dispatcher.in_hand.clear()
            dispatcher.in_hand.update({attempt.token: attempt for attempt in in_hand})
            with closing(OwnConnection()) as connection:
                assert heartbeat.beat(connection)
            return list(dispatcher.in_hand)

        yield look_once
        dispatcher.bell.close()

    def test_what_is_held_stays(self, job, look):
        attempt = Attempt(job.id, 1, "task", "default")
        for _ in range(3):
            assert look(attempt) == [attempt.token]
        assert outcomes(job) == []

    def test_what_is_missing_once_may_be_on_its_way_and_is_kept_in_hand_then(self, job, look):
        attempt = Attempt(job.id, 1, "task", "default")
        look()
        assert look(attempt) == [attempt.token]
        look()
        assert outcomes(job) == []
        assert job.state == State.RUNNING

    def test_what_is_missing_twice_goes_back_charged_to_nobody(self, job, look):
        look()
        look()
        assert outcomes(job) == ["returned"]
        assert (job.state, job.losses, job.failures) == (State.WAITING, 0, 0)

    @pytest.mark.parametrize("on_lost", [LOST], ids=["lost"])
    def test_what_is_missing_twice_and_must_not_run_twice_is_lost(self, job, look):
        look()
        look()
        assert outcomes(job) == ["lost"]
        assert job.state == State.LOST

    @pytest.mark.parametrize("on_lost", [AGAIN, LOST], ids=["again", "lost"])
    def test_what_is_missing_twice_and_was_asked_to_stop_is_stopped(self, job, look):
        Job.objects.update(stop_requested=True)
        look()
        look()
        outcomes(job)
        assert job.state == State.STOPPED


@pytest.mark.database_carries
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_silently_is_replaced_and_its_job_runs_again(broker, nightshift):
    """Dramatiq defect E1: an interrupt outside its inner try ends a worker thread without a word."""
    nightshift(HEARTBEAT=0.1)

    class Killer(Middleware):
        """As a time limit does that comes too late: what is no Exception escapes from a hook."""

        kills = 1

        def before_ack(self, broker, message):
            self.kills -= 1
            if self.kills >= 0:
                raise SystemExit

    broker.add_middleware(Killer())
    task = actor(lambda: None, actor_name="task", broker=broker)
    with running(broker, threads=1) as worker:
        message = task.send()
        job = ended(message)
        assert job.attempt == 2
        assert [one.outcome for one in job.attempts.all()] == ["returned", "succeeded"]
        wait_until(lambda: not in_hand(worker))
