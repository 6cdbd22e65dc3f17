"""Many jobs asked for at once: as one by one, only quicker, and all or none."""

from __future__ import annotations

import dramatiq
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.support.jobs import actor, ended, job_of, running
from tom_nightshift import enqueue_many, pause_queue
from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import new_rows
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker, monkeypatch):
    monkeypatch.setattr(dramatiq, "get_broker", lambda: broker)
    return actor(lambda number, password="": number, actor_name="task", broker=broker, title="No {number}")


def test_each_has_its_row_in_their_order_and_each_runs(broker, task):
    sent = enqueue_many(task.message(number) for number in range(20))
    assert [job.title for job in Job.objects.order_by("id")] == [f"No {number}" for number in range(20)]
    with running(broker):
        assert [ended(message).result["value"] for message in sent] == list(range(20))


def test_owner_and_subject_are_as_with_send(task):
    ann, ben = User.objects.create(username="ann"), User.objects.create(username="ben")
    one, other = enqueue_many(
        [task.message_with_options(args=(1,), owner=ann, subject=ben), task.message_with_options(args=(2,))]
    )
    assert (job_of(one).owner, job_of(one).subject, job_of(other).owner) == (ann, ben, None)
    assert one.options == {}


def test_as_many_statements_as_there_are_full_rows(task, monkeypatch):
    monkeypatch.setattr(new_rows, "ROWS", 10)
    with CaptureQueriesContext(connection) as queries:
        enqueue_many([task.message(number) for number in range(25)])
    assert len([one for one in queries if "INSERT INTO tom_nightshift_job" in one["sql"]]) == 3
    assert Job.objects.count() == 25


def test_if_the_arguments_of_one_are_refused_none_is_written(task):
    with pytest.raises(ArgumentsRefused):
        enqueue_many([task.message(1), task.message(1, 2, 3)])
    assert not Job.objects.exists()


def test_they_vanish_with_the_callers_data(task):
    with transaction.atomic():
        enqueue_many([task.message(1), task.message(2)])
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_a_message_that_has_a_row_keeps_it(task):
    message = task.send(1)
    enqueue_many([message, task.message(2)])
    assert Job.objects.count() == 2


def test_holds_delays_and_secrets_are_as_with_send(task):
    pause_queue("default")
    eta = dramatiq.common.current_millis() + 60_000
    held, later = enqueue_many(
        [
            task.message(1),
            task.message_with_options(args=("hunter22",), kwargs={"password": "hunter22"}, eta=eta),
        ]
    )
    assert (job_of(held).hold, job_of(later).hold) == (Hold.PAUSED, Hold.UNTIL)
    assert "hunter22" not in job_of(later).title


def test_of_none_nothing_comes(task):
    assert enqueue_many([]) == []
    assert not Job.objects.filter(state=State.WAITING).exists()
