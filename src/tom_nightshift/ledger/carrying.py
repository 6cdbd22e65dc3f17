"""Jobs that a carrier, such as Redis, takes to the workers.

A carrier's message is a doorbell: it names a row, and the row decides. ``published_at`` says that a doorbell
for this row is out. It is written before the message is sent, and taken back if that fails; who claims the
row takes it back, too, so that a job that is to run again gets a new one.

Of the soonest jobs only ``OUT`` have theirs out at a time. So priorities and fair share hold but for those,
and a carrier that forgets everything has forgotten little.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tom_nightshift.ledger import moves
from tom_nightshift.ledger.moves import READY, Row
from tom_nightshift.ledger.session import Sql, marks

STILL = 10.0
"""Seconds that a ready job may wait for its doorbell to be sent before something must be wrong."""

OUT = 200
"""So many of the soonest jobs have a doorbell out."""

BATCH = 500


@dataclass(frozen=True, slots=True)
class Doorbell:
    """What a carrier's message names: a row, and the message that the row must have.

    Both must be right: a cloned database is not to run what is another's.
    """

    job_id: int
    message_id: str


def anything_to_publish(sql: Sql, queues: Sequence[str]) -> bool:
    """Whether ``publish`` would find something that is ready; takes no lock."""
    return bool(
        sql.rows(f"SELECT 1 FROM ({_soonest(queues)}) soonest WHERE published_at IS NULL LIMIT 1", queues)
    )


def stands_still(sql: Sql) -> bool:
    """Whether ready jobs wait to be published and none is: no worker reaches the carrier. Takes no lock."""
    waiting = f"SELECT 1 FROM tom_nightshift_job WHERE {READY}"
    ((is_out, is_late),) = sql.rows(
        f"SELECT EXISTS ({waiting} AND published_at IS NOT NULL), "
        f"EXISTS ({waiting} AND published_at IS NULL AND {sql.age('created_at')} > {STILL})"
    )
    return bool(is_late and not is_out)


def publish(sql: Sql, queues: Sequence[str], epoch: str) -> list[Row]:
    """Note that doorbells for the soonest ready jobs are out; the caller sends them once that is committed.

    Parameters:
        epoch: what the carrier calls the time since it last forgot everything.

    Returns:
        (id, message_id, queue, task) of those that had none, in the order in which they are to run.
    """
    free = "FOR UPDATE OF job SKIP LOCKED" if sql.vendor == "postgresql" else ""
    without = (
        f"SELECT job.id FROM tom_nightshift_job job JOIN ({_soonest(queues)}) soonest ON soonest.id = job.id "
        f"WHERE job.published_at IS NULL {free}"
    )
    ids = f"= ANY(ARRAY({without}))" if free else f"IN ({without})"
    rows = sql.rows(
        f"UPDATE tom_nightshift_job SET published_at = {sql.now}, carrier_epoch = %s WHERE id {ids} "
        f"AND {moves.STILL_READY} AND published_at IS NULL "
        "RETURNING id, message_id, queue, task, priority, ord",
        [epoch, *queues],
    )
    return [
        (job_id, _as_text(key), queue, task)
        for job_id, key, queue, task, *_ in sorted(rows, key=lambda row: (row[-2], row[-1], row[0]))
    ]


def take_back(sql: Sql, job_ids: Collection[int]) -> int:
    """The doorbells of these jobs are not out: they are sent again. How many jobs wait for that."""
    return sql.run(
        "UPDATE tom_nightshift_job SET published_at = NULL "
        f"WHERE id IN ({marks(job_ids)}) AND state = 'waiting' AND published_at IS NOT NULL",
        list(job_ids),
    )


def claim(sql: Sql, worker: str, heard: Sequence[Doorbell]) -> list[Row]:
    """waiting → running, for those that doorbells name, if they are ready.

    A job that waits for something yet has no doorbell any more: whoever releases it sends it a new one.

    Returns:
        (message id, rows of ``moves.CLAIMED``) of those that were.
    """
    ids = [one.job_id for one in heard]
    keys = [sql.uuid(one.message_id) for one in heard]
    claimed = moves.claim_named(sql, worker, ids, keys)
    if len(claimed) < len(heard):
        sql.run(
            f"UPDATE tom_nightshift_job SET published_at = NULL WHERE id IN ({marks(ids)}) "
            f"AND message_id IN ({marks(keys)}) AND state = 'waiting'",
            [*ids, *keys],
        )
    return [(_as_text(key), *row) for key, *row in claimed]


def take_back_forgotten(sql: Sql, epoch: str) -> int:
    """The carrier has forgotten what it had before this epoch: those jobs get new doorbells. How many."""
    return _take_back_where(sql, "carrier_epoch <> %s", [epoch])


def take_back_left(sql: Sql, queue: str, seconds: float) -> int:
    """The carrier has nothing left for a queue: what was published so long ago is lost. How many jobs."""
    return _take_back_where(sql, f"queue = %s AND {sql.age('published_at')} > {float(seconds)}", [queue])


def take_back_overtaken(sql: Sql, ahead: int, seconds: float) -> int:
    """What so many jobs of the same queue and priority have overtaken, which came after it in the line, began
    so much later than its doorbell went out, and are over: its doorbell is lost. How many jobs.
    """
    late = sql.shifted("tom_nightshift_job.published_at", seconds)
    overtaken = (
        f"{sql.age('published_at')} > {float(seconds)} AND {int(ahead)} <= (SELECT count(*) FROM ("
        f"SELECT 1 FROM tom_nightshift_job later WHERE later.finished_at > {late} "
        f"AND later.claimed_at > {late} AND later.queue = tom_nightshift_job.queue "
        "AND later.priority = tom_nightshift_job.priority AND later.ord >= tom_nightshift_job.ord "
        f"ORDER BY later.finished_at DESC LIMIT {int(ahead)}) counted)"
    )
    return _take_back_where(sql, overtaken, [])


def queues_that_wait(sql: Sql, queues: Iterable[str]) -> list[str]:
    """Those of these queues that have a doorbell out; takes no lock."""
    wanted = list(queues)
    return [
        name
        for (name,) in sql.rows(
            f"SELECT DISTINCT queue FROM tom_nightshift_job WHERE {_IS_OUT} AND queue IN ({marks(wanted)})",
            wanted,
        )
    ]


def _as_text(key: object) -> str:
    return str(uuid.UUID(str(key)))


_IS_OUT = "state = 'waiting' AND hold = '' AND published_at IS NOT NULL"


def _soonest(queues: Sequence[str]) -> str:
    return (
        f"SELECT id, published_at FROM tom_nightshift_job WHERE {READY} AND queue IN ({marks(queues)}) "
        f"ORDER BY priority, ord, id LIMIT {OUT}"
    )


def _take_back_where(sql: Sql, condition: str, params: list[str]) -> int:
    some = f"SELECT id FROM tom_nightshift_job WHERE {_IS_OUT} AND {condition} LIMIT {BATCH}"
    return sql.run(
        f"UPDATE tom_nightshift_job SET published_at = NULL WHERE id {sql.among_free(some)} AND {_IS_OUT}",
        params,
    )
