"""How an attempt ended: one test for each line of the table in ``ledger/outcomes.py``."""

from __future__ import annotations

import math
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import TimeLimitExceeded

from tom_nightshift.exceptions import StopRequested, TaskError, Withdrawn
from tom_nightshift.ledger.attempt import Attempt, Retry
from tom_nightshift.ledger.outcomes import (
    PUT_BACK_AFTER,
    WORDS_LENGTH,
    decide,
    hand_back,
    in_words,
    result_json,
)
from tom_nightshift.states import Hold, State

AGAIN: dramatiq.Message[Any] = dramatiq.Message("default", "task", (), {}, {"retries": 1})


def attempt(**values):
    made = Attempt(1, 1, "task", "default")
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_ack_without_exception_succeeded():
    outcome = decide(attempt(value=3), acked=True)
    assert (outcome.state, outcome.reason, outcome.words) == (State.SUCCEEDED, "", "")


def test_ack_with_warnings_is_warned_with_the_first_of_them():
    outcome = decide(attempt(warnings=["no gain", "no zero point"]), acked=True)
    assert (outcome.state, outcome.words) == (State.WARNED, "no gain")


def test_an_enqueue_of_the_very_message_waits_again_with_its_delay():
    outcome = decide(attempt(exception=ValueError("x"), retry=Retry(AGAIN, 5.0)), acked=True)
    assert (outcome.state, outcome.hold, outcome.delay) == (State.WAITING, Hold.UNTIL, 5.0)
    assert (outcome.charge, outcome.message, outcome.words) == ("failures", AGAIN.encode(), "ValueError: x")
    assert outcome.recorded_as == "retried"


def test_a_retry_without_delay_is_not_held():
    outcome = decide(attempt(exception=ValueError(), retry=Retry(AGAIN, 0.0)), acked=True)
    assert (outcome.state, outcome.hold) == (State.WAITING, Hold.NONE)


def test_a_retry_counts_as_a_failure_only_if_there_was_one():
    outcome = decide(attempt(retry=Retry(AGAIN, 5.0)), acked=True)
    assert (outcome.state, outcome.charge) == (State.WAITING, "snoozes")
    assert outcome.recorded_as == "returned"


def test_ack_with_an_exception_where_retries_is_not_there_failed():
    outcome = decide(attempt(exception=ZeroDivisionError("division by zero")), acked=True, has_retries=False)
    assert (outcome.state, outcome.reason) == (State.FAILED, "ZeroDivisionError")
    assert outcome.words == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("failures", range(len(PUT_BACK_AFTER)))
def test_ack_with_an_exception_where_retries_is_there_is_put_back(failures):
    outcome = decide(attempt(exception=ValueError(), failures=failures), acked=True)
    assert (outcome.state, outcome.reason, outcome.charge) == (State.WAITING, "put back", "failures")
    assert (outcome.hold, outcome.delay) == (Hold.UNTIL, PUT_BACK_AFTER[failures])


def test_the_third_time_it_failed():
    outcome = decide(attempt(exception=ValueError("x"), failures=2), acked=True)
    assert (outcome.state, outcome.words) == (State.FAILED, "ValueError: x")


def test_nack_after_an_exception_failed():
    outcome = decide(attempt(exception=ValueError("x")), acked=False)
    assert (outcome.state, outcome.reason, outcome.charge) == (State.FAILED, "ValueError", "")


def test_nack_of_a_skipped_message_that_is_too_old_expired():
    assert decide(attempt(skipped=True), acked=False, too_old=True).state == State.EXPIRED


def test_nack_of_a_skipped_message_that_is_not_too_old_failed():
    outcome = decide(attempt(skipped=True), acked=False)
    assert (outcome.state, outcome.reason) == (State.FAILED, "rejected")


def test_nack_of_an_unknown_actor_parks_and_names_it():
    outcome = decide(attempt(exception=ActorNotFound("task")), acked=False)
    assert (outcome.state, outcome.hold, outcome.charge) == (State.WAITING, Hold.PARKED, "")
    assert "the task task" in outcome.words


def test_ack_of_a_skipped_message_is_warned():
    outcome = decide(attempt(skipped=True), acked=True)
    assert (outcome.state, outcome.reason) == (State.WARNED, "skipped")


@pytest.mark.parametrize("acked", [True, False])
@pytest.mark.parametrize("error", [StopRequested("stopped"), Withdrawn("the upload was withdrawn")])
def test_a_stop_is_stopped_in_its_own_words(error, acked):
    outcome = decide(attempt(exception=error, retry=Retry(AGAIN, 5.0)), acked=acked)
    assert (outcome.state, outcome.words) == (State.STOPPED, str(error))


def test_requeue_is_charged_to_nobody():
    outcome = hand_back()
    assert (outcome.state, outcome.hold, outcome.charge) == (State.WAITING, Hold.NONE, "")
    assert outcome.recorded_as == "returned"


def test_nack_without_any_word_failed():
    assert decide(attempt(), acked=False).state == State.FAILED


def test_a_time_limit_has_a_reason_of_its_own():
    outcome = decide(attempt(exception=TimeLimitExceeded(), begun=0.0), acked=False)
    assert outcome.reason == "time limit"
    assert outcome.words.endswith(" s: its time limit")


def test_a_task_s_own_words_stand_as_they_are():
    outcome = decide(attempt(exception=TaskError("no image in this file")), acked=False)
    assert (outcome.reason, outcome.words) == ("task", "no image in this file")


class TestWords:
    """A failure as one sentence that can be stored."""

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (ValueError("x"), "ValueError: x"),
            (ValueError(), "ValueError"),
            (TaskError(), "TaskError"),
            (TaskError("  so it is "), "so it is"),
            (ValueError("a\x00b"), "ValueError: a�b"),
            (Mute(), "Mute: (Mute)"),
        ],
    )
    def test_they_are(self, error, words):
        assert in_words(error) == words

    def test_they_are_bounded(self):
        assert len(in_words(ValueError("x" * 10_000))) <= WORDS_LENGTH + len("ValueError: ")


class TestResult:
    """A value that cannot be kept is a warning, never a failure."""

    @pytest.fixture(autouse=True)
    def small(self, settings):
        settings.NIGHTSHIFT = {"RESULT_BYTES": 20}

    @pytest.mark.parametrize("value", [math.nan, object(), {1, 2}, b"x"])
    def test_what_json_cannot_hold_is_dropped_with_a_warning(self, value):
        made = attempt(value=value)
        assert decide(made, acked=True).state == State.WARNED
        assert made.warnings[0].startswith("the return value could not be kept: ")
        assert '"value": null' in result_json(made)

    def test_what_is_too_large_is_dropped_with_a_warning(self):
        made = attempt(value="x" * 30)
        assert decide(made, acked=True).words == "the return value of 32 bytes was too large to be kept"
        assert len(made.warnings) == 1

    def test_nothing_made_keeps_nothing(self):
        assert result_json(attempt()) is None

    def test_what_is_sound_is_kept(self):
        assert '"value": [1, 2]' in result_json(attempt(value=[1, 2]))
