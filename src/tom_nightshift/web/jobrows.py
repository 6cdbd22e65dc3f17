"""Lists of jobs, ready to be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State
from tom_nightshift.web import access, live, words
from tom_nightshift.web.access import Link


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job in a list."""

    id: int
    title: str
    url: str
    subject: Link | None
    owner: str
    badge: words.Badge
    is_running: bool
    percent: int | None
    note: str
    error: str
    asked: str
    took: str


def rows(jobs: Iterable[Job], user: Any, *, subjects: bool = True, owners: bool = True) -> list[JobRow]:
    """The rows of a list.

    Parameters:
        subjects: whether to say what each job is about; a target's own page knows.
        owners: whether to say who asked; on *My jobs* it is always the reader.
    """
    links: dict[tuple[Any, ...], Link | None] = {}
    return [
        _row(
            job,
            user,
            subject=_subject(job, user, links) if subjects else None,
            owner=owner_name(job, user) if owners else "",
        )
        for job in jobs
    ]


def pace(jobs: Iterable[Job]) -> int:
    """Seconds until the next look at such a list: new jobs may always come."""
    return live.FAST if any(is_moving(job) for job in jobs) else live.SLOW


def is_moving(job: Job) -> bool:
    """Whether the job is running, or may begin at any moment."""
    return job.state == State.RUNNING or (job.state == State.WAITING and job.hold == Hold.NONE)


def owner_name(job: Job, user: Any) -> str:
    """Who asked for the job, where the reader may know that."""
    owner = job.owner_or_none
    if owner is None or not access.may_see_name(user, owner):
        return ""
    return "you" if owner == user else words.name_of(owner)


def _row(job: Job, user: Any, *, subject: Link | None, owner: str) -> JobRow:
    running = job.state == State.RUNNING
    failed = job.state == State.FAILED
    return JobRow(
        id=job.pk,
        title=job.title,
        url=job.get_absolute_url(),
        subject=subject,
        owner=owner,
        badge=words.badge(job),
        is_running=running,
        percent=words.percent(job) if running else None,
        note=job.note if running else "",
        error=words.why_failed(job, access.may_see_details(user, job)) if failed else "",
        asked=words.moment(job.created_at),
        took=words.duration(words.seconds_of(job)) if job.is_final else "",
    )


def _subject(job: Job, user: Any, links: dict[tuple[Any, ...], Link | None]) -> Link | None:
    """What the job is about; asked once for each thing, since many jobs are about the same."""
    about = (job.subject_type_id, job.subject_id, job.target_id)
    if about not in links:
        links[about] = access.subject_link(job, user) if any(about) else None
    return links[about]
