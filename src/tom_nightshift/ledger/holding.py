"""Paused queues, and the sweep that puts every hold right again.

A waiting job that may not be claimed now is *held*: outside the index of what is ready, so that no claim
scans it. Whoever makes a job ready asks in the same statement whether its queue is paused. On PostgreSQL two
transactions may pass each other unseen (a job is written by one that read "not paused" before the pause was
committed): a claim asks once more, and the sweep repairs the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from tom_nightshift import events
from tom_nightshift.ledger import bell
from tom_nightshift.ledger.session import Sql, callers_transaction, marks
from tom_nightshift.states import Hold

PAUSED = "(SELECT name FROM tom_nightshift_queue WHERE paused)"
NOT_PAUSED = f"queue NOT IN {PAUSED}"
QUEUE_LENGTH = 100


BY_ITS_KEYS = "CASE WHEN limit_key > '' THEN 'limit' WHEN rate_key > '' THEN 'rate' ELSE '' END"
"""SQL for the hold of a job whose queue is not paused; ``ledger/admission.py`` admits it."""

BEHIND_ITS_QUEUE = (Hold.NONE, Hold.LIMIT, Hold.RATE)
"""What a pause comes before."""


def ready_or_held(queue: str, otherwise: str = BY_ITS_KEYS) -> str:
    """SQL for the hold of a job that nothing but its queue, its limit and its rate may keep waiting.

    Parameters:
        queue: SQL for the queue's name.
        otherwise: SQL for the hold if that is not paused.
    """
    return f"CASE WHEN {queue} IN {PAUSED} THEN 'paused' ELSE {otherwise} END"


def pause_queue(queue: str, by: str = "") -> int:
    """Let no job of this queue begin until ``resume_queue``. Those that are running go on.

    Written in the caller's transaction. Jobs asked for meanwhile wait too.

    Parameters:
        by: who pauses it, for the pages of staff.

    Returns:
        the number of jobs that were ready and wait now.

    Raises:
        ValueError: no queue can have this name.
    """
    _check_name(queue)
    with callers_transaction() as sql:
        held = pause(sql, queue, by)
    events.queue_paused(queue, by, held)
    return held


def resume_queue(queue: str) -> int:
    """Let the jobs of a paused queue begin again, and wake the workers once the transaction has committed.

    Returns:
        the number of jobs that may begin now.

    Raises:
        ValueError: no queue can have this name.
    """
    _check_name(queue)
    with callers_transaction() as sql:
        released = resume(sql, queue)
        bell.ring_on_commit()
    events.queue_resumed(queue, released)
    return released


def pause(sql: Sql, queue: str, by: str) -> int:
    """Pause a queue and hold its ready jobs; of one that is paused already, who did it first is kept."""
    sql.run(
        "INSERT INTO tom_nightshift_queue (name, paused, paused_by, paused_at) "
        f"VALUES (%s, TRUE, %s, {sql.now}) ON CONFLICT (name) DO UPDATE SET paused = TRUE, "
        "paused_by = excluded.paused_by, paused_at = excluded.paused_at "
        "WHERE NOT tom_nightshift_queue.paused",
        [queue, by[:150]],
    )
    return _pause(sql, [queue])


def resume(sql: Sql, queue: str) -> int:
    """Resume a queue and release the jobs that it held."""
    sql.run("UPDATE tom_nightshift_queue SET paused = FALSE WHERE name = %s", [queue])
    return _release_paused(sql)


def is_wrong(sql: Sql) -> bool:
    """Whether a job is held that need not be, or ready that must not be; takes no lock."""
    if sql.rows(f"{_HELD_FOR_NOTHING} LIMIT 1"):
        return True
    paused = _paused(sql)  # mostly none, and then nothing else is to be looked through
    return any(
        sql.rows(f"SELECT 1 FROM tom_nightshift_job WHERE {_waits_in(paused, hold)} LIMIT 1", paused)
        for hold in BEHIND_ITS_QUEUE
        if paused
    )


def put_right(sql: Sql) -> int:
    """Hold the ready jobs of paused queues, and release the held ones of all others. How many there were."""
    paused = _paused(sql)
    return (_pause(sql, paused) if paused else 0) + _release_paused(sql)


_HELD_FOR_NOTHING = (
    f"SELECT id FROM tom_nightshift_job WHERE state = 'waiting' AND hold = 'paused' AND {NOT_PAUSED}"
)


def _paused(sql: Sql) -> list[str]:
    return [name for (name,) in sql.rows(PAUSED[1:-1])]


def _pause(sql: Sql, queues: Sequence[str]) -> int:
    return sum(_pause_those(sql, queues, hold) for hold in BEHIND_ITS_QUEUE)


def _pause_those(sql: Sql, queues: Sequence[str], hold: Hold) -> int:
    those = _waits_in(queues, hold)
    free = sql.among_free(f"SELECT id FROM tom_nightshift_job WHERE {those}")
    return sql.run(
        f"UPDATE tom_nightshift_job SET hold = 'paused' WHERE {those} AND id {free}", [*queues, *queues]
    )


def _waits_in(queues: Sequence[str], hold: Hold) -> str:
    """By itself for each hold: each has an index of its own."""
    return f"state = 'waiting' AND hold = '{hold}' AND queue IN ({marks(queues)})"


def _release_paused(sql: Sql) -> int:
    free = sql.among_free(_HELD_FOR_NOTHING)
    return sql.run(
        f"UPDATE tom_nightshift_job SET hold = {BY_ITS_KEYS} "
        f"WHERE state = 'waiting' AND hold = 'paused' AND {NOT_PAUSED} AND id {free}"
    )


def _check_name(queue: str) -> None:
    if not queue or len(queue) > QUEUE_LENGTH:
        raise ValueError(f"{queue[:60]!r} is no name of a queue: one has 1 to {QUEUE_LENGTH} characters.")
