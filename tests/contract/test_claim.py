"""Claim is start: of all who want a job exactly one gets it, the soonest first."""

from __future__ import annotations

import pytest

from tests.support.jobs import actor, claimed, job_of, own_sql
from tests.support.rivals import holding, race
from tom_nightshift.ledger import moves
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


def claim_as(number):
    with own_sql() as sql:
        return claimed(sql, worker=f"rival {number}")


def test_of_eight_rivals_exactly_one_starts_the_job(task):
    message = task.send()

    got = race(8, claim_as)

    assert [len(attempts) for attempts in sorted(got, key=len)] == [0] * 7 + [1]
    assert job_of(message).attempt == 1


def test_of_eight_rivals_with_a_stale_copy_exactly_one_starts_a_certain_job(task):
    job = job_of(task.send())

    def claim_it(number):
        with own_sql() as sql:
            return moves.claim_one(sql, f"rival {number}", job.id)

    assert [row is not None for row in race(8, claim_it)].count(True) == 1


def test_eight_rivals_share_forty_jobs_without_taking_one_twice(task):
    ids = [job_of(task.send()).id for _ in range(40)]

    def claim_until_none_is_left(number):
        taken = []
        while attempts := claim_as(number):
            taken += [attempt.job_id for attempt in attempts]
        return taken

    taken = [job_id for share in race(8, claim_until_none_is_left) for job_id in share]
    assert sorted(taken) == ids


@pytest.mark.postgres
def test_a_row_that_another_transaction_holds_is_passed_over(task):
    first, second = task.send(), task.send()

    with holding(lambda sql: claimed(sql)), own_sql() as sql:
        attempts = claimed(sql)

    assert [attempt.job_id for attempt in attempts] == [job_of(second).id]
    assert job_of(first).state == State.WAITING


def test_no_more_than_the_limit_is_taken(task):
    for _ in range(5):
        task.send()
    with own_sql() as sql:
        assert len(claimed(sql, limit=3)) == 3
    assert Job.objects.filter(state=State.RUNNING).count() == 3


def test_lower_priorities_come_first_across_queues_and_equals_in_order(broker):
    late = actor(lambda: None, actor_name="late", priority=10, queue_name="a", broker=broker)
    soon = actor(lambda: None, actor_name="soon", priority=-5, queue_name="b", broker=broker)
    sent = [late.send(), soon.send(), late.send(), soon.send()]

    with own_sql() as sql:
        order = [attempt.job_id for attempt in claimed(sql, queues=("a", "b"), limit=10)]

    assert order == [job_of(sent[place]).id for place in (1, 3, 0, 2)]


def test_only_the_queues_asked_for_are_claimed(broker):
    other = actor(lambda: None, actor_name="other", queue_name="other", broker=broker)
    other.send()
    with own_sql() as sql:
        assert claimed(sql, queues=("default",)) == []
        assert claimed(sql, queues=()) == []


@pytest.mark.parametrize("hold", [Hold.UNTIL, Hold.PAUSED, Hold.PARKED, Hold.LIMIT, Hold.RATE])
def test_a_held_job_is_not_claimed(task, hold):
    message = task.send()
    Job.objects.update(hold=hold)
    with own_sql() as sql:
        assert claimed(sql) == []
    assert job_of(message).attempt == 0


def test_a_claim_counts_the_attempt_and_forgets_the_last_ones_progress(task):
    message = task.send()
    Job.objects.update(done=3, total=4, note="frame 3", error="old", reason="old")
    with own_sql() as sql:
        (attempt,) = claimed(sql, worker="host:1:a")
    job = job_of(message)
    assert (attempt.number, job.attempt, job.worker, job.state) == (1, 1, "host:1:a", State.RUNNING)
    assert (job.done, job.total, job.note, job.error, job.reason) == (None, None, "", "", "")
    assert job.claimed_at == job.started_at is not None or job.claimed_at >= job.started_at


class TestTheToken:
    """(row id, attempt): every write of an attempt carries it."""

    @pytest.fixture
    def attempts(self, task):
        """Two attempts of one job: the first was taken for dead."""
        message = task.send()
        with own_sql() as sql:
            (first,) = claimed(sql, worker="first")
            moves.wait_again(
                sql, first.token, charge="losses", reason="", error="", message=None, hold=Hold.NONE, delay=0
            )
            (second,) = claimed(sql, worker="second")
        return message, first, second

    def test_a_late_finish_is_refused(self, attempts):
        message, first, second = attempts
        with own_sql() as sql:
            assert not moves.finish(sql, first.token, State.FAILED, reason="", error="late", result=None)
            assert moves.finish(sql, second.token, State.SUCCEEDED, reason="", error="", result=None)
        assert (job_of(message).state, job_of(message).error) == (State.SUCCEEDED, "")

    def test_a_late_retry_is_refused(self, attempts):
        message, first, _ = attempts
        with own_sql() as sql:
            assert not moves.wait_again(
                sql,
                first.token,
                charge="failures",
                reason="",
                error="",
                message=None,
                hold=Hold.NONE,
                delay=0,
            )
        assert (job_of(message).state, job_of(message).failures) == (State.RUNNING, 0)

    def test_a_late_note_of_how_it_ended_is_refused(self, attempts):
        message, first, _ = attempts
        with own_sql() as sql:
            moves.record(sql, first.token, "succeeded")
        assert job_of(message).attempts.count() == 0

    def test_a_final_row_never_moves_again(self, attempts):
        message, _, second = attempts
        with own_sql() as sql:
            moves.finish(sql, second.token, State.SUCCEEDED, reason="", error="", result=None)
        for state in (State.FAILED, State.STOPPED):
            with own_sql() as sql:
                assert not moves.finish(sql, second.token, state, reason="", error="", result=None)
        with own_sql() as sql:
            assert moves.stop(sql, second.job_id, "ann") is None
            assert moves.claim_one(sql, "w", second.job_id) is None
        assert job_of(message).state == State.SUCCEEDED
