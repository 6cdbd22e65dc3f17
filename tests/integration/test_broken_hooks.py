"""An exception in each hook of Dramatiq's middleware: no job stays running, and its state is what it did.

In this process, with Dramatiq's real threads.
"""

from __future__ import annotations

import pytest
from dramatiq.middleware import Middleware, MiddlewareError, Retries

from tests.support.jobs import actor, running
from tests.support.waiting import wait_until
from tom_nightshift import current_job, stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.models import Job
from tom_nightshift.states import State

HOOKS = sorted(name for name in vars(Middleware) if name.startswith(("before_", "after_")))
ABOUT_A_MESSAGE = [name for name in HOOKS if name.endswith(("ack", "nack", "_message"))]


class Broken(Middleware):
    """Raises in one hook."""

    def __init__(self, hook, error):
        def fail(*_, **__):
            if self.armed:
                raise error("this hook is broken")

        self.armed = True
        setattr(self, hook, fail)


class BrokenRetries(Retries):
    """Fails where it is to decide whether a job runs again."""

    def after_process_message(self, broker, message, *, result=None, exception=None):
        if exception is not None:
            raise RuntimeError("this hook is broken")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_raises_anything(broker, step_clock, hook):
    ran = all_end(DatabaseBroker([*stack.middleware(), Broken(hook, RuntimeError)]), step_clock)
    assert_rows_say_what_happened(ran)


@pytest.mark.parametrize("place", ["outermost", "next to the task"])
@pytest.mark.parametrize("hook", ABOUT_A_MESSAGE)
def test_a_hook_that_raises_what_dramatiq_passes_on(broker, step_clock, hook, place):
    broken, ours = Broken(hook, MiddlewareError), stack.middleware()
    middleware = [broken, *ours] if place == "outermost" else [*ours, broken]
    ran = all_end(DatabaseBroker(middleware), step_clock)
    assert_rows_say_what_happened(ran)


def all_end(broker, step_clock):
    """Run a job that works, one that fails, and one that is tried again; what the attempts did."""
    ran = {}

    def works():
        ran[current_job().id] = State.SUCCEEDED

    def fails():
        ran[current_job().id] = State.FAILED
        raise ValueError("it cannot")

    def tries_again():
        job = current_job()
        ran[job.id] = State.SUCCEEDED if job.attempt > 1 else State.FAILED
        if job.attempt == 1:
            raise ValueError("not yet")

    tasks = [actor(works, broker=broker), actor(fails, broker=broker)]
    tasks.append(actor(tries_again, broker=broker, max_attempts=3, backoff=0.05))
    with running(broker):
        for task in tasks:
            task.send()
        wait_until(lambda: everything_final(step_clock), what="end of all jobs")
    return ran


def everything_final(step_clock):
    """Whether it is; what was put back for later need not be waited for."""
    if Job.objects.filter(state=State.WAITING, reason="put back").exists():
        step_clock(100)
    return not Job.objects.open().exists()


def rows():
    return list(Job.objects.values_list("id", "task", "state", "reason", "attempt", "failures"))


def assert_rows_say_what_happened(ran):
    for job in Job.objects.all():
        assert job.state == ran.get(job.id, State.FAILED), rows()


def test_retries_that_cannot_decide(broker, step_clock):
    """The job is put back twice, later and later, and then it has failed; never has it succeeded."""
    ours = [BrokenRetries() if isinstance(one, Retries) else one for one in stack.middleware()]
    broker = DatabaseBroker(ours)
    task = actor(lambda: 1 / 0, actor_name="task", broker=broker, max_attempts=10)
    with running(broker):
        task.send()
        for failures in (1, 2):
            wait_until(Job.objects.filter(state=State.WAITING, failures=failures).exists)
            step_clock(100)
        job = wait_until(lambda: Job.objects.filter(state=State.FAILED).first())
    assert (job.reason, job.attempt) == ("ZeroDivisionError", 3)
