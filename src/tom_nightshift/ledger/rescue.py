"""Jobs of dead workers go back; rows that no thread runs go back too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import moves, outcomes
from tom_nightshift.ledger.presence import Neighbour, is_dead, neighbours
from tom_nightshift.ledger.session import UNREACHABLE, Sql
from tom_nightshift.states import Hold, State

OnLost = Callable[[str], str]
"""Says of a task's name whether its job runs ``again`` after its worker died, or counts as ``lost``."""

MOST_RETURNS = 3
"""How often a job is put back because its end was lost; after that, it would run for ever."""

NO_THREAD = "nothing ran it any more"
NO_WORKER = "the process that ran it was gone"
NO_REQUEST = "the web process died while it ran"
DIED = "the process that ran it died"
"""Why a job was returned, as its owner reads it."""

IN_THE_REQUEST = "in the request"
"""What stands for a worker in the row of a job that runs where it was asked for."""


def the_dead(sql: Sql, me: str, *, by_silence: bool = True) -> list[Neighbour]:
    """The neighbours that are dead; takes no lock.

    Parameters:
        by_silence: whether a late heartbeat may count; not for one who may have been away itself.
    """
    return [one for one in neighbours(sql, but=me) if is_dead(one, sql.vendor, by_silence=by_silence)]


def rescue(sql: Sql, me: str, on_lost: OnLost, *, by_silence: bool = True, at_most: int | None = None) -> int:
    """Return the jobs of workers that are dead, and remove their rows. The number of jobs returned.

    Parameters:
        by_silence: as for ``the_dead``.
        at_most: how many of those workers; None: all.
    """
    dead = the_dead(sql, me, by_silence=by_silence)[:at_most]
    return sum(_return_jobs(sql, one, on_lost) for one in dead)


def orphans(sql: Sql) -> list[moves.Row]:
    """(id, attempt, task, worker) of running jobs whose worker has no row, or whose web request took too long
    to be alive; takes no lock.
    """
    return sql.rows(
        "SELECT id, attempt, task, worker FROM tom_nightshift_job WHERE state = 'running' AND worker NOT IN "
        f"(SELECT name FROM tom_nightshift_worker) AND {sql.age('claimed_at')} > "
        "CASE WHEN worker = %s THEN %s ELSE %s END",
        [IN_THE_REQUEST, get_settings().timeout, get_settings().lease],
    )


def return_orphans(sql: Sql, rows: Iterable[moves.Row], on_lost: OnLost) -> int:
    """Return such jobs, and end those whose web request died. The number of either."""
    returned = 0
    for job_id, number, task, worker in rows:
        with _alone(sql, job_id):
            if worker == IN_THE_REQUEST:
                returned += _return(sql, (job_id, number), NO_REQUEST, "lost")
            else:
                returned += _return(sql, (job_id, number), NO_WORKER, on_lost(task))
    return returned


def missing(sql: Sql, me: str, in_hand: Iterable[moves.Token]) -> dict[moves.Token, str]:
    """The rows that name this worker though no thread of it runs them, and their tasks; takes no lock.

    Parameters:
        in_hand: what its threads run, read before.
    """
    rows = {(job_id, number): task for job_id, number, task, *_ in moves.held_by(sql, me)}
    return {token: task for token, task in rows.items() if token not in set(in_hand)}


def return_missing(sql: Sql, tasks: Mapping[moves.Token, str], on_lost: OnLost) -> int:
    """Put back what no thread of its worker runs, charged to nobody. The number put back."""
    returned = 0
    for token, task in sorted(tasks.items()):
        with _alone(sql, token[0]):
            returned += _return(sql, token, NO_THREAD, on_lost(task))
    return returned


def _return_jobs(sql: Sql, dead: Neighbour, on_lost: OnLost) -> int:
    if not sql.run("DELETE FROM tom_nightshift_worker WHERE name = %s", [dead.name]):
        return 0  # another worker is faster
    rows = moves.held_by(sql, dead.name)
    for job_id, number, task, losses, stop_requested in rows:
        again, alone = on_lost(task), len(rows) == 1
        with _alone(sql, job_id):
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
        _lost(sql, token, "the process that ran it was told to end")
    else:
        _uncharged(sql, token)


def _lost(sql: Sql, token: moves.Token, why: str) -> bool:
    moves.record(sql, token, "lost", why)
    words = "interrupted: we do not know whether it finished"
    return moves.finish(sql, token, State.LOST, reason="lost", error=words, result=None)


def _is_to_stop(sql: Sql, token: moves.Token) -> bool:
    return any(asked for asked, _ in moves.stop_news(sql, token))


def _stopped(sql: Sql, token: moves.Token, why: str) -> bool:
    """Somebody did not want its end: that nobody knows it is no matter."""
    moves.record(sql, token, "lost", why)
    return moves.finish(sql, token, State.STOPPED, reason="stopped", error="stopped", result=None)


def _uncharged(sql: Sql, token: moves.Token, error: str = "") -> bool:
    moves.record(sql, token, "returned", error)
    return moves.wait_again(
        sql, token, charge="", reason="handed back", error="", message=None, hold=Hold.NONE, delay=0
    )


def _return(sql: Sql, token: moves.Token, why: str, on_lost: str) -> bool:
    """Put a job back whose end was lost, but not for ever: a row may refuse every end of its task."""
    if _is_to_stop(sql, token):
        return _stopped(sql, token, why)
    if on_lost == "lost":
        return _lost(sql, token, why)
    times = _times_returned(sql, token[0])
    if times < MOST_RETURNS:
        events.job_lost_by_worker(*token, why)
        return _uncharged(sql, token, why)
    events.job_set_aside(token[0], times + 1)
    words = f"set aside: how it ended could not be written, {times + 1} times"
    moves.record(sql, token, State.FAILED, words)
    return moves.finish(sql, token, State.FAILED, reason="engine", error=words, result=None)


def _times_returned(sql: Sql, job_id: int) -> int:
    """Also those whose end came after all, too late: it is noted behind the reason."""
    statement = (
        "SELECT count(*) FROM tom_nightshift_attempt WHERE job_id = %s AND (error LIKE %s OR error LIKE %s)"
    )
    return int(sql.rows(statement, [job_id, f"{NO_THREAD}%", f"{NO_WORKER}%"])[0][0])


@contextlib.contextmanager
def _alone(sql: Sql, job_id: int) -> Iterator[None]:
    """A row that refuses its move keeps no other from being put back."""
    try:
        with sql.savepoint():
            yield
    except UNREACHABLE:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's own matter
        events.return_refused(job_id, error)
