"""Outcomes that are written together: each row gets its own, and who lost a row changes nothing."""

from __future__ import annotations

import threading

import pytest

from tests.support.jobs import actor, claimed, ended, job_of, log_of, own_sql, running
from tom_nightshift.exceptions import OptionRefused
from tom_nightshift.ledger import batches, dispatcher, moves
from tom_nightshift.ledger.handing_over import write_together
from tom_nightshift.ledger.outcomes import Outcome
from tom_nightshift.models import Attempt
from tom_nightshift.states import Hold, State


@pytest.fixture
def task(broker):
    return actor(lambda: None, actor_name="task", broker=broker)


def test_each_gets_what_is_its_own(task):
    sent = [task.send() for _ in range(5)]
    with own_sql() as sql:
        attempts = claimed(sql, limit=5)
    for number, attempt in enumerate(attempts):
        attempt.log.add(f"line of {number}")
        attempt.value = {"number": number}
        attempt.reports.note, attempt.reports.changed = f"note of {number}", number % 2 == 0
    attempts[4].traceback = "Traceback: …"
    outcomes = [
        Outcome(State.SUCCEEDED),
        Outcome(State.WARNED, "warned", "mind this"),
        Outcome(State.WAITING, "retry", "again", Hold.UNTIL, 60.0, charge="failures"),
        Outcome(State.FAILED, "task", "it cannot"),
        Outcome(State.FAILED, "ValueError", "ValueError: no"),
    ]
    with own_sql() as sql:
        assert batches.write(sql, list(zip(attempts, outcomes, strict=True))) == [True] * 5
    jobs = [job_of(message) for message in sent]
    assert [job.state for job in jobs] == [outcome.state for outcome in outcomes]
    assert [job.reason for job in jobs] == [outcome.reason for outcome in outcomes]
    assert [job.error for job in jobs] == [outcome.words for outcome in outcomes]
    assert [log_of(job) for job in jobs] == [[f"line of {number}"] for number in range(5)]
    assert [job.note for job in jobs] == ["note of 0", "", "note of 2", "", "note of 4"]
    values = [job.result and job.result["value"]["number"] for job in jobs]
    assert values == [0, 1, None, 3, 4]
    rows = Attempt.objects.order_by("job_id").values_list("outcome", "error", "traceback", "worker")
    assert list(rows) == [
        ("succeeded", "", "", "host:1:a"),
        ("warned", "mind this", "", "host:1:a"),
        ("retried", "again", "", "host:1:a"),
        ("failed", "it cannot", "", "host:1:a"),
        ("failed", "ValueError: no", "Traceback: …", "host:1:a"),
    ]
    assert all(row.started_at and row.finished_at >= row.started_at for row in Attempt.objects.all())


def test_one_that_lost_its_row_changes_nothing_and_the_others_are_written(task):
    lost, kept = task.send(), task.send()
    with own_sql() as sql:
        attempts = claimed(sql, limit=2)
        late = attempts[0]
        moves.wait_again(
            sql, late.token, charge="", reason="", error="", message=None, hold=Hold.NONE, delay=0
        )
        claimed(sql)
    late.log.add("too late")
    with own_sql() as sql:
        ended_now = [(attempt, Outcome(State.SUCCEEDED)) for attempt in attempts]
        assert batches.write(sql, ended_now) == [False, True]
    assert (job_of(lost).state, job_of(lost).attempt, log_of(job_of(lost))) == (State.RUNNING, 2, [])
    assert job_of(kept).state == State.SUCCEEDED
    assert [row.job_id for row in Attempt.objects.all()] == [job_of(kept).id]


class TestImmediateAck:
    """Whether the thread waits for the commit before it takes another job."""

    @pytest.mark.database_carries
    @pytest.mark.parametrize(
        ("asked", "seconds", "waits"),
        [(None, 0.0, False), (None, 0.06, True), (True, 0.0, True), (False, 0.06, False)],
    )
    def test_it_does_as_its_task_says_and_else_by_how_long_it_took(
        self, broker, monkeypatch, asked, seconds, waits
    ):
        has_a_thread_that_waits: list[bool] = []

        def write(sql, items):
            has_a_thread_that_waits.extend(item.written is not None for item in items)
            return write_together(sql, items)

        monkeypatch.setattr(dispatcher, "write_together", write)
        options = {} if asked is None else {"immediate_ack": asked}
        task = actor(
            lambda: threading.Event().wait(seconds) or None, actor_name="task", broker=broker, **options
        )
        with running(broker):
            assert ended(task.send()).state == State.SUCCEEDED
        assert has_a_thread_that_waits == [waits]

    def test_a_value_that_means_nothing_is_refused(self, broker):
        with pytest.raises(OptionRefused, match="immediate_ack is 'yes': it takes True or False"):
            actor(lambda: None, actor_name="task", broker=broker, immediate_ack="yes")
