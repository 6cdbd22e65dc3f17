"""What a task says: outside a job nothing happens; inside, only memory changes."""

from __future__ import annotations

import math

import pytest

from tom_nightshift import checkpoint, current_job, progress, result, say, step, warn
from tom_nightshift.exceptions import StopRequested
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.speaking import MOST_STAGES, NOTE_LENGTH, start_over


@pytest.fixture
def attempt():
    """The attempt that this thread is running."""
    running = Attempt(7, 2, "task", "default", title="Task", owner_id=3)
    token = current.set(running)
    yield running
    current.reset(token)


def log_of(attempt):
    return [line[9:] for piece in attempt.log.take() for line in piece.text.splitlines()]


class TestOutsideAJob:
    """A plain function may say these things wherever it is called."""

    @pytest.mark.parametrize(
        ("speak", "words"),
        [
            (progress, [1, 2, "note"]),
            (checkpoint, []),
            (say, ["words"]),
            (warn, ["words"]),
            (result, ["/"]),
            (result, [None]),
            (start_over, []),
        ],
    )
    def test_nothing_happens(self, speak, words):
        assert speak(*words) is None
        assert current_job() is None

    def test_a_step_is_a_plain_block(self):
        with step("download") as this:
            assert (this.name, this.done, this.value) == ("download", False, None)
            this.value = object()


class TestInsideAJob:
    def test_it_knows_which(self, attempt):
        job = current_job()
        assert (job.id, job.attempt, job.task, job.title, job.owner_id) == (7, 2, "task", "Task", 3)

    def test_progress_stays_in_memory(self, attempt):
        progress(1, 2, "frame 1")
        said = attempt.reports
        assert (said.done, said.total, said.note, said.changed) == (1.0, 2.0, "frame 1", True)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_no_bar_can_show_is_left_out(self, attempt, value):
        progress(value, value)
        assert (attempt.reports.done, attempt.reports.total) == (None, None)

    def test_a_note_fits_its_column(self, attempt):
        progress(1, note="x\x00" * 300)
        assert len(attempt.reports.note) == NOTE_LENGTH
        assert "\x00" not in attempt.reports.note

    def test_a_warning_is_kept_and_logged(self, attempt):
        say("hello")
        warn("no gain")
        assert (attempt.warnings, log_of(attempt)) == (["no gain"], ["hello", "WARNING: no gain"])

    def test_an_address_is_kept_with_its_label(self, attempt):
        result("/a/", "A")
        result("/b/")
        assert attempt.made == [{"url": "/a/", "label": "A"}, {"url": "/b/", "label": "/b/"}]

    @pytest.mark.parametrize(
        "speak",
        [checkpoint, lambda: progress(1), lambda: step("x").__enter__()],
        ids=["checkpoint", "progress", "step"],
    )
    def test_once_asked_to_stop_it_stops_where_it_speaks(self, attempt, speak):
        speak()
        attempt.stop_requested = True
        with pytest.raises(StopRequested):
            speak()


class TestSteps:
    def test_one_that_ended_is_done_for_the_next_attempt(self, attempt):
        with step("download") as this:
            assert not this.done
            this.value = "a.fits"
        with step("download") as again:
            assert (again.done, again.value) == (True, "a.fits")
        assert [stage["name"] for stage in attempt.reports.stages] == ["download"]

    def test_one_that_failed_is_not(self, attempt):
        with pytest.raises(ZeroDivisionError), step("download"):
            raise ZeroDivisionError
        assert attempt.reports.stages == [{"name": "download", "done": False}]
        with step("download") as again:
            assert not again.done

    def test_one_whose_work_has_gone_is_shown_as_not_done_while_it_is_done_again(self, attempt):
        attempt.reports.saved["steps"] = {"download": "a.fits"}
        attempt.reports.stages.append({"name": "download", "done": True, "seconds": 9.0})
        with step("download") as this:
            assert this.done
            this.done = False
            assert (attempt.reports.stages, attempt.reports.saved, attempt.reports.changed) == (
                [{"name": "download", "done": False}],
                {"steps": {}},
                True,
            )
        assert attempt.reports.stages[0]["done"]
        assert attempt.reports.stages[0]["seconds"] < 9
        assert "download" in attempt.reports.saved["steps"]

    def test_one_that_the_task_finds_done_is_shown_without_a_time(self, attempt):
        with step("download") as this:
            this.done = True
        assert attempt.reports.stages == [{"name": "download", "done": True}]

    def test_one_that_was_done_keeps_its_time(self, attempt):
        attempt.reports.saved["steps"] = {"download": None}
        attempt.reports.stages.append({"name": "download", "done": True, "seconds": 9.0})
        with step("download") as this:
            this.done = True
        assert attempt.reports.stages == [{"name": "download", "done": True, "seconds": 9.0}]

    def test_a_value_that_cannot_be_kept_is_refused_where_its_step_stands(self, attempt):
        with pytest.raises(TypeError), step("download") as this:
            this.value = object()
        assert attempt.reports.saved == {}

    def test_their_number_on_the_page_is_bounded(self, attempt):
        for number in range(MOST_STAGES + 5):
            with step(f"step {number}"):
                pass
        assert len(attempt.reports.stages) == MOST_STAGES
        assert len(attempt.reports.saved["steps"]) == MOST_STAGES + 5

    def test_starting_over_forgets_them(self, attempt):
        with step("download"):
            pass
        start_over()
        assert (attempt.reports.stages, attempt.reports.saved) == ([], {})
        with step("download") as again:
            assert not again.done
