"""What a task returns, says and raises reaches its row whatever is in it: a value that cannot be kept is a
warning, never a failure after the work is done, and no outcome keeps others from their rows.
"""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from django.db import IntegrityError

from tests.support.jobs import actor, ended, in_hand, raising, running
from tests.support.waiting import wait_until
from tom_nightshift import progress, result, step, warn
from tom_nightshift.ledger import outcomes
from tom_nightshift.models import Job
from tom_nightshift.states import State


@pytest.mark.parametrize(
    "value",
    [float("nan"), object(), {"a": {1, 2}}, "x" * 70_000],
    ids=["NaN", "object", "set", "too large"],
)
def test_the_value(run, value):
    job = run(lambda: value)
    assert (job.state, job.result["value"]) == (State.WARNED, None)
    assert job.error.startswith("the return value ")


def test_a_value_inside_itself(run):
    value: list[Any] = []
    value.append(value)
    assert run(lambda: value).state == State.WARNED


@pytest.mark.parametrize("words", ["nul \x00 in it", "half \ud800 a character", "x" * 100_000])
def test_words_that_no_column_takes(run, words):
    def task():
        progress(1, 2, words)
        with step(words[:300]) as this:
            this.value = {"said": words[:300]}
        warn(words)
        result("/there/", words)
        raise ValueError(words)

    job = run(task)
    assert job.state == State.FAILED
    assert job.error.startswith("ValueError: ")
    assert len(job.error) < 3_000
    assert job.result["made"][0]["url"] == "/there/"


def test_an_error_that_cannot_say_what_it_is(run):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    job = run(raising(Mute()))
    assert (job.state, job.error) == (State.FAILED, "Mute: (Mute)")


def test_a_step_that_keeps_what_json_cannot_hold_fails_there(run):
    def task():
        with step("download") as this:
            this.value = object()

    job = run(task)
    assert (job.state, job.reason) == (State.FAILED, "TypeError")


def test_progress_that_is_no_number_at_all(run):
    def task():
        progress(float("nan"), float("inf"))

    job = run(task)
    assert (job.state, job.done, job.total) == (State.SUCCEEDED, None, None)


def test_an_outcome_that_is_refused_does_not_keep_others_from_their_rows(broker, monkeypatch):
    true_result = outcomes.result_json  # both ways of writing ask for it, together and one by one

    def result_json(attempt):
        if attempt.task == "poisonous":
            raise IntegrityError("refused")
        return true_result(attempt)

    monkeypatch.setattr(outcomes, "result_json", result_json)
    bad = actor(lambda: 1, actor_name="poisonous", broker=broker)
    good = actor(lambda: 2, actor_name="good", broker=broker)
    with running(broker):
        sent = [good.send(), bad.send(), good.send()]
        jobs = [ended(message) for message in sent]
    assert [job.state for job in jobs] == [State.SUCCEEDED] * 3
    assert "could not be stored: IntegrityError: refused" in jobs[1].error


def test_a_row_that_was_deleted_while_it_ran_does_not_hold_the_worker_up(broker):
    @dramatiq.actor(broker=broker)
    def task():
        print("something for the log")
        progress(1)
        Job.objects.all().delete()

    other = actor(lambda: None, actor_name="other", broker=broker)
    with running(broker) as worker:
        task.send()
        wait_until(lambda: not Job.objects.exists())
        assert ended(other.send()).state == State.SUCCEEDED
        wait_until(lambda: not in_hand(worker))
