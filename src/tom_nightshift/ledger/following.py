"""What follows a job: written in the transaction that ends it, and only if that attempt still has its row.

Dramatiq's hooks ask for it once the task has been left: the next step of a pipeline, the callbacks of a job
or of a group. Written by itself, it would be lost if the process died before the end of the job was written,
or be there twice if the job ran again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dramatiq import Actor, Message

from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import bell, enqueue, new_rows, values, wholes
from tom_nightshift.ledger.attempt import Attempt, current
from tom_nightshift.ledger.new_rows import NewRow
from tom_nightshift.ledger.outcomes import Outcome
from tom_nightshift.ledger.session import Sql, marks
from tom_nightshift.ledger.wholes import PLACE, Place
from tom_nightshift.states import State

GROUP_SECONDS = 90 * 86_400.0
"""How long the parts of a group may take in all; each part that is done gives it this time again."""

_DONE = (State.SUCCEEDED, State.WARNED)


@dataclass(frozen=True, slots=True)
class Next:
    """A row that is written with the end of an attempt."""

    row: NewRow
    is_step: bool
    """The next step of a pipeline; else a callback."""


@dataclass(frozen=True, slots=True)
class LastOfGroup:
    """Rows that are written once every part of a group is done.

    Parameters:
        group: the name of the group's counter.
        part: which part this is; one that is run again is the same part.
    """

    group: str
    part: str
    rows: tuple[NewRow, ...]


def comes_after_the_task() -> bool:
    """Whether the calling thread has left its task, and only its hooks are still to run."""
    attempt = current.get()
    return attempt is not None and attempt.left


def keep(message: Message[Any], actor: Actor[Any, Any] | None, delay: float | None) -> None:
    """Have this asked for with the end of the attempt that the calling thread is running.

    Raises:
        ArgumentsRefused: its arguments cannot be stored or do not fit; the job says so in a warning.
    """
    attempt = current.get()
    assert attempt is not None
    is_step = _next_step(attempt) == message.message_id
    place = wholes.next_place(_options(attempt), attempt.job_id) if is_step else None
    attempt.following.append(Next(_row(attempt, message, actor, delay, place), is_step))


def keep_for_group(
    group: str, part: str, callbacks: Sequence[tuple[Message[Any], Actor[Any, Any] | None]]
) -> None:
    """Have the callbacks of a group asked for, if the attempt that the calling thread is running is the end
    of its last part.

    Raises:
        ArgumentsRefused: as ``keep``.
    """
    attempt = current.get()
    assert attempt is not None
    place = Place(is_last=True, beside=attempt.job_id) if PLACE in _options(attempt) else None
    rows = tuple(_row(attempt, message, actor, None, place) for message, actor in callbacks)
    attempt.following.append(LastOfGroup(group, part, rows))


def write(sql: Sql, ended: Sequence[tuple[Attempt, Outcome]]) -> list[int]:
    """Write what follows attempts whose ends have just been written. The ids of the rows."""
    wanted = [(attempt, outcome) for attempt, outcome in ended if attempt.following]
    if not wanted:
        return []
    stopped = _asked_to_stop(sql, [attempt.job_id for attempt, _ in wanted])
    rows, last_ones = _sorted_out(wanted, stopped)
    # Always in the same order: two processes that end parts of the same groups must not wait for each other.
    for last in sorted(last_ones, key=lambda last: (last.group, last.part)):
        rows += last.rows if _is_complete(sql, last) else ()
    if rows:
        sql.afterwards.append(bell.ring)
    return [job_id for job_id, _ in new_rows.insert(sql, rows)]


def _next_step(attempt: Attempt) -> str:
    """The message of the step that comes after this attempt's in a pipeline."""
    target = _options(attempt).get("pipe_target")
    return str(target["message_id"]) if target else ""


def _options(attempt: Attempt) -> dict[str, Any]:
    return attempt.message.options if attempt.message is not None else {}


def _row(
    attempt: Attempt,
    message: Message[Any],
    actor: Actor[Any, Any] | None,
    delay: float | None,
    place: Place | None,
) -> NewRow:
    try:
        return enqueue.new_row(message, actor, delay, place)
    except ArgumentsRefused as refusal:
        attempt.warnings.append(f"what was to follow could not be asked for: {refusal}")
        raise


def _sorted_out(
    wanted: Sequence[tuple[Attempt, Outcome]], stopped: set[int]
) -> tuple[list[NewRow], list[LastOfGroup]]:
    rows: list[NewRow] = []
    last_ones: list[LastOfGroup] = []
    for attempt, outcome in wanted:
        for following in attempt.following:
            if isinstance(following, Next):
                if not (following.is_step and attempt.job_id in stopped):
                    rows.append(following.row)
            elif outcome.state in _DONE:
                last_ones.append(following)
    return rows, last_ones


def _asked_to_stop(sql: Sql, job_ids: Sequence[int]) -> set[int]:
    """Whoever asked a job to stop wants no next step either, also if it was done before it heard that."""
    rows = sql.rows(
        f"SELECT id FROM tom_nightshift_job WHERE stop_requested AND id IN ({marks(job_ids)})",
        job_ids,
    )
    return {job_id for (job_id,) in rows}


def _is_complete(sql: Sql, last: LastOfGroup) -> bool:
    """Whether this was the last part; it counts once, however often it is run again."""
    if not values.add(sql, f"{last.group}@{last.part}", 1, GROUP_SECONDS):
        return False
    one_less = values.change_existing(sql, last.group, -1, 1, values.MOST, GROUP_SECONDS)
    return not one_less and values.read(sql, last.group) is not None
