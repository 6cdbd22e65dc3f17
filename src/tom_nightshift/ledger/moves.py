"""The verbs: every change of a job's state, each one guarded statement.

A move of an attempt is guarded by its token, ``id = … AND attempt = … AND state = 'running'``: whoever lost
the row changes nothing and learns it from the number of rows. Nothing else in Nightshift writes ``state``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from tom_nightshift.ledger import ending
from tom_nightshift.ledger.admission import ANYBODY_WAITS
from tom_nightshift.ledger.holding import NOT_PAUSED, ready_or_held
from tom_nightshift.ledger.session import Sql, any_in_order, marks, values
from tom_nightshift.states import Hold, State

Token = tuple[int, int]
Row = tuple[Any, ...]


class End(NamedTuple):
    """How an attempt ended, as far as its row is concerned."""

    token: Token
    state: State
    reason: str
    error: str
    result: str | None
    """JSON."""


class Worth(NamedTuple):
    """What a claim would find."""

    until_due: float | None
    """Seconds until the next job that is held until a time; negative when due; None when there is none."""

    is_ready: bool
    is_held: bool
    """Whether any waits for a limit or a rate."""


CLAIMED = "id, attempt, task, queue, title, owner_id, root, failures, losses, saved, stages, message"
_NEXT = ready_or_held("queue")
READY = f"state = 'waiting' AND hold = '' AND {NOT_PAUSED}"
STILL_READY = "state || hold = 'waiting'"
"""The guard where ids are known, in words that fit no index: PostgreSQL would go through all open rows."""

_HELD = "id = %s AND attempt = %s AND state = 'running'"


def claim(sql: Sql, worker: str, queues: Sequence[str], limit: int) -> list[Row]:
    """waiting → running: take up to ``limit`` ready jobs, the soonest of all the queues. Claim is start.

    Returns:
        rows of ``CLAIMED``, in the order in which they are to run.
    """
    soonest = (
        f"SELECT id FROM tom_nightshift_job "
        f"WHERE {READY} AND queue IN ({marks(queues)}) "
        "ORDER BY priority, ord, id LIMIT %s"
    )
    rows = sql.rows(
        f"UPDATE tom_nightshift_job SET {_start(sql)} WHERE id {sql.among_free(soonest)} "
        f"AND {STILL_READY} RETURNING {CLAIMED}, priority, ord",
        [worker, *queues, limit],
    )
    return [row[:-2] for row in sorted(rows, key=lambda row: (row[-2], row[-1], row[0]))]


def claim_one(sql: Sql, worker: str, job_id: int) -> Row | None:
    """waiting → running, for one certain job, held or not: for jobs that run where they were asked for."""
    rows = sql.rows(
        f"UPDATE tom_nightshift_job SET {_start(sql)} "
        f"WHERE id = %s AND state = 'waiting' RETURNING {CLAIMED}",
        [worker, job_id],
    )
    return rows[0] if rows else None


def claim_named(sql: Sql, worker: str, job_ids: Sequence[int], message_ids: Sequence[Any]) -> list[Row]:
    """waiting → running, for ready jobs that are named by their ids and those of their messages.

    Returns:
        (message_id, rows of ``CLAIMED``) of those that were ready.
    """
    return sql.rows(
        f"UPDATE tom_nightshift_job SET {_start(sql)} WHERE id IN ({marks(job_ids)}) "
        f"AND message_id IN ({marks(message_ids)}) AND {READY} RETURNING message_id, {CLAIMED}",
        [worker, *job_ids, *message_ids],
    )


def finish(
    sql: Sql, token: Token, state: State, *, reason: str, error: str, result: str | None, charge: str = ""
) -> bool:
    """running → a final state. Whether the attempt still held its row.

    Parameters:
        charge: the counter that goes up: losses, or none.
    """
    counter = f"{charge} = {charge} + 1, " if charge else ""
    return bool(
        sql.run(
            f"UPDATE tom_nightshift_job SET {counter}state = %s, hold = '', reason = %s, error = %s, "
            f"result = %s, finished_at = {sql.now} WHERE {_HELD}",
            [state, reason, error, result, *token],
        )
    )


def finish_all(sql: Sql, ends: Sequence[End]) -> set[Token]:
    """running → a final state, for several attempts at once. Those that still held their rows."""
    rows = sql.rows(
        "WITH ended (id, attempt, state, reason, error, result) AS "
        f"({values(len(ends), ('bigint', 'integer', 'text', 'text', 'text', 'text'))}) "
        "UPDATE tom_nightshift_job SET state = ended.state, hold = '', reason = ended.reason, "
        f"error = ended.error, result = {sql.json('ended.result')}, finished_at = {sql.now} FROM ended "
        "WHERE tom_nightshift_job.id = ended.id AND tom_nightshift_job.attempt = ended.attempt "
        "AND tom_nightshift_job.state = 'running' "
        "RETURNING tom_nightshift_job.id, tom_nightshift_job.attempt",
        [value for end in ends for value in (*end.token, str(end.state), end.reason, end.error, end.result)],
    )
    return {(job_id, number) for job_id, number in rows}


def wait_again(
    sql: Sql,
    token: Token,
    *,
    charge: str,
    reason: str,
    error: str,
    message: bytes | None,
    hold: Hold,
    delay: float,
) -> bool:
    """running → waiting, on the same row; → stopped, if somebody asked the job to stop meanwhile.

    Parameters:
        charge: the counter that goes up: failures, losses, snoozes, or none.
        message: the message of the next delivery; None keeps the one that is there.
        hold: why it may not be claimed yet; with ``Hold.NONE`` it may, unless its queue is paused, or a
            limit or rate is to admit it.
        delay: seconds until it may be claimed, with ``Hold.UNTIL``.

    Returns:
        whether the attempt still held its row.
    """
    counter = f"{charge} = {charge} + 1, " if charge else ""
    held = _NEXT if hold == Hold.NONE else f"'{hold}'"
    waits = bool(
        sql.run(
            f"UPDATE tom_nightshift_job SET {counter}state = 'waiting', hold = {held}, "
            f"run_at = {sql.after(delay)}, "
            f"reason = %s, error = %s, message = coalesce(%s, message), worker = '' "
            f"WHERE {_HELD} AND NOT stop_requested",
            [reason, error, message, *token],
        )
    )
    return waits or _stopped_instead(sql, token)


def stop(sql: Sql, job_id: int, by: str) -> State | None:
    """waiting → stopped at once; of a running job it is asked.

    Returns:
        ``STOPPED``, ``RUNNING`` (asked) or None (the job was final already, or is not there).
    """
    words = f"stopped by {by}" if by else "stopped"
    # One statement for both states: between two, the job could go from one to the other unseen.
    rows = sql.rows(
        "UPDATE tom_nightshift_job SET stop_requested = TRUE, stop_by = %s, hold = '', "
        "state = CASE WHEN state = 'waiting' THEN 'stopped' ELSE state END, "
        "stop_stage = CASE WHEN state = 'waiting' OR stop_stage > 0 THEN stop_stage ELSE 1 END, "
        f"stop_next_at = CASE WHEN state = 'waiting' OR stop_stage > 0 THEN stop_next_at "
        f"ELSE {sql.after(ending.patience())} END, "
        "reason = CASE WHEN state = 'waiting' THEN 'stopped' ELSE reason END, "
        "error = CASE WHEN state = 'waiting' THEN %s ELSE error END, "
        f"finished_at = CASE WHEN state = 'waiting' THEN {sql.now} ELSE finished_at END "
        "WHERE id = %s AND state IN ('waiting', 'running') RETURNING state",
        [by, words, job_id],
    )
    return State(rows[0][0]) if rows else None


def stop_stage(sql: Sql, token: Token, stage: int, seconds: float | None) -> bool:
    """A running job that was asked to stop is urged harder.

    Parameters:
        seconds: until the next stage; None: there is none.
    """
    next_at = "NULL" if seconds is None else sql.after(seconds)
    return bool(
        sql.run(
            f"UPDATE tom_nightshift_job SET stop_stage = %s, stop_next_at = {next_at} "
            f"WHERE {_HELD} AND stop_requested AND stop_stage < %s",
            [stage, *token, stage],
        )
    )


def stop_news(sql: Sql, token: Token) -> list[Row]:
    """(whether somebody asked it to stop, seconds to the next stage); nothing if another has the row; takes
    no lock.
    """
    return sql.rows(f"SELECT {stopping(sql)} FROM tom_nightshift_job WHERE {_HELD}", token)


def stopping(sql: Sql) -> str:
    """The columns of ``stop_news``."""
    return f"stop_requested, -({sql.age('stop_next_at')})"


def expire(sql: Sql) -> int:
    """waiting → expired, held or not: every job that is past its time of use."""
    old = _too_old(sql)
    free = sql.among_free(f"SELECT id FROM tom_nightshift_job WHERE {old}")
    return sql.run(
        "UPDATE tom_nightshift_job SET state = 'expired', hold = '', reason = 'expired', "
        f"error = 'it was too old before its turn came', finished_at = {sql.now} WHERE {old} AND id {free}"
    )


def release_due(sql: Sql) -> int:
    """Jobs held until a time that has come may be claimed."""
    due = _due(sql)
    free = sql.among_free(f"SELECT id FROM tom_nightshift_job WHERE {due}")
    return sql.run(f"UPDATE tom_nightshift_job SET hold = {_NEXT} WHERE {due} AND id {free}")


def release(sql: Sql, job_ids: Sequence[int]) -> int:
    """These jobs, held until a time, may be claimed now."""
    return sql.run(
        f"UPDATE tom_nightshift_job SET hold = {_NEXT}, run_at = {sql.now} "
        f"WHERE state = 'waiting' AND hold = 'until' AND id IN ({marks(job_ids)})",
        job_ids,
    )


def release_parked(sql: Sql, tasks: Sequence[str]) -> int:
    """Jobs that waited for a worker that knows their task may be claimed: here is one."""
    parked = _parked(tasks)
    free = sql.among_free(f"SELECT id FROM tom_nightshift_job WHERE {parked}")
    return sql.run(
        f"UPDATE tom_nightshift_job SET hold = {_NEXT} WHERE {parked} AND id {free}",
        [*tasks, *tasks],
    )


def record(sql: Sql, token: Token, outcome: str, error: str = "", traceback: str = "") -> None:
    """Write down how an attempt ended. Comes before the move, while the row still names the worker."""
    sql.run(
        "INSERT INTO tom_nightshift_attempt "
        "(job_id, number, worker, started_at, finished_at, outcome, error, traceback) "
        f"SELECT id, attempt, worker, claimed_at, {sql.now}, %s, %s, %s "
        f"FROM tom_nightshift_job WHERE {_HELD} "
        "ON CONFLICT (job_id, number) DO NOTHING",
        [outcome, error, traceback, *token],
    )


def record_finished(sql: Sql, tokens: Collection[Token]) -> None:
    """Write down how attempts ended that ``finish_all`` has just moved, from their own rows."""
    sql.run(
        "INSERT INTO tom_nightshift_attempt "
        "(job_id, number, worker, started_at, finished_at, outcome, error, traceback) "
        "SELECT id, attempt, worker, claimed_at, finished_at, state, error, '' "
        f"FROM tom_nightshift_job WHERE id IN ({marks(tokens)}) "
        "ON CONFLICT (job_id, number) DO NOTHING",
        [job_id for job_id, _ in tokens],
    )


def note_late(sql: Sql, token: Token, words: str) -> None:
    """Keep a note of how an attempt ended after its job had been given to another."""
    sql.run(
        "UPDATE tom_nightshift_attempt SET error = substr(error || '; ended ' || %s, 1, 2000) "
        "WHERE job_id = %s AND number = %s",
        [words, *token],
    )


def worth_claiming(sql: Sql, queues: Sequence[str]) -> Worth:
    """What a claim would find; takes no lock."""
    ready = any_in_order(f"{READY} AND queue IN ({marks(queues)})", "priority, ord, id")
    ((until_due, is_ready, is_held),) = sql.rows(
        f"SELECT (SELECT {sql.age('min(run_at)')} FROM tom_nightshift_job "
        "WHERE state = 'waiting' AND hold = 'until'), "
        f"{ready}, ({ANYBODY_WAITS})",
        queues,
    )
    return Worth(None if until_due is None else -float(until_due), bool(is_ready), bool(is_held))


def anything_open(sql: Sql) -> bool:
    """Whether any job waits or runs; takes no lock."""
    return _is_there_any(sql, "state IN ('waiting', 'running')")


def anything_due(sql: Sql) -> bool:
    """Whether ``release_due`` would release something; takes no lock."""
    return _is_there_any(sql, _due(sql))


def anything_parked(sql: Sql, tasks: Sequence[str]) -> bool:
    """Whether ``release_parked`` would release something; takes no lock."""
    return _is_there_any(sql, _parked(tasks), tasks)


def anything_too_old(sql: Sql) -> bool:
    """Whether ``expire`` would find something; takes no lock."""
    return _is_there_any(sql, _too_old(sql))


def held_by(sql: Sql, worker: str) -> list[Row]:
    """(id, attempt, task, losses, stop_requested) of the rows that say this worker runs them."""
    return sql.rows(
        "SELECT id, attempt, task, losses, stop_requested FROM tom_nightshift_job "
        "WHERE state = 'running' AND worker = %s ORDER BY id",
        [worker],
    )


def _stopped_instead(sql: Sql, token: Token) -> bool:
    """What was to run again was stopped: its last attempt is not to be read as one that has a next."""
    if not finish(sql, token, State.STOPPED, reason="stopped", error="stopped", result=None):
        return False
    sql.run(
        "UPDATE tom_nightshift_attempt SET outcome = 'stopped' "
        "WHERE job_id = %s AND number = %s AND outcome IN ('retried', 'returned', 'later')",
        token,
    )
    return True


def _is_there_any(sql: Sql, condition: str, params: Sequence[Any] = ()) -> bool:
    return bool(sql.rows(f"SELECT 1 FROM tom_nightshift_job WHERE {condition} LIMIT 1", params))


def _due(sql: Sql) -> str:
    return f"state = 'waiting' AND hold = 'until' AND run_at <= {sql.once}"


def _parked(tasks: Sequence[str]) -> str:
    return f"state = 'waiting' AND hold = 'parked' AND task IN ({marks(tasks)})"


def _too_old(sql: Sql) -> str:
    return f"state = 'waiting' AND expires_at <= {sql.once}"


def _start(sql: Sql) -> str:
    return (
        f"state = 'running', hold = '', attempt = attempt + 1, worker = %s, claimed_at = {sql.now}, "
        f"started_at = coalesce(started_at, {sql.now}), reason = '', error = '', "
        "done = NULL, total = NULL, note = '', published_at = NULL"
    )
