"""Final jobs go after a time, in small batches with rests between them, so that nobody feels it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import values
from tom_nightshift.ledger.session import OwnConnection, Sql, marks

BATCH = 200
"""Jobs removed in one transaction: on SQLite nobody else can write meanwhile."""

REST = 0.05
"""Seconds between two batches."""

DAY = 86_400.0
PARTS = ("tom_nightshift_log", "tom_nightshift_attempt", "tom_nightshift_picture", "tom_nightshift_place")


def prune(connection: OwnConnection, rest: Callable[[float], object] = time.sleep) -> int:
    """Remove final jobs that are older than ``KEEP_DAYS`` (``KEEP_FAILED_DAYS``), and values past their time.
    The number of jobs removed.

    Parameters:
        rest: waits between two batches, so many seconds.
    """
    values.prune(connection)
    removed = 0
    while True:
        with connection.transaction() as sql:
            batch = _prune_batch(sql)
        removed += batch
        if batch < BATCH:
            return removed
        rest(REST)


def _prune_batch(sql: Sql) -> int:
    limits = get_settings()
    rows = sql.rows(
        "SELECT id FROM tom_nightshift_job WHERE finished_at IS NOT NULL AND "
        f"((state IN ('succeeded', 'warned') AND finished_at < {sql.after(-limits.keep_days * DAY)}) "
        "OR (state NOT IN ('succeeded', 'warned') "
        f"AND finished_at < {sql.after(-limits.keep_failed_days * DAY)})) "
        "ORDER BY finished_at LIMIT %s",
        [BATCH],
    )
    ids = [job_id for (job_id,) in rows]
    remove(sql, ids)
    return len(ids)


def remove(sql: Sql, job_ids: Sequence[int]) -> None:
    """Remove rows of jobs, with all that belongs to them."""
    for start in range(0, len(job_ids), BATCH):
        ids = job_ids[start : start + BATCH]
        for table in PARTS:
            sql.run(f"DELETE FROM {table} WHERE job_id IN ({marks(ids)})", ids)
        sql.run(f"DELETE FROM tom_nightshift_job WHERE id IN ({marks(ids)})", ids)
