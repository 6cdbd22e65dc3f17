"""Each verb changes the rows that it is for, and no other: tried on a row in every state, held in every way.

Some of these rows never come to be, as other verbs see to it: a guard must not stand on theirs.
"""

from __future__ import annotations

import copy
import uuid
from datetime import timedelta
from itertools import product

import pytest

from tests.support.jobs import actor, own_sql
from tom_nightshift.ledger import admission, carrying, holding, moves, rescue
from tom_nightshift.models import Attempt, Job, Queue
from tom_nightshift.states import FINAL, Hold, State

EVERY = set(product(State, Hold))
LONG_AGO = timedelta(days=1)


@pytest.fixture
def rows(broker):
    """A row for each state and hold: its first attempt, by the worker ``w``, due and claimed long ago."""
    sent = actor(lambda: None, actor_name="task", broker=broker).send()
    job = Job.objects.get(message_id=sent.message_id)
    then = job.created_at - LONG_AGO
    job.attempt, job.worker, job.run_at, job.claimed_at = 1, "w", then, then
    job.expires_at, job.stop_stage = then, 1
    copies = [copy.copy(job) for _ in EVERY]
    for one, (state, hold) in zip(copies, sorted(EVERY), strict=True):
        one.pk, one.message_id, one.state, one.hold = None, uuid.uuid4(), state, hold
        one.stop_requested = state == State.RUNNING or state in FINAL
    job.delete()
    Job.objects.bulk_create(copies)


def changed_by(verb):
    """The (state, hold) of the rows that the verb changes."""
    before = columns_of_all()
    with own_sql() as sql:
        verb(sql)
    after = columns_of_all()
    assert before.keys() == after.keys()
    changed = (columns for job_id, columns in before.items() if columns != after[job_id])
    return {(State(columns["state"]), Hold(columns["hold"])) for columns in changed}


def columns_of_all():
    names = [field.attname for field in Job._meta.concrete_fields]
    return {job.id: {name: getattr(job, name) for name in names} for job in Job.objects.all()}


def of_each(verb):
    """Do it to each row by itself."""

    def to_all(sql):
        for job_id in Job.objects.values_list("id", flat=True):
            verb(sql, job_id)

    return to_all


def claim_named(sql, job_id):
    (message_id,) = Job.objects.filter(id=job_id).values_list("message_id", flat=True)
    return carrying.claim(sql, "me", [carrying.Doorbell(job_id, str(message_id))])


def finish(sql, token):
    return moves.finish(sql, token, State.SUCCEEDED, reason="", error="", result=None)


def wait_again(sql, token):
    return moves.wait_again(
        sql, token, charge="", reason="again", error="", message=None, hold=Hold.NONE, delay=0
    )


def again(task):
    return "again"


def release_all(sql):
    moves.release(sql, list(Job.objects.values_list("id", flat=True)))


WAITING = {(State.WAITING, hold) for hold in Hold}
KEPT_BY_A_KEY = {(State.WAITING, hold) for hold in (Hold.LIMIT, Hold.RATE)}
RUNNING = {(State.RUNNING, hold) for hold in Hold}

CHANGES = {
    "claim": (lambda sql: moves.claim(sql, "me", ["default"], 1), {(State.WAITING, Hold.NONE)}),
    "claim_one": (of_each(lambda sql, job_id: moves.claim_one(sql, "me", job_id)), WAITING),
    "claim_named": (of_each(lambda sql, job_id: claim_named(sql, job_id)), {(State.WAITING, Hold.NONE)}),
    "publish": (lambda sql: carrying.publish(sql, ["default"], "epoch"), {(State.WAITING, Hold.NONE)}),
    "finish": (of_each(lambda sql, job_id: finish(sql, (job_id, 1))), RUNNING),
    "wait_again": (of_each(lambda sql, job_id: wait_again(sql, (job_id, 1))), RUNNING),
    "stop": (of_each(lambda sql, job_id: moves.stop(sql, job_id, "ann")), WAITING | RUNNING),
    "release_due": (moves.release_due, {(State.WAITING, Hold.UNTIL)}),
    "release": (release_all, {(State.WAITING, Hold.UNTIL)}),
    "release_parked": (lambda sql: moves.release_parked(sql, ["task"]), {(State.WAITING, Hold.PARKED)}),
    "expire": (moves.expire, WAITING),
    "stop_stage": (of_each(lambda sql, job_id: moves.stop_stage(sql, (job_id, 1), 2, 10.0)), RUNNING),
    "pause": (lambda sql: holding.pause(sql, "default", ""), {(State.WAITING, Hold.NONE), *KEPT_BY_A_KEY}),
    "admit": (lambda sql: admission.admit(sql, 9), KEPT_BY_A_KEY),
    "resume": (lambda sql: holding.resume(sql, "default"), {(State.WAITING, Hold.PAUSED)}),
    "put_right": (holding.put_right, {(State.WAITING, Hold.PAUSED)}),
    "return_orphans": (lambda sql: rescue.return_orphans(sql, rescue.orphans(sql), again), RUNNING),
    "return_missing": (
        lambda sql: rescue.return_missing(sql, rescue.missing(sql, "w", []), again),
        RUNNING,
    ),
}
"""Verb → how it is called, and which rows it changes."""


def tokens(number=1):
    return {(job_id, number) for job_id in Job.objects.values_list("id", flat=True)}


@pytest.mark.parametrize("name", CHANGES)
def test_each_verb_changes_the_rows_that_it_is_for(rows, name):
    verb, its_own = CHANGES[name]
    assert changed_by(verb) == its_own


@pytest.mark.parametrize("name", ["claim_one", "finish", "stop", "expire"])
def test_what_waits_no_more_is_held_by_nothing_and_what_is_final_has_an_end(rows, name):
    verb, _ = CHANGES[name]
    Job.objects.filter(state__in=FINAL).delete()
    Job.objects.filter(state=State.RUNNING).update(hold="")
    with own_sql() as sql:
        verb(sql)
    assert not Job.objects.exclude(state=State.WAITING).exclude(hold="").exists()
    assert not Job.objects.filter(state__in=FINAL, finished_at=None).exists()


def test_an_end_takes_the_hold_away_whatever_it_was(rows):
    Job.objects.exclude(state=State.RUNNING).delete()
    with own_sql() as sql:
        of_each(lambda sql, job_id: finish(sql, (job_id, 1)))(sql)
    assert set(Job.objects.values_list("hold", flat=True)) == {""}


RELEASES = ["release_due", "release", "release_parked"]


@pytest.mark.parametrize("name", RELEASES)
def test_in_a_paused_queue_what_is_released_waits_for_the_queue(rows, name):
    verb, released = CHANGES[name]
    (_, hold) = released.copy().pop()
    (job_id,) = Job.objects.filter(state=State.WAITING, hold=hold).values_list("id", flat=True)
    Queue.objects.create(name="default", paused=True)
    with own_sql() as sql:
        verb(sql)
    assert Job.objects.get(id=job_id).hold == Hold.PAUSED


def test_no_claim_takes_what_is_ready_though_its_queue_is_paused(rows):
    Queue.objects.create(name="default", paused=True)
    assert changed_by(lambda sql: moves.claim(sql, "me", ["default"], 9)) == set()


def test_the_soonest_is_claimed_first_and_not_the_oldest(rows):
    ready = Job.objects.get(state=State.WAITING, hold="")
    ready.pk, ready.message_id, ready.priority = None, uuid.uuid4(), -1
    ready.save(force_insert=True)
    with own_sql() as sql:
        assert [row[0] for row in moves.claim(sql, "me", ["default"], 1)] == [ready.pk]


@pytest.mark.parametrize("paused", [False, True])
def test_no_hold_is_wrong_of_what_does_not_wait(rows, paused):
    Job.objects.filter(state=State.WAITING).delete()
    Queue.objects.create(name="default", paused=paused)
    with own_sql() as sql:
        assert not holding.is_wrong(sql)


def test_what_another_task_is_parked_for_stays_parked(rows):
    assert changed_by(lambda sql: moves.release_parked(sql, ["another"])) == set()


def test_a_late_note_is_written_behind_the_words_of_its_own_attempt(rows):
    job_id = Job.objects.filter(state=State.RUNNING).values_list("id", flat=True)[0]
    with own_sql() as sql:
        for number in (1, 2):
            sql.run("UPDATE tom_nightshift_job SET attempt = %s WHERE id = %s", [number, job_id])
            moves.record(sql, (job_id, number), "lost", "its worker died")
        moves.note_late(sql, (job_id, 1), "succeeded")
    errors = dict(Attempt.objects.filter(job_id=job_id).values_list("number", "error"))
    assert errors == {1: "its worker died; ended succeeded", 2: "its worker died"}


@pytest.mark.parametrize("verb", [finish, wait_again], ids=["finish", "wait_again"])
@pytest.mark.parametrize("number", [0, 2])
def test_another_attempts_token_opens_no_row(rows, verb, number):
    assert changed_by(of_each(lambda sql, job_id: verb(sql, (job_id, number)))) == set()


def test_a_token_opens_one_row(rows):
    job = Job.objects.filter(state=State.RUNNING).first()
    with own_sql() as sql:
        assert finish(sql, (job.id, 1))
    assert Job.objects.filter(state=State.RUNNING).count() == len(Hold) - 1


def test_the_end_of_an_attempt_is_written_down_once_and_only_while_it_holds_its_row(rows):
    with own_sql() as sql:
        for token in [*tokens(0), *tokens(1), *tokens(2)]:
            moves.record(sql, token, "first")
            moves.record(sql, token, "second")
    written = Attempt.objects.values_list("job__state", "number", "outcome")
    assert set(written) == {(State.RUNNING, 1, "first")}
    assert len(written) == len(Hold)


def test_what_is_asked_counts_the_rows_that_it_is_about(rows):
    with own_sql() as sql:
        assert {row[0] for row in moves.held_by(sql, "w")} == set(
            Job.objects.filter(state=State.RUNNING).values_list("id", flat=True)
        )
        assert moves.held_by(sql, "v") == []
        assert {row[0] for row in rescue.orphans(sql)} == {row[0] for row in moves.held_by(sql, "w")}
        until_due, is_ready, _ = moves.worth_claiming(sql, ["default"])
        assert until_due is not None
        assert until_due <= 0
        assert is_ready


def test_where_nothing_of_the_kind_waits_there_is_nothing_ready_and_nothing_due(rows):
    Job.objects.filter(state=State.WAITING, hold__in=[Hold.NONE, Hold.UNTIL]).delete()
    with own_sql() as sql:
        assert moves.worth_claiming(sql, ["default"]) == (None, False, True)
