"""What a job returned can be asked for by its message, with nothing else installed and nothing declared."""

from __future__ import annotations

import threading

import dramatiq
import pytest
from django.db import connection, transaction
from dramatiq.results import ResultFailure, ResultMissing, ResultTimeout

from tests.support.jobs import actor, ended, job_of, own_sql, running
from tom_nightshift import TaskError, stack, warn
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import WaitRefused
from tom_nightshift.ledger import moves
from tom_nightshift.ledger.pruning import remove
from tom_nightshift.ledger.secrets import MASK
from tom_nightshift.states import State


@pytest.fixture
def broker(broker, monkeypatch):
    """The default broker, as in a site: a message asks that one for its result."""
    monkeypatch.setattr("dramatiq.broker.global_broker", broker)
    return broker


@pytest.fixture
def add(broker):
    return actor(lambda a, b: a + b, actor_name="add", broker=broker)


def test_a_caller_waits_for_it(broker, add):
    message = add.send(1, 2)
    with running(broker):
        assert message.get_result(block=True) == 3


@pytest.mark.parametrize("value", [None, 0, "", [], {"a": [1, 2.5, None, "é"]}, "plain words", 2**60, False])
def test_it_comes_as_it_was_returned(broker, value):
    message = actor(lambda: value, actor_name="task", broker=broker).send()
    with running(broker):
        got = message.get_result(block=True)
    assert (type(got), got) == (type(value), value)


def test_who_does_not_wait_is_told_that_it_is_missing(broker, add):
    with pytest.raises(ResultMissing, match="has not ended"):
        add.send(1, 2).get_result()


def test_who_waits_too_long_is_told_so(broker, add):
    with pytest.raises(ResultTimeout, match="within 30 ms"):
        add.send(1, 2).get_result(block=True, timeout=30)


def test_a_row_that_is_gone_is_missing(broker, add):
    message = add.send(1, 2)
    with own_sql() as sql:
        remove(sql, [job_of(message).id])
    with pytest.raises(ResultMissing):
        message.get_result()


def test_a_failed_job_tells_why(broker):
    def task():
        raise TaskError("the archive has no such image")

    message = actor(task, title="Fetch M13", broker=broker).send()
    with running(broker), pytest.raises(ResultFailure, match="the archive has no such image") as failure:
        message.get_result(block=True)
    assert str(failure.value).startswith(f"job {job_of(message).id} (Fetch M13) failed: ")
    assert failure.value.orig_exc_type == "TaskError"


def test_the_kind_of_error_is_told(broker):
    message = actor(lambda: 1 / 0, actor_name="task", broker=broker).send()
    with running(broker), pytest.raises(ResultFailure) as failure:
        message.get_result(block=True)
    assert failure.value.orig_exc_type == "ZeroDivisionError"
    assert failure.value.orig_exc_msg == "ZeroDivisionError: division by zero"


def test_a_stopped_job_says_who_stopped_it(broker, add):
    message = add.send(1, 2)
    with own_sql() as sql:
        moves.stop(sql, job_of(message).id, "Ann")
    with pytest.raises(ResultFailure, match="was stopped: stopped by Ann"):
        message.get_result(block=True)


def test_a_job_that_was_too_old_says_so(broker, add, step_clock):
    message = add.send_with_options(args=(1, 2), max_age=1000)
    step_clock(2)
    with own_sql() as sql:
        moves.expire(sql)
    with pytest.raises(ResultFailure, match="was too old"):
        message.get_result()


def test_a_lost_job_says_that_nobody_knows(broker):
    message = actor(lambda: 1, actor_name="once", on_lost="lost", broker=broker).send()
    with own_sql() as sql:
        (row,) = moves.claim(sql, "host:1:a", ["default"], 1)
        moves.finish(sql, row[:2], State.LOST, reason="lost", error="we do not know", result=None)
    with pytest.raises(ResultFailure, match="was lost: we do not know"):
        message.get_result()


def test_warnings_do_not_hide_it(broker):
    def task():
        warn("faint")
        return 5

    message = actor(task, broker=broker).send()
    with running(broker):
        assert message.get_result(block=True) == 5
    assert job_of(message).state == State.WARNED


@pytest.mark.parametrize(("value", "why"), [("x" * 70_000, "too large"), ({1, 2}, "could not be kept")])
def test_a_value_that_could_not_be_kept_is_missing_and_nobody_waits_for_it(broker, value, why):
    message = actor(lambda: value, actor_name="task", broker=broker).send()
    with running(broker), pytest.raises(ResultMissing, match=why):
        message.get_result(block=True)


def test_a_task_that_keeps_no_results_has_none(broker):
    message = actor(lambda: 5, actor_name="task", store_results=False, broker=broker).send()
    with running(broker), pytest.raises(ResultMissing, match="store_results=False"):
        message.get_result(block=True)
    assert job_of(message).result["value"] is None


def test_a_secret_is_returned_to_the_caller_and_masked_on_pages(broker):
    message = actor(lambda token: {"token": token, "n": 1}, actor_name="log_in", broker=broker).send("s3cr3t")
    with running(broker):
        assert message.get_result(block=True) == {"token": "s3cr3t", "n": 1}
    assert job_of(message).result["value"] == {"token": MASK, "n": 1}


class TestInsideATransaction:
    def test_what_is_there_is_given(self, broker, add):
        message = add.send(1, 2)
        with running(broker):
            ended(message)
        with transaction.atomic():
            assert message.get_result() == 3
            assert message.get_result(block=True) == 3

    def test_who_would_wait_for_ever_is_refused(self, broker, add):
        with transaction.atomic():
            message = add.send(1, 2)
            with pytest.raises(ResultMissing):
                message.get_result()
            with pytest.raises(WaitRefused, match="after the block"):
                message.get_result(block=True)

    @pytest.mark.postgres
    def test_a_job_that_others_see_is_waited_for(self, broker, add):
        message = add.send(1, 2)
        with running(broker), transaction.atomic():
            with connection.cursor() as cursor:  # this transaction sees nothing that others commit
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with pytest.raises(ResultMissing):
                message.get_result()
            assert message.get_result(block=True) == 3


def test_eager_jobs_have_theirs_at_once(transactional_db, nightshift, monkeypatch):
    eager = DatabaseBroker(stack.middleware(), runs_here=lambda: True)
    monkeypatch.setattr("dramatiq.broker.global_broker", eager)
    with transaction.atomic():
        assert actor(lambda: 7, actor_name="task", broker=eager).send().get_result(block=True) == 7


def test_many_callers_wait_at_once(broker, add):
    got: list[int] = []

    def ask(message):
        try:
            got.append(message.get_result(block=True))
        finally:
            connection.close()

    callers = [threading.Thread(target=ask, args=[add.send(number, 0)]) for number in range(8)]
    for caller in callers:
        caller.start()
    with running(broker, threads=4):
        for caller in callers:
            caller.join(10)
    assert sorted(got) == list(range(8))


def test_groups_and_pipelines_have_theirs(broker, add):
    group = dramatiq.group([add.message(1, 1), add.message(2, 2)]).run()
    pipeline = dramatiq.pipeline([add.message(1, 2), add.message(3), add.message(4)]).run()
    assert not group.completed
    with running(broker):
        assert list(group.get_results(block=True)) == [2, 4]
        assert pipeline.get_result(block=True) == 10
        assert list(pipeline.get_results()) == [3, 6, 10]
    assert (group.completed, pipeline.completed, pipeline.completed_count) == (True, True, 3)
