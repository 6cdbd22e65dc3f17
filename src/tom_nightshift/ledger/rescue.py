"""Jobs of dead workers go back; rows that no thread runs go back too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import moves, outcomes
from tom_nightshift.ledger.presence import Neighbour, is_dead, neighbours
from tom_nightshift.ledger.session import Sql
from tom_nightshift.states import Hold, State

OnLost = Callable[[str], str]
"""Says of a task's name whether its job runs ``again`` after its worker died, or counts as ``lost``."""


def the_dead(sql: Sql, me: str, *, by_silence: bool = True) -> list[Neighbour]:
    """The neighbours that are dead; takes no lock.

    Parameters:
        by_silence: whether a late heartbeat may count; not for one who may have been away itself.
    """
    return [one for one in neighbours(sql, but=me) if is_dead(one, sql.vendor, by_silence=by_silence)]


def rescue(sql: Sql, me: str, on_lost: OnLost, *, by_silence: bool = True) -> int:
    """Return the jobs of every worker that is dead, and remove its row. The number of jobs returned."""
    return sum(_return_jobs(sql, dead, on_lost) for dead in the_dead(sql, me, by_silence=by_silence))


def orphans(sql: Sql) -> int:
    """Return running jobs whose worker has no row, and end those whose web request died. The number of
    either.
    """
    rows = sql.rows(
        "SELECT id, attempt, worker FROM tom_nightshift_job WHERE state = 'running' AND worker NOT IN "
        f"(SELECT name FROM tom_nightshift_worker) AND {sql.age('claimed_at')} > "
        "CASE WHEN worker = %s THEN %s ELSE %s END",
        [IN_THE_REQUEST, get_settings().timeout, get_settings().lease],
    )
    for job_id, number, worker in rows:
        if worker == IN_THE_REQUEST:
            moves.record(sql, (job_id, number), "lost", "the web process died while it ran")
            _unknown_end(sql, (job_id, number))
        else:
            _uncharged(sql, (job_id, number))
    return len(rows)


def reconcile(
    sql: Sql, me: str, in_hand: Iterable[moves.Token], missing_before: set[moves.Token]
) -> set[moves.Token]:
    """Compare the rows that name this worker with the attempts it really holds.

    Parameters:
        missing_before: rows that no thread ran at the last comparison; missing again, they are put back.

    Returns:
        rows missing for the first time.
    """
    held = {(row[0], row[1]) for row in moves.held_by(sql, me)}
    missing = held - set(in_hand)
    for token in missing & missing_before:
        if _uncharged(sql, token):
            events.job_lost_by_worker(*token)
    return missing - missing_before


DIED = "its worker died while it ran"

IN_THE_REQUEST = "in the request"
"""What stands for a worker in the row of a job that runs where it was asked for."""


def _return_jobs(sql: Sql, dead: Neighbour, on_lost: OnLost) -> int:
    if not sql.run("DELETE FROM tom_nightshift_worker WHERE name = %s", [dead.name]):
        return 0  # another worker is faster
    rows = moves.held_by(sql, dead.name)
    for job_id, number, task, losses, stop_requested in rows:
        again, alone = on_lost(task), len(rows) == 1
        if dead.leaving and not stop_requested:
            _left_behind(sql, (job_id, number), again)
        else:
            moves.record(sql, (job_id, number), "lost", DIED)
            outcome = outcomes.lost(losses, again, "", alone=alone, stop_requested=bool(stop_requested))
            outcomes.move(sql, (job_id, number), outcome)
    # Not before the commit: without its lock file, nobody would see for long that this worker is dead.
    sql.afterwards.append(lambda: _forget(dead, len(rows)))
    return len(rows)


def _forget(dead: Neighbour, jobs: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(dead.lock_path)
    events.worker_found_dead(dead.name, jobs)


def _left_behind(sql: Sql, token: moves.Token, on_lost: str) -> None:
    """Its worker was told to end, and ended before it: charged to nobody."""
    if on_lost == "lost":
        moves.record(sql, token, "lost", "its worker was told to end while it ran")
        _unknown_end(sql, token)
    else:
        _uncharged(sql, token)


def _unknown_end(sql: Sql, token: moves.Token) -> bool:
    words = "interrupted: we do not know whether it finished"
    return moves.finish(sql, token, State.LOST, reason="lost", error=words, result=None)


def _uncharged(sql: Sql, token: moves.Token) -> bool:
    moves.record(sql, token, "returned")
    return moves.wait_again(
        sql, token, charge="", reason="handed back", error="", message=None, hold=Hold.NONE, delay=0
    )
