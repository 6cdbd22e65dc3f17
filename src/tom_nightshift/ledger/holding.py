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

PAUSED = "(SELECT name FROM tom_nightshift_queue WHERE paused)"
NOT_PAUSED = f"queue NOT IN {PAUSED}"
QUEUE_LENGTH = 100


def ready_or_paused(queue: str) -> str:
    """SQL for the hold of a job that nothing but its queue may keep waiting.

    Parameters:
        queue: SQL for the queue's name.
    """
    return f"CASE WHEN {queue} IN {PAUSED} THEN 'paused' ELSE '' END"


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
    return _hold_ready(sql, [queue])


def resume(sql: Sql, queue: str) -> int:
    """Resume a queue and release the jobs that it held."""
    sql.run("UPDATE tom_nightshift_queue SET paused = FALSE WHERE name = %s", [queue])
    return _release_paused(sql)


def is_wrong(sql: Sql) -> bool:
    """Whether a job is held that need not be, or ready that must not be; takes no lock."""
    (wrong,) = sql.rows(f"SELECT EXISTS ({_HELD_FOR_NOTHING}) OR EXISTS ({_READY_THOUGH_PAUSED})")
    return bool(wrong[0])


def put_right(sql: Sql) -> int:
    """Hold the ready jobs of paused queues, and release the held ones of all others. How many there were."""
    paused = [name for (name,) in sql.rows(PAUSED[1:-1])]
    return (_hold_ready(sql, paused) if paused else 0) + _release_paused(sql)


_HELD_FOR_NOTHING = (
    f"SELECT id FROM tom_nightshift_job WHERE state = 'waiting' AND hold = 'paused' AND {NOT_PAUSED}"
)
_READY_THOUGH_PAUSED = (
    f"SELECT id FROM tom_nightshift_job WHERE state = 'waiting' AND hold = '' AND queue IN {PAUSED}"
)


def _hold_ready(sql: Sql, queues: Sequence[str]) -> int:
    ready = f"state = 'waiting' AND hold = '' AND queue IN ({marks(queues)})"
    free = sql.among_free(f"SELECT id FROM tom_nightshift_job WHERE {ready}")
    return sql.run(
        f"UPDATE tom_nightshift_job SET hold = 'paused' WHERE {ready} AND id {free}", [*queues, *queues]
    )


def _release_paused(sql: Sql) -> int:
    free = sql.among_free(_HELD_FOR_NOTHING)
    return sql.run(
        "UPDATE tom_nightshift_job SET hold = '' "
        f"WHERE state = 'waiting' AND hold = 'paused' AND {NOT_PAUSED} AND id {free}"
    )


def _check_name(queue: str) -> None:
    if not queue or len(queue) > QUEUE_LENGTH:
        raise ValueError(f"{queue[:60]!r} is no name of a queue: one has 1 to {QUEUE_LENGTH} characters.")
