"""Jobs that belong together, as pages show them: the parts of a whole, or steps that follow one another."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dramatiq
from django.db import connections
from django.db.models import F, Q
from django.urls import reverse
from dramatiq import Message
from dramatiq.errors import ActorNotFound

from tom_nightshift.ledger import secrets, wholes
from tom_nightshift.ledger.enqueue import title_of
from tom_nightshift.ledger.session import Sql, jobs_alias
from tom_nightshift.ledger.wholes import Count
from tom_nightshift.models import Job, Place
from tom_nightshift.states import ENDED_BADLY, State
from tom_nightshift.web import access, words
from tom_nightshift.web.words import Badge

SHOWN = 40
"""Parts on a job's page; the rest is a page further."""


@dataclass(frozen=True, slots=True)
class Line:
    """A whole in one line: ``3 of 12 done, 1 failed``, and how much of it is over."""

    words: str
    percent: int
    good: int
    """Percent of it that are done; the rest of what is over failed or was stopped."""

    bad: int
    """Percent of it that failed."""

    badge: Badge
    is_running: bool
    title: str
    """What the whole is called; empty if nobody said."""

    more: str
    """``and 11 more``."""

    place: str
    """``part 3 of 12``, for a job that is not the first of it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A job of a whole."""

    number: int
    title: str
    url: str
    badge: Badge
    note: str
    is_this: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole on the page of one of its jobs."""

    id: int
    title: str
    line: Line
    members: list[Member]
    last: list[Member]
    """What came when all parts were done."""

    to_come: list[str]
    why_not: str
    """Why what is to come does not come."""

    more: str
    """Where all of them are listed, if they are not all here."""

    total: int
    may_stop: bool
    is_open: bool
    has_parts: bool


def whole_of(job: Job, user: Any) -> Whole | None:
    """The whole that a job belongs to; None: it stands alone."""
    place: Place | None = getattr(job, "place", None)
    if place is None:
        return None
    (count,) = wholes.counts(_sql(), [place.whole]).values()
    found = _members(count, user)
    rest = [one for one in found if not one.place.is_last]
    to_come = _to_come(found)
    return Whole(
        id=count.whole,
        title=_title(count),
        line=_line(count, ""),
        members=[_member(one, job) for one in rest],
        last=[_member(one, job) for one in found if one.place.is_last],
        to_come=to_come,
        why_not=_why_not(count) if to_come else "",
        more=f"{reverse('nightshift:jobs')}?whole={count.whole}" if count.total > SHOWN else "",
        total=count.total,
        may_stop=count.is_open and access.may_act(user, job),
        is_open=count.is_open,
        has_parts=count.parts > 0,
    )


def asked_for(job: Job, user: Any) -> list[Member]:
    """The jobs that a job itself asked for; of those that belong together, the first."""
    if not getattr(job, "has_asked", True):
        return []
    visible = access.visible_jobs(user).filter(root=job.root or job.pk, parent=job.pk)
    firsts = visible.filter(Q(place=None) | Q(place__whole=F("pk"))).defer(
        "saved", "stages", "result", "message"
    )
    return [
        Member(0, one.title, one.get_absolute_url(), words.badge(one), "", is_this=False)
        for one in firsts.order_by("pk")[:SHOWN]
    ]


def lines(jobs: Iterable[Job], *, apart: bool = False) -> Mapping[int, Line]:
    """For a list: the line of each job that belongs to a whole.

    Parameters:
        apart: whether the first of a whole, too, is a job like the others there, and does not stand for all.
    """
    places = {place.job_id: place for place in Place.objects.filter(job__in=[job.pk for job in jobs])}
    counts = wholes.counts(_sql(), sorted({place.whole for place in places.values()}))
    return {
        job_id: _line(counts[place.whole], _place(place) if apart or place.whole != job_id else "")
        for job_id, place in places.items()
        if place.whole in counts
    }


def _sql() -> Sql:
    return Sql(connections[jobs_alias()])


def _members(count: Count, user: Any) -> list[Job]:
    """In order; of a part or step that was run again only the newest. If not all fit, those that went wrong
    and the first ones.
    """
    light = access.visible_jobs(user).defer("saved", "stages", "result", "message")
    found = light.filter(place__whole=count.whole).select_related("place").order_by("pk")
    if count.total <= SHOWN:
        return _newest(found)
    bad = list(found.filter(state__in=ENDED_BADLY, place__is_last=False)[: SHOWN - 1])
    first = found.filter(place__is_last=False)[: SHOWN - len(bad)]
    return _newest([*first, *bad, *found.filter(place__is_last=True)])


def _newest(jobs: Iterable[Job]) -> list[Job]:
    newest: dict[tuple[bool, int, int], Job] = {}
    for job in sorted(jobs, key=lambda job: job.pk):
        newest[job.place.is_last, job.place.part, job.place.step] = job
    return [newest[place] for place in sorted(newest)]


def _member(job: Job, this: Job) -> Member:
    running = job.state == State.RUNNING
    percent = words.percent(job) if running else None
    notes = [f"{percent}%" if percent is not None else "", job.note if running else ""]
    if job.place.parts and job.place.steps:
        notes.insert(0, f"step {job.place.step} of {job.place.steps}")
    return Member(
        number=job.place.part or job.place.step,
        title=job.title,
        url=job.get_absolute_url(),
        badge=words.badge(job),
        note=" · ".join(note for note in notes if note),
        is_this=job.pk == this.pk,
    )


def _title(count: Count) -> str:
    what = "parts" if count.parts else "steps"
    return count.title or f"All {count.total} {what}"


def _place(place: Place) -> str:
    if place.is_last:
        return "comes when all parts are done"
    part = f"part {place.part} of {place.parts}" if place.parts else ""
    step = f"step {place.step} of {place.steps}" if place.steps else ""
    return ", ".join(words for words in (part, step) if words)


def _line(count: Count, place: str) -> Line:
    told = ((count.failed, "failed"), (count.stopped, "stopped"), (count.running, "running"))
    said = [f"{count.done} of {count.total} {'' if count.parts else 'steps '}done"]
    said += [f"{number} {word}" for number, word in told if number]
    over = min(count.total, count.done + (count.failed + count.stopped if count.parts else 0))
    return Line(
        words=", ".join(said),
        percent=_percent(over, count),
        good=_percent(count.done, count),
        bad=_percent(count.done + count.failed, count) - _percent(count.done, count),
        badge=words.badge_of(_state(count)),
        is_running=count.running > 0,
        title=count.title,
        more=f", and {count.total - 1} {'more' if count.parts else 'more steps'}" if count.total > 1 else "",
        place=place,
    )


def _percent(number: int, count: Count) -> int:
    return int(100 * number / count.total) if count.total else 0


def _state(count: Count) -> State:
    """The state of the whole: what runs or waits comes first, then what went wrong."""
    states = (
        (count.running, State.RUNNING),
        (count.waiting, State.WAITING),
        (count.failed, State.FAILED),
        (count.stopped, State.STOPPED),
    )
    return next((state for number, state in states if number), State.SUCCEEDED)


def _why_not(count: Count) -> str:
    if not count.failed and not count.stopped:
        return ""
    if count.parts:
        return "It waits until every part is done: run again what was not."
    return "It does not run, as the step before it did not succeed. Run that again to go on."


def _to_come(found: Sequence[Job]) -> list[str]:
    """The titles of what no job has been asked for yet: further steps; what comes when all parts are done."""
    if not found or found[-1].place.is_last:
        return []
    try:
        message = Job.objects.values_list("message", flat=True).get(pk=found[-1].pk)
        return list(_titles_after(Message.decode(bytes(message)).options, found[-1].place))
    except Exception:  # noqa: BLE001 - whatever a decoder raises, or the row has just gone: the page goes on
        return []


def _titles_after(options: Mapping[str, Any], place: Place) -> Iterator[str]:
    while target := options.get("pipe_target"):
        if not place.parts:
            yield _title_of(target)
        options = target["options"]
    for callback in options.get("group_completion_callbacks") or ():
        yield _title_of(callback)


def _title_of(message: Mapping[str, Any]) -> str:
    name = str(message["actor_name"])
    if title := message["options"].get("title"):
        return str(title)
    try:
        actor = dramatiq.get_broker().get_actor(name)
    except ActorNotFound:
        return title_of(None, name, {})
    # What the job before returns is still to come: as far as the arguments go.
    arguments = inspect.signature(actor.fn).bind_partial(*message["args"], **message["kwargs"]).arguments
    title = secrets.of_arguments(arguments).mask(title_of(actor, name, arguments))
    return title_of(None, name, {}) if "{" in title else title
