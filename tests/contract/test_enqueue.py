"""A job is one row, written in the caller's own transaction."""

from __future__ import annotations

import contextlib
import uuid

import dramatiq
import pytest
from django.contrib.auth.models import User
from django.db import transaction

from tests.support.jobs import actor, job_of, message_to
from tom_nightshift.exceptions import ArgumentsRefused, OptionRefused
from tom_nightshift.ledger import bell
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker):
    @dramatiq.actor(title="Observe {target} for {nights} nights", broker=broker)
    def observe(target, nights=1, *, filters=()):
        pass

    return observe


@pytest.fixture
def rings(monkeypatch):
    heard = []
    monkeypatch.setattr(bell, "ring", lambda: heard.append(1))
    return heard


def test_one_job_is_one_row(task):
    message = task.send("M13", nights=2)
    job = Job.objects.get()
    assert str(job.message_id) == message.message_id
    assert (job.task, job.queue, job.state, job.hold) == ("observe", "default", State.WAITING, Hold.NONE)
    assert dramatiq.Message.decode(bytes(job.message)).args == ("M13",)


def test_a_job_vanishes_with_the_callers_data(task, rings):
    class Undo(Exception):
        pass

    with contextlib.suppress(Undo), transaction.atomic():
        User.objects.create(username="ann")
        task.send("M13")
        raise Undo

    assert (Job.objects.count(), User.objects.count(), rings) == (0, 0, [])


def test_a_job_commits_with_the_callers_data_and_is_rung_for_then(task, rings):
    with transaction.atomic():
        User.objects.create(username="ann")
        task.send("M13")
        assert rings == []
    assert (Job.objects.count(), User.objects.count(), rings) == (1, 1, [1])


def test_without_a_transaction_it_is_rung_for_at_once(task, rings):
    task.send("M13")
    assert rings == [1]


def test_the_title_has_the_arguments_in_it_also_those_left_to_their_defaults(task):
    assert job_of(task.send("M13")).title == "Observe M13 for 1 nights"


def test_a_title_that_does_not_fit_the_arguments_stands_as_it_is(broker):
    task = actor(lambda: None, actor_name="t", title="Observe {nothing}", broker=broker)
    assert job_of(task.send()).title == "Observe {nothing}"


def test_without_a_title_the_tasks_name_in_words_is_shown(broker):
    task = actor(lambda: None, actor_name="myapp.update_all_targets", broker=broker)
    assert job_of(task.send()).title == "Update all targets"


@pytest.mark.parametrize("name", ["x" * 5_000, "nul \x00 in it", "half \ud800 a character"])
def test_a_title_that_no_column_takes_is_cut_and_mended(task, name):
    title = job_of(task.send(name)).title
    assert title.startswith("Observe ")
    assert len(title) <= 200
    assert "\x00" not in title


def test_the_owner_and_the_subject_go_into_the_row_and_not_into_the_message(task):
    ann = User.objects.create(username="ann")
    message = task.send_with_options(args=("M13",), owner=ann, subject=ann)
    job = job_of(message)
    assert (job.owner, job.subject) == (ann, ann)
    assert message.options == dramatiq.Message.decode(bytes(job.message)).options == {}


def test_a_message_enqueued_twice_has_one_row(task, broker):
    message = task.message("M13")
    broker.enqueue(message)
    broker.enqueue(message)
    assert Job.objects.count() == 1


def test_the_callers_message_is_not_changed(task, broker):
    message = task.message_with_options(args=("M13",), owner=7)
    broker.enqueue(message.copy(options={"owner": None}), delay=1_000)
    assert message.options == {"owner": 7}


def test_a_delay_holds_the_job(task):
    job = job_of(task.send_with_options(args=("M13",), delay=3_600_000))
    assert job.hold == Hold.UNTIL
    assert 3_590 < (job.run_at - job.created_at).total_seconds() < 3_610


def test_a_message_that_names_its_moment_is_held_until_then(task, broker):
    message = task.message("M13")
    broker.enqueue(message.copy(options={"eta": dramatiq.common.current_millis() + 60_000}))
    job = job_of(message)
    assert job.hold == Hold.UNTIL
    assert 50 < (job.run_at - job.created_at).total_seconds() < 61


def test_a_delay_of_zero_is_none(task):
    assert job_of(task.send_with_options(args=("M13",), delay=0)).hold == Hold.NONE


class TestRefusals:
    """What cannot run is refused where it is asked for, with the argument's name."""

    def test_a_missing_argument(self, task):
        with pytest.raises(ArgumentsRefused, match=r"observe\(target.*missing a required argument: 'target'"):
            task.send()

    def test_an_unknown_argument(self, task):
        with pytest.raises(ArgumentsRefused, match="unexpected keyword argument 'night'"):
            task.send("M13", night=2)

    @pytest.mark.parametrize("how", ["positional", "by name"])
    def test_an_argument_that_cannot_be_stored(self, task, how):
        with pytest.raises(ArgumentsRefused, match="the argument 'nights' of observe is object"):
            task.send("M13", object()) if how == "positional" else task.send("M13", nights=object())

    def test_a_default_that_cannot_be_stored_is_not_blamed(self, broker):
        @dramatiq.actor(broker=broker)
        def observe(a=object(), b=None):  # noqa: B008
            pass

        with pytest.raises(ArgumentsRefused, match="the argument 'b'"):
            observe.send(b=object())

    def test_arguments_that_are_too_large(self, task, nightshift):
        nightshift(ARGUMENT_BYTES=1_000)
        with pytest.raises(
            ArgumentsRefused, match=r"take 1,\d\d\d bytes, more than .*ARGUMENT_BYTES.* = 1,000"
        ):
            task.send("x" * 1_000)

    def test_nothing_is_written_for_what_is_refused(self, task):
        with pytest.raises(ArgumentsRefused):
            task.send(object())
        assert Job.objects.count() == 0

    def test_a_task_that_this_process_does_not_know_is_taken_as_it_is(self, broker):
        broker.declare_queue("default")
        broker.enqueue(message_to("elsewhere", args=(1,), kwargs={"a": 2}))
        assert Job.objects.get().title == "Elsewhere"

    @pytest.mark.parametrize(
        "names", [{"actor_name": "n" * 201}, {"actor_name": "t", "queue_name": "q" * 101}]
    )
    def test_names_that_no_column_takes_are_refused_when_the_task_is_declared(self, broker, names):
        with pytest.raises(OptionRefused, match=r"characters long: at most \d00"):
            actor(lambda: None, broker=broker, **names)


def test_an_owner_or_subject_that_is_not_a_row_is_no_reason_to_refuse(task, broker):
    class Anonymous:
        is_authenticated = False

    assert job_of(task.send_with_options(args=("M13",), owner=Anonymous())).owner is None


def test_the_row_of_a_message_is_found_by_its_id(task):
    message = task.send("M13")
    assert job_of(message).message_id == uuid.UUID(message.message_id)
