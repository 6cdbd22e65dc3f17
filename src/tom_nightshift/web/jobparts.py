"""The page of a job, in parts that change one by one while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import dramatiq
from django.urls import reverse

from tom_nightshift.ledger.options import option
from tom_nightshift.models import Attempt, Job, Picture
from tom_nightshift.states import State
from tom_nightshift.web import access, logtext, outcome, words
from tom_nightshift.web.access import Link
from tom_nightshift.web.jobrows import Lack, is_moving, what_lacks
from tom_nightshift.web.live import FAST, SLOW, Live, Part
from tom_nightshift.web.turns import turn
from tom_nightshift.web.wholes import Whole, asked_for, whole_of

SHOWN_STAGES = 24


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the job."""

    name: str
    done: bool
    took: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    running: bool
    final: bool
    percent: int | None
    amount: str
    note: str
    left: str
    stages: list[Stage]
    stages_done: int
    stages_left_out: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it stands: what to do about it, and what it brought."""

    may_stop: bool
    may_repeat: bool
    lacks: Lack
    failed_because: str = ""
    is_open: bool = True
    result: outcome.Shown | None = None
    made: list[Link] = field(default_factory=list)
    pictures: list[Image] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the job made."""

    url: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt that has ended."""

    name: str
    began: str
    ended: str
    how: str
    error: str
    traceback: str
    worker: str


@dataclass(frozen=True, slots=True)
class Course:
    """How it went: the attempts, and the steps once all are over."""

    tries: list[Try]
    final: bool


def live_page(job: Job, user: Any) -> Live:
    """The parts of a job's page, for this reader."""
    details = access.may_see_details(user, job)
    lacks = what_lacks(job)
    whole = whole_of(job, user)
    parts = [
        Part("progress", _progress(job)),
        Part(
            "sentence", (words.badge(job), words.sentence(job, _stopped_by(job, user), turn(job))), inner=True
        ),
        Part("standing", _standing(job, user, details=details, lacks=lacks)),
        Part("tries", Course(_tries(job, details, staff=access.is_staff(user)), job.is_final)),
        Part("whole", whole),
        Part("asked", asked_for(job, user)),
        Part("log", (logtext.version(job), job.is_final) if details else None),
    ]
    return Live(parts, _pace(job, whole, bool(lacks)))


def may_repeat(user: Any, job: Job) -> bool:
    """Whether this user may run the job again: it is over, and its task allows that."""
    return (
        job.is_final
        and access.may_act(user, job)
        and bool(option(dramatiq.get_broker(), job.task, "repeatable", True))
    )


def _pace(job: Job, whole: Whole | None, stands_still: bool) -> int:
    if job.is_final:
        return 0 if whole is None or not whole.is_open else FAST if whole.line.is_running else SLOW
    return FAST if is_moving(job) and not stands_still else SLOW


def _progress(job: Job) -> Progress:
    stages = [_stage(stage) for stage in job.stages or [] if isinstance(stage, dict)]
    running = job.state == State.RUNNING
    return Progress(
        running=running,
        final=job.is_final,
        percent=words.percent(job) if running else None,
        amount=_amount(job) if running else "",
        note=job.note if running else "",
        left=words.time_left(job),
        stages=stages[-SHOWN_STAGES:],
        stages_done=sum(stage.done for stage in stages),
        stages_left_out=max(0, len(stages) - SHOWN_STAGES),
    )


def _stage(stage: dict[str, Any]) -> Stage:
    seconds = stage.get("seconds")
    took = words.duration(seconds) if isinstance(seconds, int | float) else ""
    return Stage(str(stage.get("name", "")), bool(stage.get("done")), took)


def _amount(job: Job) -> str:
    """``3 of 12``, where the task counts whole things."""
    if job.done is None:
        return ""
    if not job.total:
        return f"{job.done:,.0f} so far" if job.done else ""
    whole = job.done == int(job.done) and job.total == int(job.total) and job.total > 1
    return f"{job.done:,.0f} of {job.total:,.0f}" if whole else ""


def _standing(job: Job, user: Any, *, details: bool, lacks: Lack) -> Standing:
    acting = access.may_act(user, job)
    if not job.is_final:
        return Standing(may_stop=acting and not job.stop_requested, may_repeat=False, lacks=lacks)
    result = outcome.shown(job)
    if not details:
        result = outcome.without_details(result)
    return Standing(
        may_stop=False,
        may_repeat=may_repeat(user, job),
        lacks=Lack.NOTHING,
        is_open=False,
        failed_because=words.why_failed(job, details) if job.state == State.FAILED else "",
        result=result,
        made=access.made_links(result.made, user),
        pictures=_pictures(job),
    )


def _pictures(job: Job) -> list[Image]:
    return [
        Image(reverse("nightshift:picture", args=[job.pk, key]), caption, width, height)
        for key, caption, width, height in Picture.objects.filter(job=job)
        .order_by("pk")
        .values_list("pk", "caption", "width", "height")
    ]


def _tries(job: Job, details: bool, *, staff: bool) -> list[Try]:
    """The attempts that have ended; a first one that simply succeeded need not be listed, but for staff."""
    simple = job.attempt == 1 and job.state in (State.SUCCEEDED, State.WARNED) and not staff
    if job.attempt == 0 or simple or (job.attempt == 1 and job.state == State.RUNNING):
        return []
    said = job.error if job.is_final else ""
    attempts = Attempt.objects.filter(job=job).exclude(outcome="later")  # there may be hundreds of them
    return [
        _try(attempt, number, said, details=details, staff=staff)
        for number, attempt in enumerate(attempts, start=1)
    ]


def _try(attempt: Attempt, number: int, said: str, *, details: bool, staff: bool) -> Try:
    """One of them; its error only where the page does not say the same already."""
    return Try(
        name=words.nth_try(number),
        began=words.moment(attempt.started_at),
        ended=words.moment(attempt.finished_at),
        how=words.ended_as(attempt),
        error=attempt.error if details and attempt.error != said else "",
        traceback=attempt.traceback if details else "",
        worker=attempt.worker if staff else "",
    )


def _stopped_by(job: Job, user: Any) -> str:
    """Who stopped it; where names of others are hidden, only one's own."""
    mine = job.stop_by in (user.get_username(), words.name_of(user))
    if job.stop_by and mine:
        return "you"
    return job.stop_by if access.may_see_name(user, None) else ""
