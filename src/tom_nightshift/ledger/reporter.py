"""The one reporter of a process: takes progress and log of all its attempts to the database, once a second.

``progress()`` and ``logger.info()`` only change memory, so they never wait for the database. On SQLite the
reporter does not wait for the write lock either: while it is taken, the words stay in memory and go with the
next tick.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from tom_nightshift import events
from tom_nightshift.ledger import ending, moves, storable
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.logbuffer import Piece
from tom_nightshift.ledger.session import AWAY, OwnConnection, Sql, values
from tom_nightshift.loop import Loop

INTERVAL = 1.0


class Reporter:
    """Reports for the attempts that were announced to it by ``watch``, until ``forget``."""

    def __init__(self) -> None:
        self.connection = OwnConnection(patience=0.0)
        self.loop = Loop("reporter", self.tick, INTERVAL)
        self._attempts: dict[tuple[int, int], Attempt] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start reporting in a thread."""
        self.loop.start()

    def stop(self) -> None:
        """End the thread after one last report."""
        self.loop.stop()
        self.tick()
        self.connection.close()

    def watch(self, attempt: Attempt) -> None:
        """Report for this attempt from now on."""
        with self._lock:
            self._attempts[attempt.token] = attempt

    def forget(self, attempt: Attempt) -> None:
        """Report no more for this attempt; waits for a report that is under way."""
        with self._lock:
            self._attempts.pop(attempt.token, None)
        attempt.close_reports()

    def tick(self) -> None:
        """Write what each attempt has said since the last tick."""
        with self._lock:
            attempts = list(self._attempts.values())
        for attempt in attempts:
            try:
                self._report(attempt)
            except AWAY:  # locked, or away: the words stay in memory for the next tick
                continue
            except Exception as error:  # noqa: BLE001 - what one job said must not keep the others silent
                events.loop_failed(f"report of job {attempt.job_id}", error)

    def _report(self, attempt: Attempt) -> None:
        with attempt.lock:
            if attempt.reports.closed:
                return
            pieces, changed = attempt.log.take(), attempt.reports.changed
            attempt.reports.changed = False
            try:
                self._write(attempt, pieces, changed or bool(pieces))
            except BaseException:
                attempt.log.give_back(pieces)
                attempt.reports.changed = changed or attempt.reports.changed
                raise

    def _write(self, attempt: Attempt, pieces: Sequence[Piece], changed: bool) -> None:
        stage = _fresh_stage(attempt)
        if changed or stage:
            with self.connection.transaction() as sql:
                rows = write_reports(sql, attempt, pieces)
                write_stage(sql, attempt)
        else:
            with self.connection.reading() as sql:
                rows = moves.stop_news(sql, attempt.token)
        if stage and attempt.ending is not None:
            attempt.ending.written = stage
        _heed(attempt, rows)


def _heed(attempt: Attempt, rows: Sequence[tuple[Any, ...]]) -> None:
    """Take note that the attempt is to stop: somebody asked, or the job has been given to another."""
    asked, seconds = rows[0] if rows else (True, None)
    if asked and not attempt.stop_requested:
        attempt.stop_requested = True
        attempt.ending = attempt.ending or ending.ask(None if seconds is None else float(seconds))


def _fresh_stage(attempt: Attempt) -> int:
    """A stage of being stopped that the row does not know of yet; 0: none."""
    now = attempt.ending
    return now.done if now is not None and now.kind is ending.Stopped and now.done > now.written else 0


def _until_next(attempt: Attempt) -> float | None:
    return attempt.ending.seconds_left if attempt.ending is not None else None


def write_reports(sql: Sql, attempt: Attempt, pieces: Sequence[Piece]) -> list[tuple[Any, ...]]:
    """Write progress and log of an attempt that still holds its row; what its row says of stopping."""
    held = sql.rows(
        "UPDATE tom_nightshift_job SET done = %s, total = %s, note = %s, stages = %s, saved = %s "
        f"WHERE id = %s AND attempt = %s AND state = 'running' RETURNING {moves.stopping(sql)}",
        [*report_values(attempt), *attempt.token],
    )
    if held:
        write_log(sql, attempt, pieces)
    return held


def write_stage(sql: Sql, attempt: Attempt) -> None:
    """Write how hard an attempt is urged to end, where its row does not know yet."""
    if stage := _fresh_stage(attempt):
        moves.stop_stage(sql, attempt.token, stage, _until_next(attempt))


def report_values(attempt: Attempt) -> tuple[float | None, float | None, str, str | None, str | None]:
    """The values of the columns done, total, note, stages, saved."""
    said = attempt.reports
    stages = storable.as_json(said.stages) if said.stages else None
    saved = storable.as_json(said.saved) if said.saved else None
    return said.done, said.total, storable.text(said.note), stages, saved


def write_log(sql: Sql, attempt: Attempt, pieces: Sequence[Piece]) -> None:
    """Insert pieces of the log; the tail replaces the one written before."""
    write_logs(sql, [(attempt, piece) for piece in pieces])


def write_logs(sql: Sql, pieces: Sequence[tuple[Attempt, Piece]]) -> None:
    """Insert pieces of the logs of several attempts; a tail replaces the one written before."""
    if pieces:
        sql.run(
            "INSERT INTO tom_nightshift_log (job_id, attempt, seq, text) "
            f"{values(len(pieces), ('bigint', 'integer', 'integer', 'text'))} "
            "ON CONFLICT (job_id, attempt, seq) DO UPDATE SET text = excluded.text",
            [
                value
                for attempt, piece in pieces
                for value in (attempt.job_id, attempt.number, piece.seq, storable.text(piece.text))
            ],
        )
