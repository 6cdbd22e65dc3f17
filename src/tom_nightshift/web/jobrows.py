"""Lists of jobs, ready to be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import dramatiq
from django.db import connections

from tom_nightshift import modes
from tom_nightshift.broker.carried import Carried
from tom_nightshift.ledger import carrying
from tom_nightshift.ledger.presence import anybody_alive
from tom_nightshift.ledger.session import Sql, jobs_alias
from tom_nightshift.models import Job
from tom_nightshift.states import Hold, State
from tom_nightshift.web import access, live, outcome, wholes, words
from tom_nightshift.web.access import Link
from tom_nightshift.web.wholes import Line


class Lack(StrEnum):
    """What waiting jobs may lack."""

    NOTHING = ""
    WORKER = "worker"
    CARRIER = "carrier"
    """Workers are alive and do not reach what carries the jobs."""


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
    why: str
    """Why it failed, why it waits, or what it brought."""

    asked: str
    took: str
    whole: Line | None


def rows(
    jobs: Iterable[Job], user: Any, *, subjects: bool = True, owners: bool = True, apart: bool = False
) -> list[JobRow]:
    """The rows of a list.

    Parameters:
        subjects: whether to say what each job is about; a target's own page knows.
        owners: whether to say who asked; on *My jobs* it is always the reader.
        apart: whether each job of several that belong together is listed; else the first stands for all.
    """
    links: dict[tuple[Any, ...], Link | None] = {}
    jobs = list(jobs)
    together = wholes.lines(jobs, apart=apart)
    waiting = next((job for job in jobs if _needs_worker(job)), None)
    idle = waiting is not None and bool(what_lacks(waiting))  # asked once: it is the same for all that wait
    return [
        _as_whole(
            _row(
                job,
                subject=_subject(job, user, links) if subjects else None,
                owner=owner_name(job, user) if owners else "",
                why=_why(job, user, nobody_works=idle),
                whole=together.get(job.pk),
            )
        )
        for job in jobs
    ]


def pace(jobs: Iterable[Job], shown: Iterable[JobRow] = ()) -> int:
    """Seconds until the next look at such a list: new jobs may always come."""
    moving = any(is_moving(job) for job in jobs) or any(row.whole and row.whole.is_running for row in shown)
    return live.FAST if moving else live.SLOW


def is_moving(job: Job) -> bool:
    """Whether the job is running, or may begin at any moment."""
    return job.state == State.RUNNING or (job.state == State.WAITING and job.hold == Hold.NONE)


def owner_name(job: Job, user: Any) -> str:
    """Who asked for the job, where the reader may know that."""
    owner = job.owner_or_none
    if owner is None or not access.may_see_name(user, owner):
        return ""
    return "you" if owner == user else words.name_of(owner)


def what_lacks(job: Job) -> Lack:
    """What the job waits for that is not there.

    Read without a transaction, which would take SQLite's write lock.
    """
    if not _needs_worker(job):
        return Lack.NOTHING
    sql = Sql(connections[jobs_alias()])
    if not anybody_alive(sql):
        return Lack.WORKER
    is_carried = isinstance(dramatiq.get_broker(), Carried)
    return Lack.CARRIER if is_carried and carrying.stands_still(sql) else Lack.NOTHING


def _needs_worker(job: Job) -> bool:
    waits = job.state == State.WAITING and job.hold not in (Hold.PARKED, Hold.PAUSED)
    return waits and not modes.runs_here()


def _why(job: Job, user: Any, *, nobody_works: bool) -> str:
    """The words under a job's title."""
    if job.state == State.FAILED:
        return words.why_failed(job, access.may_see_details(user, job))
    if nobody_works and _needs_worker(job):
        return words.NO_WORKER
    return outcome.summary(job) if job.state in (State.SUCCEEDED, State.WARNED) else ""


def _row(job: Job, *, subject: Link | None, owner: str, why: str, whole: Line | None) -> JobRow:
    running = job.state == State.RUNNING
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
        why=why,
        asked=words.moment(job.created_at),
        took=words.duration(words.seconds_of(job)) if job.is_final else "",
        whole=whole,
    )


def _as_whole(row: JobRow) -> JobRow:
    """A row that stands for several jobs: it says how they are together, not how the first of them is."""
    whole = row.whole
    if whole is None or whole.place:
        return row
    return replace(
        row,
        title=whole.title or f"{row.title}{whole.more}",
        badge=whole.badge,
        is_running=False,
        why=row.why if row.why == words.NO_WORKER else "",
        took="",
    )


def _subject(job: Job, user: Any, links: dict[tuple[Any, ...], Link | None]) -> Link | None:
    """What the job is about; asked once for each thing, since many jobs are about the same."""
    about = (job.subject_type_id, job.subject_id, job.target_id)
    if about not in links:
        links[about] = access.subject_link(job, user) if any(about) else None
    return links[about]
