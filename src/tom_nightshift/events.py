"""Everything Nightshift says: one function an event, the only place that writes to the log.

Each writes one line to the logger ``nightshift``. The list of functions is the list of events.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

logger = logging.getLogger("nightshift")


def worker_started(name: str, threads: int, queues: str) -> None:
    """A worker process is ready for jobs."""
    logger.info("worker %s is ready: %d threads, %s", name, threads, queues)


def worker_stopped(name: str) -> None:
    """A worker process has ended in good order."""
    logger.info("worker %s has stopped", name)


def worker_declared_dead(name: str) -> None:
    """This worker found that others took it for dead: its jobs have been given to others."""
    logger.warning("worker %s was taken for dead by another worker; it registers anew", name)


def worker_found_dead(name: str, jobs: int) -> None:
    """Another worker died; its jobs were returned."""
    logger.warning("worker %s is dead; %d of its jobs returned", name, jobs)


def job_lost_by_worker(job_id: int, number: int, why: str) -> None:
    """An engine fault: a row said that a worker runs it, and no thread of that worker does."""
    logger.error("engine fault: job %d (attempt %d) is put back: %s", job_id, number, why)


def job_started(job_id: int, task: str, number: int) -> None:
    """A thread begins an attempt of a job."""
    logger.debug("job %d: %s, attempt %d begins", job_id, task, number)


def jobs_moved(job_ids: Sequence[int], task: str, state: str, words: str) -> None:
    """An attempt of a job, or of several of one task at the same moment, has ended and its row says how."""
    jobs = "job" if len(job_ids) == 1 else "jobs"
    named = ", ".join(map(str, job_ids))
    logger.info("%s %s: %s %s%s", jobs, named, task, state, f": {words}" if words else "")


def late_outcome(job_id: int, number: int, words: str) -> None:
    """An attempt ended after its job had been given to another."""
    logger.warning(
        "job %d: attempt %d came too late (%s); another attempt has the job", job_id, number, words
    )


def database_away(error: BaseException, seconds: float) -> None:
    """The database did not answer, or refused; the worker waits and tries again."""
    said = first_line(error)
    why = _other_tables(error) or (
        f"the database answers, but refuses ({said}): run ./manage.py nightshift doctor"
        if is_refused(error)
        else f"the database does not answer ({said})"
    )
    logger.warning("%s; trying again in %.0f s", why, seconds)


def carrier_away(name: str, error: BaseException, seconds: float) -> None:
    """What carries the jobs did not answer, or refused; they wait, and the worker tries again."""
    logger.warning("%s cannot be reached (%s): jobs wait; trying again in %.0f s", name, error, seconds)


def carrier_back(name: str) -> None:
    """What carries the jobs answers again."""
    logger.info("%s answers again", name)


def doorbells_lost(name: str, jobs: int) -> None:
    """What carries the jobs has lost the news of some; it is sent again."""
    logger.warning("%s has lost the news of %d jobs; it is sent again", name, jobs)


def foreign_message(message_id: str, task: str, error: BaseException) -> None:
    """A message that Nightshift did not send could not be made a job."""
    logger.error("message %s of %s is set aside: %s", message_id, task, first_line(error))


def database_back() -> None:
    """The database answers again."""
    logger.info("the database answers again")


def outcome_refused(job_id: int, error: BaseException) -> None:
    """An engine fault: the database refused how an attempt ended; only the bare outcome is written."""
    why = _other_tables(error) or first_line(error)
    logger.error("engine fault: how job %d ended was refused: %s", job_id, why, exc_info=error)


def outcome_given_up(job_id: int, error: BaseException) -> None:
    """An engine fault: not even the bare outcome could be written; this worker's next comparison puts the job
    back.
    """
    logger.error("engine fault: how job %d ended could not be written at all: %s", job_id, first_line(error))


def outcome_undecided(job_id: int, error: BaseException) -> None:
    """An engine fault: what became of an attempt could not be worked out; its job fails."""
    logger.error(
        "engine fault: the end of job %d could not be read: %s", job_id, first_line(error), exc_info=error
    )


def attempt_stuck(job_id: int, task: str) -> None:
    """An attempt does not end in spite of everything: this process takes no more jobs, and will be killed."""
    logger.error(
        "job %d: %s does not end, not even when interrupted; its process takes no more jobs and is killed "
        "when its others have ended (a task with isolation='process' is killed at once)",
        job_id,
        task,
    )


def worker_retires(why: str) -> None:
    """A worker process takes no more jobs and gives way to another."""
    logger.info("this worker process takes no more jobs, and another takes its place: %s", why)


def return_refused(job_id: int, error: BaseException) -> None:
    """An engine fault: a row refused to be put back; the others were, and this one is tried again."""
    logger.error("engine fault: job %d could not be put back: %s", job_id, first_line(error), exc_info=error)


def job_set_aside(job_id: int, times: int) -> None:
    """An engine fault: a job was put back several times because its end could not be written; it is set
    aside.
    """
    logger.error("engine fault: the end of job %d was lost %d times; it is set aside", job_id, times)


def queue_paused(queue: str, by: str, jobs: int) -> None:
    """Somebody paused a queue; its jobs wait."""
    logger.info("queue %s was paused%s; %d of its jobs wait", queue, f" by {by}" if by else "", jobs)


def queue_resumed(queue: str, jobs: int) -> None:
    """Somebody resumed a queue."""
    logger.info("queue %s was resumed; %d jobs may begin", queue, jobs)


def holds_put_right(jobs: int) -> None:
    """Jobs were held for nothing, or ready though their queue is paused; the sweep put them right."""
    logger.info("%d jobs were put right: held for nothing, or ready though their queue is paused", jobs)


def jobs_expired(jobs: int) -> None:
    """Jobs waited until they were too old to be of use."""
    logger.info("%d jobs were too old before their turn came", jobs)


def backoff_failed(task: str, error: BaseException) -> None:
    """The function that a task has for ``backoff`` failed; the job waits by Dramatiq's own rule."""
    logger.error("%s: its backoff function failed: %s", task, first_line(error), exc_info=error)


def hook_failed(hook: str, middleware: object, error: BaseException) -> None:
    """A middleware failed; the job goes on all the same."""
    logger.error("%s failed in %s: %s", type(middleware).__name__, hook, first_line(error), exc_info=error)


def thread_replaced(count: int) -> None:
    """Threads of this worker had died; others took their place."""
    logger.error("%d threads of this worker had died; as many were started", count)


def process_failed(error: BaseException) -> None:
    """A worker process could not run."""
    logger.critical("a worker process failed: %s", first_line(error), exc_info=error)


def loop_failed(name: str, error: BaseException) -> None:
    """A background loop met an error; it goes on."""
    logger.error("%s: %s", name, first_line(error), exc_info=error)


def broken_message(job_id: int, error: BaseException) -> None:
    """A row's message could not be read."""
    logger.error("job %d: its message cannot be read: %s", job_id, first_line(error))


def transaction_left_open(task: str) -> None:
    """A task returned inside a transaction of its own making; what it wrote there was rolled back."""
    logger.warning("task %s left a database transaction open; it was rolled back", task)


def process_started(pid: int, number: int, count: int) -> None:
    """The supervisor forked a worker process."""
    logger.info("process %d started (%d of %d)", pid, number, count)


def process_ended(pid: int, how: str, seconds: float) -> None:
    """A worker process ended on its own; another takes its place."""
    logger.warning("process %d %s; starting another in %.1f s", pid, how, seconds)


def process_silent(pid: int, seconds: float) -> None:
    """A worker process showed no sign of life; the supervisor kills it."""
    logger.error(
        "process %d has shown no sign of life for %.0f s: it is killed, its jobs run again", pid, seconds
    )


def reloading() -> None:
    """The supervisor starts anew with the code as it is now."""
    logger.info("SIGHUP: starting anew with the code as it is now; running jobs finish with the old")


def reload_refused(problem: str) -> None:
    """The code as it is now does not load; the supervisor goes on with what it has."""
    logger.error("SIGHUP: the new code does not load (%s): going on with the old", problem)


def supervisor_ends(signal_name: str) -> None:
    """The supervisor was told to end."""
    logger.info("%s: letting running jobs finish", signal_name)


def sqlite_not_in_wal(words: str) -> None:
    """The SQLite file could not be switched to its write-ahead log now; it is tried again."""
    logger.debug("SQLite stays in rollback mode for now: %s", words)


def registration_refused(words: str) -> None:
    """The TOM refused a part of Nightshift at start-up; the TOM works on without it."""
    logger.warning("%s", words)


def upload_in_request(name: str) -> None:
    """An upload was read in the request because no worker is alive."""
    logger.warning("no worker is alive: %s was read in the request", name)


def first_line(error: BaseException) -> str:
    """An error in one line: its class and the first line of its message."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - an error whose own __str__ fails still has a name
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def is_refused(error: BaseException) -> bool:
    """Whether the database answered, and refused: the user, the password, the name, a right, one connection
    more, or, of an SQLite file, to open or to write it.
    """
    code = getattr(error.__cause__, "sqlstate", None) or ""
    said = str(error)
    if code == INSUFFICIENT_PRIVILEGE or code[:2] in REFUSALS:
        return True
    if "FATAL:" in said:  # while connecting there is no code
        return code[:2] != "57" and not any(words in said for words in COMES_AND_GOES)
    return any(words in said for words in ("unable to open", "readonly database"))


INSUFFICIENT_PRIVILEGE = "42501"

REFUSALS = ("28", "3D", "53")
"""Classes of PostgreSQL's codes: authorization, no such database, too few resources."""

COMES_AND_GOES = ("the database system is", "terminating connection", "not currently accepting connections")
"""As a server says that starts, recovers or ends, or whose database was closed for a while."""


def _other_tables(error: BaseException) -> str:
    """If the tables are not those of this version, so, and what to do; else nothing.

    PostgreSQL says it in the server's language, so by its code: no such table, no such column, a column not
    filled in.
    """
    said, code = str(error), getattr(error.__cause__, "sqlstate", None)
    if code in ("42P01", "42703") or any(
        words in said for words in ("no such table", "no such column", "has no column named")
    ):
        is_so, to_do = "not there, or not as this version needs them", "run ./manage.py migrate"
    elif code == "23502" or "NOT NULL constraint failed" in said:
        is_so, to_do = "newer than this version", "restart the worker with the version that made them"
    else:
        return ""
    return f"Nightshift's tables are {is_so} ({first_line(error)}): {to_do}"


class _KeptResults(logging.Filter):
    """Drops two warnings of Dramatiq's: that a return value was discarded, as the row keeps it; and that a
    message was skipped whose job was put back.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if "was skipped" in str(record.msg) and isinstance(record.args, tuple):
            return not any(_is_put_back(value) for value in record.args)
        return "returned a value that is not None" not in str(record.msg)


def _is_put_back(message: object) -> bool:
    attempt = getattr(message, "attempt", None)
    return getattr(attempt, "put_back", None) is not None


def results_are_kept() -> None:
    """From now on Dramatiq does not warn that return values are discarded."""
    logging.getLogger("dramatiq.worker.WorkerThread").addFilter(_KEPT_RESULTS)


_KEPT_RESULTS = _KeptResults()
