"""What a task can say while it runs: progress, steps, warnings, results.

Each finds the job by the calling thread, so a plain function may say these things wherever it is called:
outside a job they do nothing. None of them waits for the database.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from tom_nightshift.exceptions import StopRequested
from tom_nightshift.ledger import storable
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.capture import clock

NOTE_LENGTH = 200
MOST_STAGES = 200


def progress(done: float, total: float | None = None, note: str = "") -> None:
    """Say how far the job is.

    Parameters:
        done: how much is done, in any unit.
        total: how much there is in all, in the same unit; without it the bar shows only that something
            happens.
        note: what is being done now, in a few words.

    Raises:
        StopRequested: somebody asked the job to stop. Let it pass: the job then ends as stopped.
    """
    attempt = current.get()
    if attempt is None:
        return
    checkpoint()
    said = attempt.reports
    said.done, said.total, said.note = _finite(done), _finite(total), _note(attempt, note)
    said.changed = True


def checkpoint() -> None:
    """A place where the job may be stopped.

    Raises:
        StopRequested: somebody asked the job to stop. Let it pass: the job then ends as stopped.
    """
    attempt = current.get()
    if attempt is not None and attempt.stop_requested:
        raise StopRequested("stopped")


class Step:
    """A step of a job, as its block sees it.

    ``value`` is what the earlier attempt kept; set it to keep something small that JSON can hold.
    """

    __slots__ = ("_done", "_forget", "name", "value")

    def __init__(
        self, name: str, *, done: bool, value: Any = None, forget: Callable[[], None] = lambda: None
    ) -> None:
        self.name = name
        self.value = value
        self._done = done
        self._forget = forget

    @property
    def done(self) -> bool:
        """Whether an earlier attempt finished it. A task that knows better sets it: ``this.done =
        file.exists()``.
        """
        return self._done

    @done.setter
    def done(self, is_done: bool) -> None:
        if self._done and not is_done:
            self._forget()
        self._done = is_done


@contextmanager
def step(name: str) -> Iterator[Step]:
    """A named part of a job, shown on its page with its time. When its block ends, it is done for later
    attempts too.

    ::

        with step("download") as this:
            if not this.done:
                this.value = download()

    Raises:
        StopRequested: somebody asked the job to stop.
        TypeError, ValueError: JSON cannot hold the value that was set.
    """
    checkpoint()
    attempt = current.get()
    if attempt is None:
        yield Step(name, done=False)
        return
    name = attempt.secrets.mask(name)
    kept = attempt.reports.saved.get("steps", {})
    stage = _begin_stage(attempt, name)
    this = Step(
        name, done=name in kept, value=kept.get(name), forget=lambda: _forget_step(attempt, stage, name)
    )
    began = time.monotonic()
    yield this
    _end_stage(attempt, stage, this, time.monotonic() - began)


def start_over() -> None:
    """What earlier attempts of this job finished does not count: its steps are forgotten, and shown as not
    done.
    """
    attempt = current.get()
    if attempt is not None:
        attempt.reports.saved.pop("steps", None)
        attempt.reports.stages.clear()
        attempt.reports.changed = True


def say(words: str) -> None:
    """Write a line to the job's log."""
    attempt = current.get()
    if attempt is not None:
        attempt.log.add(f"{clock()} {words}")


def warn(words: str) -> None:
    """The job does its work, but something is to be known: it ends as *done, with warnings*, and shows these
    words.
    """
    attempt = current.get()
    if attempt is not None:
        attempt.warnings.append(attempt.secrets.mask(words))
        attempt.log.add(f"{clock()} WARNING: {words}")


def result(made: models.Model | str, label: str = "") -> None:
    """Link the job to something that it made: shown on its page to whoever may see it.

    Parameters:
        made: a saved object, or an address that begins with ``/``.
        label: what it is, in a few words; for an object, its own name by default.
    """
    attempt = current.get()
    if attempt is None:
        return
    if isinstance(made, str):
        attempt.made.append({"url": made, "label": label or made})
    else:
        pk = made.pk if isinstance(made.pk, int) else str(made.pk)
        attempt.made.append({"model": made._meta.label_lower, "pk": pk, "label": label or str(made)})


@dataclass(frozen=True, slots=True)
class RunningJob:
    """The job that the calling thread is running."""

    id: int
    attempt: int
    task: str
    title: str
    owner_id: int | None
    failures: int
    """How often it has failed before."""

    @property
    def row(self) -> Any:
        """The job's row, read now."""
        return apps.get_model("tom_nightshift", "Job").objects.get(pk=self.id)


def current_job() -> RunningJob | None:
    """The job that the calling thread is running; None outside one."""
    attempt = current.get()
    return None if attempt is None else running_job(attempt)


def running_job(attempt: Attempt) -> RunningJob:
    """The job of an attempt."""
    return RunningJob(
        attempt.job_id, attempt.number, attempt.task, attempt.title, attempt.owner_id, attempt.failures
    )


def _note(attempt: Attempt, words: str) -> str:
    return storable.text(attempt.secrets.mask(words), NOTE_LENGTH) if words else ""


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _begin_stage(attempt: Attempt, name: str) -> dict[str, Any]:
    stages = attempt.reports.stages
    stage = next((stage for stage in stages if stage["name"] == name), None)
    if stage is None:
        stage = {"name": name, "done": False}
        if len(stages) < MOST_STAGES:
            stages.append(stage)
    attempt.reports.changed = True
    return stage


def _end_stage(attempt: Attempt, stage: dict[str, Any], this: Step, seconds: float) -> None:
    storable.as_json(this.value)  # refused here, where the task's author sees which step it was
    if not stage["done"]:
        stage |= {"done": True} if this.done else {"done": True, "seconds": round(seconds, 1)}
    attempt.reports.saved.setdefault("steps", {})[this.name] = this.value
    attempt.reports.changed = True


def _forget_step(attempt: Attempt, stage: dict[str, Any], name: str) -> None:
    """It is to be done again, and is shown so while that goes on."""
    attempt.reports.saved.get("steps", {}).pop(name, None)
    stage.pop("seconds", None)
    stage["done"] = False
    attempt.reports.changed = True
