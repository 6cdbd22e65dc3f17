"""What can be seen of the jobs in the database: one look at all that is stored about them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tom_nightshift.ledger.session import Sql

COLUMNS = (
    "id", "state", "hold", "attempt", "failures", "losses", "snoozes", "worker", "stop_requested", "stop_by",
    "stop_stage", "reason", "done", "saved", "message", "queue", "ord", "unique_key", "limit_key", "rate_key",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobSeen:
    """One row, its attempts that have ended (number → outcome), and what each said (number → text)."""

    id: int
    state: str
    hold: str
    attempt: int
    failures: int
    losses: int
    snoozes: int
    worker: str
    stop_requested: bool
    stop_by: str
    stop_stage: int
    reason: str
    done: float | None
    saved: int | None
    message: bytes
    queue: str
    ord: int
    unique_key: str
    limit_key: str
    rate_key: str
    has_next_stage: bool
    has_an_end: bool
    attempts: dict[int, str]
    late: dict[int, tuple[str, ...]]
    """What attempts said after they had lost their job."""

    log: dict[int, str]

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Sight:
    """All jobs, the names of the workers that have a row, the paused queues (name → who paused it), and the
    limits.
    """

    jobs: dict[int, JobSeen]
    workers: frozenset[str]
    paused: dict[str, str]
    slots: dict[str, int]
    """Key of a limit → how many may have it."""

    def admitted(self, key: str) -> set[int]:
        """The jobs that have a slot of this limit, but for those that run in a request."""
        return {
            job.id
            for job in self.jobs.values()
            if job.limit_key == key and job.is_open and job.hold in ("", "rate")
            if job.worker != "in the request"
        }


def look(sql: Sql) -> Sight:
    """Look at everything."""
    attempts, late, log = _attempts(sql), _late(sql), _log(sql)
    rows = sql.rows(
        f"SELECT {', '.join(COLUMNS)}, stop_next_at, finished_at FROM tom_nightshift_job ORDER BY id"
    )
    jobs = {row[0]: _job(row, attempts[row[0]], late[row[0]], log[row[0]]) for row in rows}
    workers = frozenset(name for (name,) in sql.rows("SELECT name FROM tom_nightshift_worker"))
    paused = dict(sql.rows("SELECT name, paused_by FROM tom_nightshift_queue WHERE paused"))
    slots = dict(sql.rows("SELECT key, number FROM tom_nightshift_limit WHERE kind = 'limit'"))
    return Sight(jobs, workers, paused, slots)


def _job(
    row: tuple[Any, ...], attempts: dict[int, str], late: dict[int, tuple[str, ...]], log: dict[int, str]
) -> JobSeen:
    *values, stop_next_at, finished_at = row
    columns: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    columns["stop_requested"] = bool(columns["stop_requested"])
    columns["saved"] = _step(columns["saved"])
    columns["message"] = bytes(columns["message"])
    return JobSeen(
        **columns, has_next_stage=stop_next_at is not None, has_an_end=finished_at is not None,
        attempts=attempts, late=late, log=log,
    )  # fmt: skip


def _step(saved: Any) -> int | None:
    """The one number that the machine has its attempts keep."""
    kept = json.loads(saved) if isinstance(saved, str) else saved
    return kept["steps"]["said"] if kept else None


def _attempts(sql: Sql) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for job_id, number, outcome in sql.rows("SELECT job_id, number, outcome FROM tom_nightshift_attempt"):
        assert number not in found[job_id], f"attempt {number} of job {job_id} ended twice"
        found[job_id][number] = outcome
    return found


def _late(sql: Sql) -> dict[int, dict[int, tuple[str, ...]]]:
    found: dict[int, dict[int, tuple[str, ...]]] = defaultdict(dict)
    for job_id, number, error in sql.rows("SELECT job_id, number, error FROM tom_nightshift_attempt"):
        _, *notes = error.split("; ended ")
        if notes:
            found[job_id][number] = tuple(notes)
    return found


def _log(sql: Sql) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = defaultdict(dict)
    pieces = sql.rows("SELECT job_id, attempt, text FROM tom_nightshift_log ORDER BY job_id, attempt, seq")
    for job_id, number, text in pieces:
        found[job_id][number] = found[job_id].get(number, "") + text
    return found
