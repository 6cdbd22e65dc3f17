"""A carrier's messages are doorbells: which are sent, who may begin, and how lost ones are sent again."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import User

from tests.support.jobs import actor, job_of, own_sql
from tom_nightshift import pause_queue, resume_queue
from tom_nightshift.ledger import carrying, moves
from tom_nightshift.ledger.carrying import Doorbell
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State

QUEUES = ["default"]


@pytest.fixture
def task(broker):
    return actor(lambda number=0: None, actor_name="task", broker=broker)


def publish(epoch="one", queues=QUEUES):
    with own_sql() as sql:
        return [job_id for job_id, *_ in carrying.publish(sql, queues, epoch)]


def bell(message, job_id=None):
    return Doorbell(job_id or job_of(message).id, message.message_id)


def claim(*heard):
    with own_sql() as sql:
        return carrying.claim(sql, "worker", heard)


def age(seconds, *messages):
    """As if their doorbells had gone out so long ago."""
    with own_sql() as sql:
        keys = [sql.uuid(message.message_id) for message in messages]
        for key in keys:
            sql.run(
                f"UPDATE tom_nightshift_job SET published_at = {sql.after(-seconds)} WHERE message_id = %s",
                [key],
            )


def ids(*messages):
    return [job_of(message).id for message in messages]


def test_each_ready_job_is_published_once(task):
    messages = [task.send() for _ in range(3)]
    assert publish() == ids(*messages)
    assert publish() == []


def test_held_jobs_are_not_published_and_released_ones_are(task):
    task.send_with_options(delay=60_000)
    pause_queue("default")
    paused = task.send()
    assert publish() == []
    resume_queue("default")
    assert publish() == ids(paused)


def test_only_jobs_of_these_queues_are_published(task):
    task.send()
    assert publish(queues=["other"]) == []


def test_only_the_soonest_have_their_doorbells_out(task, monkeypatch):
    monkeypatch.setattr(carrying, "OUT", 2)
    ann = User.objects.create(username="ann")
    first = [task.send_with_options(owner=ann) for _ in range(3)]
    assert publish() == ids(*first[:2])
    assert publish() == []
    assert len(claim(bell(first[0]))) == 1
    assert publish() == ids(first[2])


def test_who_has_asked_for_little_goes_before_who_has_asked_for_much(task, monkeypatch):
    monkeypatch.setattr(carrying, "OUT", 2)
    ann, ben = User.objects.create(username="ann"), User.objects.create(username="ben")
    much = [task.send_with_options(owner=ann) for _ in range(5)]
    publish()
    little = task.send_with_options(owner=ben)
    assert publish() == ids(little)
    assert job_of(much[4]).published_at is None


def test_what_is_worth_publishing_is_seen_beforehand(task):
    def worth():
        with own_sql() as sql:
            return carrying.anything_to_publish(sql, QUEUES)

    assert not worth()
    task.send()
    assert worth()
    publish()
    assert not worth()


def test_a_claim_gives_the_message_and_the_row_and_takes_the_doorbell_back(task):
    message = task.send(7)
    publish()
    ((key, job_id, number, *_),) = claim(bell(message))
    job = job_of(message)
    assert (key, job_id, number) == (message.message_id, job.id, 1)
    assert (job.state, job.published_at) == (State.RUNNING, None)


def test_a_second_doorbell_of_the_same_job_is_refused(task):
    message = task.send()
    publish()
    assert claim(bell(message))
    assert claim(bell(message)) == []
    assert job_of(message).attempt == 1


@pytest.mark.parametrize("wrong", ["the row", "the message"])
def test_a_doorbell_of_another_database_is_refused(task, wrong):
    message = task.send()
    publish()
    other = bell(message, job_of(message).id + 1)
    if wrong == "the message":
        other = Doorbell(job_of(message).id, str(uuid.uuid4()))
    assert claim(other) == []
    job = job_of(message)
    assert job.state == State.WAITING
    assert job.published_at is not None


def test_who_is_held_meanwhile_is_refused_and_gets_a_new_doorbell_when_released(task):
    message = task.send()
    publish()
    pause_queue("default")
    assert claim(bell(message)) == []
    resume_queue("default")
    assert publish() == ids(message)


def test_what_could_not_be_sent_is_published_again(task):
    message = task.send()
    publish()
    with own_sql() as sql:
        assert carrying.take_back(sql, ids(message)) == 1
    assert publish() == ids(message)


def test_a_job_that_runs_again_gets_a_new_doorbell(task):
    message = task.send()
    publish()
    ((_, job_id, number, *_),) = claim(bell(message))
    with own_sql() as sql:
        moves.wait_again(
            sql, (job_id, number), charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
        )
    assert publish() == [job_id]


def test_what_a_carrier_has_forgotten_is_published_again(task):
    message = task.send()
    publish("one")
    with own_sql() as sql:
        assert carrying.take_back_forgotten(sql, "one") == 0
        assert carrying.take_back_forgotten(sql, "two") == 1
    assert publish("two") == ids(message)


def test_what_an_empty_carrier_has_lost_is_published_again_but_not_what_went_out_a_moment_ago(task):
    old, fresh = task.send(), task.send()
    publish()
    age(10, old)
    with own_sql() as sql:
        assert carrying.queues_that_wait(sql, ["default", "other"]) == ["default"]
        assert carrying.take_back_left(sql, "other", 5) == 0
        assert carrying.take_back_left(sql, "default", 5) == 1
    assert publish() == ids(old)
    assert job_of(fresh).published_at is not None


def test_what_others_have_overtaken_is_published_again(task):
    lost, *others = [task.send() for _ in range(5)]
    publish()
    age(100, lost)
    for other in others:
        ((_, job_id, number, *_),) = claim(bell(other))
        with own_sql() as sql:
            assert carrying.take_back_overtaken(sql, 4, 60) == 0
            moves.finish(sql, (job_id, number), State.SUCCEEDED, reason="", error="", result=None)
    with own_sql() as sql:
        assert carrying.take_back_overtaken(sql, 5, 60) == 0
        assert carrying.take_back_overtaken(sql, 4, 200) == 0
        assert carrying.take_back_overtaken(sql, 4, 60) == 1
    assert publish() == ids(lost)


def test_however_long_nobody_listens_nothing_is_published_twice(task):
    messages = [task.send() for _ in range(5)]
    publish()
    age(3600, *messages)
    with own_sql() as sql:
        assert carrying.take_back_overtaken(sql, 1, 60) == 0
        assert carrying.take_back_forgotten(sql, "one") == 0
    assert publish() == []


def test_a_doorbell_of_what_is_final_brings_nothing_back(task):
    message = task.send()
    publish()
    ((_, job_id, number, *_),) = claim(bell(message))
    with own_sql() as sql:
        moves.finish(sql, (job_id, number), State.SUCCEEDED, reason="", error="", result=None)
        assert carrying.take_back(sql, [job_id]) == 0
    assert claim(bell(message)) == []
    assert Job.objects.get().state == State.SUCCEEDED
