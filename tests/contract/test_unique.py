"""``unique``: of one key at most one job is open; who asks again gets that one."""

from __future__ import annotations

import threading

import dramatiq
import pytest
from django.db import transaction

from tests.support.jobs import actor, claimed, ended, job_of, own_sql, reached, running
from tests.support.rivals import race
from tom_nightshift.exceptions import ArgumentsRefused, TaskError
from tom_nightshift.ledger import moves
from tom_nightshift.ledger.enqueue import ask_again
from tom_nightshift.models import Job
from tom_nightshift.states import FINAL, State


@pytest.fixture
def image(broker):
    """One job for each target."""

    @dramatiq.actor(unique="image-{target_id}", broker=broker)
    def image(target_id, filters=("r",)):
        pass

    return image


def test_a_second_request_gets_the_job_of_the_first(image):
    first = image.send(7)
    second = image.send(7, filters=["g"])
    assert second.message_id == first.message_id
    assert Job.objects.get().unique_key == "image-7"


def test_another_key_is_another_job(image):
    assert image.send(7).message_id != image.send(8).message_id
    assert Job.objects.count() == 2


def test_without_keys_any_number_may_be_open(broker):
    task = actor(lambda: None, actor_name="task", broker=broker)
    task.send()
    task.send()
    assert list(Job.objects.values_list("unique_key", flat=True)) == ["", ""]


def test_tasks_may_share_a_key(image, broker):
    other = actor(lambda target_id: None, actor_name="other", unique="image-{target_id}", broker=broker)
    assert other.send(7).message_id == image.send(7).message_id


@pytest.mark.parametrize("state", sorted({*State} - {State.WAITING, State.RUNNING}))
def test_a_job_that_is_final_has_freed_its_key_by_its_state_alone(image, state):
    first = image.send(7)
    Job.objects.update(state=state)
    assert image.send(7).message_id != first.message_id


def test_while_it_runs_and_while_it_waits_again_the_key_is_taken(broker):
    gate = threading.Event()

    def fails_once():
        gate.wait(10)
        if Job.objects.get().attempt == 1:
            raise TaskError("not yet")

    task = actor(fails_once, actor_name="task", unique=True, max_attempts=2, backoff=600, broker=broker)
    with running(broker):
        first = task.send()
        reached(first, state=State.RUNNING)
        assert task.send().message_id == first.message_id
        gate.set()
        job = reached(first, state=State.WAITING, failures=1)
        assert task.send().message_id == first.message_id
        with own_sql() as sql:
            moves.release(sql, [job.id])
        broker.dispatcher.bell.ring_here()
        assert ended(first).state == State.SUCCEEDED
    assert task.send().message_id != first.message_id


def test_true_is_one_job_for_the_same_arguments_however_they_are_given(broker):
    @dramatiq.actor(unique=True, broker=broker)
    def observe(target, nights=1, *, filters=()):
        pass

    first = observe.send("M13", filters={"b": 1, "a": 2})
    for again in (
        observe.message("M13", 1, filters={"a": 2, "b": 1}),
        observe.message(target="M13", nights=1, filters={"b": 1, "a": 2}),
    ):
        assert broker.enqueue(again).message_id == first.message_id
    for another in (observe.message("M13"), observe.message("M31", filters={"b": 1, "a": 2})):
        assert broker.enqueue(another).message_id == another.message_id


def test_true_tells_tasks_apart(broker):
    one, two = (actor(lambda: None, actor_name=name, unique=True, broker=broker) for name in ("one", "two"))
    assert one.send().message_id != two.send().message_id


def test_run_again_follows_the_same_rule(image, broker):
    first = image.send(7)
    Job.objects.update(state=State.FAILED)
    row = job_of(first)
    again = ask_again(broker, bytes(row.message), owner=None, origin=row.id)
    assert job_of(again).origin == row.id
    once_more = ask_again(broker, bytes(row.message), owner=None, origin=row.id)
    assert once_more.message_id == again.message_id


def test_one_that_vanishes_with_the_callers_data_frees_its_key(image):
    class Undo(Exception):
        pass

    with pytest.raises(Undo), transaction.atomic():  # noqa: PT012
        image.send(7)
        raise Undo
    assert job_of(image.send(7)).state == State.WAITING


def test_of_eight_who_ask_at_once_all_get_the_same(image):
    got = race(8, lambda _: image.send(7).message_id)
    assert len(set(got)) == 1
    assert Job.objects.count() == 1


def test_eight_who_ask_and_run_at_once_never_have_two_open(image):
    def rival(number):
        for _ in range(5):
            message = image.send(7)
            with own_sql() as sql:
                for attempt in claimed(sql, f"host:{number}:a"):
                    moves.finish(sql, attempt.token, State.SUCCEEDED, reason="", error="", result=None)
            assert job_of(message).unique_key == "image-7"

    assert race(8, rival) == [None] * 8
    assert Job.objects.exclude(state__in=FINAL).count() <= 1


def test_a_long_key_is_told_apart_by_all_of_it(image):
    one, two = (image.send("x" * 300 + end) for end in "ab")
    assert one.message_id != two.message_id
    assert all(len(key) <= 200 for key in Job.objects.values_list("unique_key", flat=True))


def test_no_secret_stands_in_a_key(broker):
    task = actor(lambda token: None, actor_name="task", unique="login-{token}", broker=broker)
    first = task.send("hush-hush-1")
    assert task.send("hush-hush-1").message_id == first.message_id
    assert task.send("hush-hush-2").message_id != first.message_id
    assert not Job.objects.filter(unique_key__contains="hush").exists()


def test_arguments_that_make_no_key_are_refused(broker):
    task = actor(lambda target: None, actor_name="task", unique="{target:d}", broker=broker)
    with pytest.raises(ArgumentsRefused, match=r"task has unique='\{target:d\}', which cannot be filled in"):
        task.send("M13")
    assert Job.objects.count() == 0
