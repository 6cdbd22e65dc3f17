"""Jobs that belong together: the parts of a group, the steps of a pipeline, and how far the whole of it is.

The message of such a job says which part and step it is, so that the next step and a job that is run again
know theirs; a row of its own says it to pages, which read no messages for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from dramatiq import Message

from tom_nightshift.ledger import moves, storable
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.session import Sql, callers_transaction, marks

PLACE = "nightshift_place"
"""The option of a message that has its place."""

TITLE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a whole a job is. Parts and steps count from 1; 0 means that there are none."""

    part: int = 0
    parts: int = 0
    step: int = 0
    steps: int = 0
    is_last: bool = False
    title: str = ""
    whole: int | None = None
    """The first job of the whole; None: this is it, or ``beside`` knows."""

    beside: int | None = None
    """A job of the same whole."""

    def written_into(self, message: Message[Any]) -> Message[Any]:
        """The message with its place in it."""
        place = [self.part, self.parts, self.step, self.steps, self.is_last]
        return replace(message, options={**message.options, PLACE: place})

    @classmethod
    def read(cls, options: Mapping[str, Any], beside: int) -> Place | None:
        """The place that a message's options tell; None: it has none."""
        if PLACE not in options:
            return None
        part, parts, step, steps, is_last = options[PLACE]
        return cls(part, parts, step, steps, is_last, beside=beside)


@dataclass(slots=True)
class Gathering:
    """A whole whose parts are being asked for."""

    parts: int
    title: str
    asked_by: Attempt | None
    whole: int | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """How many parts of a whole, or steps where it has no parts, are how far."""

    whole: int
    title: str
    parts: int
    steps: int
    done: int
    failed: int
    stopped: int
    running: int
    waiting: int

    @property
    def total(self) -> int:
        """Of how many."""
        return self.parts or self.steps

    @property
    def is_open(self) -> bool:
        """Whether something of it is still to end."""
        return self.running + self.waiting > 0


_gathering: ContextVar[Gathering | None] = ContextVar("nightshift_gathering", default=None)


@contextmanager
def gathered(parts: int, title: str = "") -> Iterator[None]:
    """All that the block asks for are parts of one whole; it is asked for as a whole or not at all.

    A block inside such a block adds its parts to the outer one.
    """
    if _here() is not None:
        yield
        return
    token = _gathering.set(Gathering(parts, title, current.get()))
    try:
        with callers_transaction():
            yield
    finally:
        _gathering.reset(token)


def place_for(message: Message[Any], origin: int | None) -> Place | None:
    """The place of a job that is about to be asked for.

    Parameters:
        origin: the job that it runs again.
    """
    if origin is not None:
        return Place.read(message.options, beside=origin)
    steps = _steps_from(message)
    place = Place(step=1 if steps > 1 else 0, steps=steps if steps > 1 else 0)
    gathering = _here()
    if gathering is None:
        return place if steps > 1 else None
    gathering.count += 1
    return replace(
        place, part=gathering.count, parts=gathering.parts, title=gathering.title, whole=gathering.whole
    )


def next_place(options: Mapping[str, Any], job_id: int) -> Place | None:
    """The place of the step that comes after a job with these options."""
    place = Place.read(options, beside=job_id)
    return replace(place, step=place.step + 1) if place and place.step else None


def root_of_gathering() -> int | None:
    """The first job of the whole that is being asked for."""
    gathering = _here()
    return gathering.whole if gathering else None


def note_first(job_id: int) -> None:
    """This job was asked for; the parts that come after the first one name it."""
    gathering = _here()
    if gathering is not None and gathering.whole is None:
        gathering.whole = job_id


def _here() -> Gathering | None:
    """The whole that is being asked for; a part that runs at once meanwhile asks for other things."""
    gathering = _gathering.get()
    return gathering if gathering is not None and gathering.asked_by is current.get() else None


def insert(sql: Sql, job_id: int, place: Place) -> None:
    """Write down the place of a job; one that has a place keeps it."""
    sql.run(
        "INSERT INTO tom_nightshift_place (job_id, whole, title, part, parts, step, steps, is_last) "
        "VALUES (%s, coalesce((SELECT whole FROM tom_nightshift_place WHERE job_id = %s), %s), "
        "%s, %s, %s, %s, %s, %s) ON CONFLICT (job_id) DO NOTHING",
        [job_id, place.beside, place.whole or job_id, storable.text(place.title, TITLE_LENGTH),
         place.part, place.parts, place.step, place.steps, place.is_last],
    )  # fmt: skip


def counts(sql: Sql, wholes: Sequence[int]) -> dict[int, Count]:
    """How far these wholes are. A part or step that was run again counts as its newest job does."""
    if not wholes:
        return {}
    ended = "NOT place.is_last AND (place.parts = 0 OR place.step = place.steps)"
    rows = sql.rows(
        "SELECT place.whole, max(place.title), max(place.parts), max(place.steps), "
        f"{_number_of(_DONE, ended)}, {_number_of(_FAILED)}, {_number_of(_STOPPED)}, "
        f"{_number_of(_RUNNING)}, {_number_of(_WAITING)} "
        "FROM tom_nightshift_place place JOIN tom_nightshift_job job ON job.id = place.job_id "
        f"WHERE place.whole IN ({marks(wholes)}) AND NOT EXISTS (SELECT 1 FROM tom_nightshift_place newer "
        "WHERE newer.whole = place.whole AND newer.part = place.part AND newer.step = place.step "
        "AND newer.is_last = place.is_last AND newer.job_id > place.job_id) GROUP BY place.whole",
        wholes,
    )
    return {row[0]: Count(*row) for row in rows}


def stop(sql: Sql, whole: int, by: str) -> int:
    """Stop all of a whole that has not ended: what waits at once; what runs is asked. How many jobs.

    A step that ends meanwhile may have brought the next one: so it looks again until nothing is left.
    """
    stopped = 0
    while job_ids := _to_stop(sql, whole):
        stopped += sum(moves.stop(sql, job_id, by) is not None for job_id in job_ids)
    return stopped


_DONE, _FAILED, _STOPPED = "'succeeded', 'warned'", "'failed', 'lost'", "'stopped', 'expired'"
_RUNNING, _WAITING = "'running'", "'waiting'"


def _number_of(states: str, condition: str = "TRUE") -> str:
    return f"sum(CASE WHEN job.state IN ({states}) AND {condition} THEN 1 ELSE 0 END)"


def _to_stop(sql: Sql, whole: int) -> list[int]:
    rows = sql.rows(
        "SELECT job.id FROM tom_nightshift_place place JOIN tom_nightshift_job job ON job.id = place.job_id "
        "WHERE place.whole = %s AND job.state IN ('waiting', 'running') AND NOT job.stop_requested "
        "ORDER BY job.id",
        [whole],
    )
    return [job_id for (job_id,) in rows]


def _steps_from(message: Message[Any]) -> int:
    """How many steps a pipeline has from this message on."""
    steps, options = 1, message.options
    while target := options.get("pipe_target"):
        steps, options = steps + 1, target["options"]
    return steps
