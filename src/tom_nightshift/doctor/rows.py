"""Rows of open jobs: none is stuck where nobody takes it out."""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq

from tom_nightshift.conf import get_settings
from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.doctor.workers import alive
from tom_nightshift.ledger.rescue import IN_THE_REQUEST
from tom_nightshift.ledger.session import Sql, marks

LONG = 300.0
"""Seconds that a ready job may wait before that is said."""

PAUSES = "tom_nightshift_queue"
"""The table of queues that were paused."""


def are_not_paused(sql: Sql) -> Iterator[Finding]:
    """No queue is paused and forgotten."""
    held = dict(
        sql.rows(
            "SELECT queue, count(*) FROM tom_nightshift_job WHERE state = 'waiting' AND hold = 'paused' "
            "GROUP BY queue"
        )
    )
    paused = _paused(sql)
    for queue in sorted(held.keys() | paused.keys()):
        by = f" by {paused[queue]}" if paused.get(queue) else ""
        yield warning(
            "queue-paused",
            f"the queue {queue!r} was paused{by}, and {held.get(queue, 0)} jobs wait in it.",
            f"To go on: ./manage.py nightshift resume {queue}.",
        )
    if not held and not paused:
        yield fine("none is paused.")


def have_a_known_task(sql: Sql) -> Iterator[Finding]:
    """No job waits for a worker that knows its task."""
    parked = sql.rows(
        "SELECT task, count(*) FROM tom_nightshift_job WHERE state = 'waiting' AND hold = 'parked' "
        "GROUP BY task ORDER BY task"
    )
    for task, jobs in parked:
        known = task in dramatiq.get_broker().actors
        yield fault(
            "task-unknown",
            f"{jobs} jobs wait for the task {task!r}, which no worker that is alive knows.",
            "This site knows it: restart the workers."
            if known
            else "Install the app that has it and restart the workers, or stop these jobs on their pages.",
        )
    if not parked:
        yield fine("none waits for an unknown task.")


def have_a_worker(sql: Sql) -> Iterator[Finding]:
    """Every running job has a worker that has a row; none runs in a request for ever."""
    orphans = sql.rows(
        "SELECT count(*), min(id) FROM tom_nightshift_job WHERE state = 'running' AND worker <> %s "
        "AND worker NOT IN (SELECT name FROM tom_nightshift_worker)",
        [IN_THE_REQUEST],
    )[0]
    in_requests = sql.rows(
        "SELECT count(*), min(id) FROM tom_nightshift_job WHERE state = 'running' AND worker = %s "
        f"AND {sql.age('claimed_at')} > %s",
        [IN_THE_REQUEST, get_settings().timeout],
    )[0]
    if orphans[0]:
        yield _orphans(sql, *orphans)
    if in_requests[0]:
        yield warning(
            "running-in-dead-request",
            f"{in_requests[0]} jobs (the first is {in_requests[1]}) have been running in a request for "
            "longer than TIMEOUT: its web process has died.",
            "A living worker ends them as interrupted.",
        )
    if not orphans[0] and not in_requests[0]:
        yield fine("every one has a worker.")


def do_not_wait_long(sql: Sql) -> Iterator[Finding]:
    """Nothing that a living worker could take has been waiting for minutes."""
    living = alive(sql)
    heard = sorted(frozenset[str]().union(*(worker.queues for worker in living)))
    if not heard:
        return
    oldest = sql.rows(
        f"SELECT id, {sql.age('coalesce(run_at, created_at)')} FROM tom_nightshift_job "
        f"WHERE state = 'waiting' AND (hold = '' OR (hold = 'until' AND run_at < {sql.now})) "
        f"AND queue IN ({marks(heard)}) ORDER BY coalesce(run_at, created_at) LIMIT 1",
        heard,
    )
    if not oldest or float(oldest[0][1]) < LONG:
        yield fine("none has been ready for long.")
        return
    names = [worker.presence.name for worker in living]
    running = sql.rows(
        f"SELECT count(*) FROM tom_nightshift_job WHERE state = 'running' AND worker IN ({marks(names)})",
        names,
    )[0][0]
    job, seconds = oldest[0]
    yield _waiting_long(job, float(seconds), running, sum(worker.threads for worker in living))


def _paused(sql: Sql) -> dict[str, str]:
    with sql.connection.cursor() as cursor:
        there = PAUSES in sql.connection.introspection.table_names(cursor)
    return dict(sql.rows(f"SELECT name, paused_by FROM {PAUSES} WHERE paused")) if there else {}


def _orphans(sql: Sql, jobs: int, first: int) -> Finding:
    words = f"{jobs} jobs (the first is {first}) are marked as running by workers that are no more"
    if alive(sql):
        lease = get_settings().lease
        return warning("running-without-worker", f"{words}.", f"A living worker returns them in {lease:g} s.")
    return fault("running-without-worker", f"{words}.", "Run ./manage.py nightshift: it returns them.")


def _waiting_long(job: int, seconds: float, running: int, threads: int) -> Finding:
    words = f"job {job} has been ready for {seconds / 60:,.0f} minutes"
    if running >= threads:
        return warning(
            "workers-busy", f"{words}, and all {threads} threads are busy.", "Raise THREADS or PROCESSES."
        )
    return fault(
        "ready-but-not-taken",
        f"{words}, and only {running} of {threads} threads are busy.",
        "Read the workers' log; restart them. If it stays, report it as an error of Nightshift.",
    )
