"""The workers: alive, beating, within hearing, wanted, and listening to every queue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import dramatiq

from tom_nightshift.conf import get_settings
from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.ledger import rundir
from tom_nightshift.ledger.presence import Neighbour, is_dead, neighbours, this_host
from tom_nightshift.ledger.session import Sql

START = "Run ./manage.py nightshift."


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker, as its row and its lock file describe it."""

    presence: Neighbour
    pid: int
    threads: int
    queues: frozenset[str]
    dead: bool


def seen(sql: Sql) -> list[Seen]:
    """All workers that have a row."""
    rows = sql.rows("SELECT name, pid, threads, queues FROM tom_nightshift_worker")
    details = {name: (pid, threads, frozenset(queues.split())) for name, pid, threads, queues in rows}
    return [
        Seen(one, *details[one.name], dead=is_dead(one, sql.vendor))
        for one in neighbours(sql, but="")
        if one.name in details
    ]


def alive(sql: Sql) -> list[Seen]:
    """Those that are not dead."""
    return [worker for worker in seen(sql) if not worker.dead]


def are_alive(sql: Sql) -> Iterator[Finding]:
    """At least one is alive, and none is dead and forgotten."""
    everybody = seen(sql)
    living = [worker for worker in everybody if not worker.dead]
    yield from (_dead(sql, worker) for worker in everybody if worker.dead)
    yield from _on_several_machines(sql, living)
    if living:
        threads = sum(worker.threads for worker in living)
        names = ", ".join(worker.presence.name for worker in living)
        yield fine(f"{len(living)} alive, for {threads} jobs at a time: {names}.")
    elif get_settings().mode == "worker":
        waiting = sql.rows("SELECT count(*) FROM tom_nightshift_job WHERE state = 'waiting'")[0][0]
        yield fault("no-worker", f"no worker is alive, and {waiting} jobs wait.", START)
    else:
        yield fine(f"none is alive, and with MODE {get_settings().mode!r} none is needed.")


def beat(sql: Sql) -> Iterator[Finding]:
    """Each that is alive says so in time."""
    late = [worker for worker in alive(sql) if worker.presence.silent > 3 * get_settings().heartbeat]
    for worker in late:
        say = fault if worker.presence.silent > get_settings().lease else warning
        yield say(
            "worker-silent",
            f"worker {worker.presence.name} has said nothing for {worker.presence.silent:,.0f} s, and its "
            "process is there: it hangs, was stopped, or the database is locked.",
            f"See process {worker.pid} on {worker.presence.host}; kill -9 returns its jobs to the others.",
        )
    if not late:
        yield fine("none is late.")


def hear_this_host(sql: Sql) -> Iterator[Finding]:
    """Workers of this host have their locks and doorbells where this process looks for them."""
    here = [worker for worker in alive(sql) if worker.presence.host == this_host()]
    found = [finding for worker in here for finding in _out_of_hearing(worker)]
    yield from found
    if here and not found:
        yield fine("workers of this host hear at once when a job is asked for.")


def are_wanted(sql: Sql) -> Iterator[Finding]:
    """There are workers only where jobs wait for them."""
    mode, living = get_settings().mode, alive(sql)
    if living and mode != "worker":
        yield warning(
            "workers-unwanted",
            f"MODE is {mode!r}: jobs run in the request, and {len(living)} workers wait for nothing.",
            "Take MODE out of NIGHTSHIFT, or end the workers.",
        )
    else:
        yield fine(f"jobs run where MODE {mode!r} says.")


def listen_to_every_queue(sql: Sql) -> Iterator[Finding]:
    """No queue is without a listener."""
    living = alive(sql)
    if not living:
        return
    heard = frozenset[str]().union(*(worker.queues for worker in living))
    waiting = dict(
        sql.rows(
            "SELECT queue, count(*) FROM tom_nightshift_job WHERE state = 'waiting' AND hold <> 'parked' "
            "GROUP BY queue"
        )
    )
    unheard = sorted((waiting.keys() | set(dramatiq.get_broker().queues)) - heard)
    for queue in unheard:
        say, jobs = (fault, waiting[queue]) if queue in waiting else (warning, 0)
        yield say(
            "queue-unheard",
            f"{jobs} jobs wait in the queue {queue!r}, and no worker listens to it.",
            "Start a worker with --queues that names it, or without --queues; restart those that are older "
            "than its task.",
        )
    if not unheard:
        yield fine(f"every one has a listener: {', '.join(sorted(heard))}.")


def _dead(sql: Sql, worker: Seen) -> Finding:
    statement = "SELECT count(*) FROM tom_nightshift_job WHERE state = 'running' AND worker = %s"
    jobs = sql.rows(statement, [worker.presence.name])[0][0]
    return warning(
        "worker-dead",
        f"worker {worker.presence.name} is dead, and {jobs} jobs are still marked as its own.",
        f"A living worker returns them within seconds. If there is none: {START[0].lower()}{START[1:]}",
    )


def _on_several_machines(sql: Sql, living: list[Seen]) -> Iterator[Finding]:
    hosts = sorted({worker.presence.host for worker in living})
    if sql.vendor == "sqlite" and hosts and hosts != [this_host()]:
        yield fault(
            "sqlite-several-machines",
            f"the database is SQLite, and workers run on {', '.join(hosts)}, seen from {this_host()}.",
            "Several machines need PostgreSQL. Containers that share one disk: give them one hostname.",
        )


def _out_of_hearing(worker: Seen) -> Iterator[Finding]:
    name = worker.presence.name
    if not worker.presence.lock_device:
        yield warning(
            "worker-without-lock",
            f"worker {name} could make no lock file: its death is noticed after {get_settings().lease:g} s.",
            "See the line on the run directory, as the worker's user, and restart the worker.",
        )
        return
    theirs, ours = os.path.dirname(worker.presence.lock_path), str(rundir.folder())
    if os.path.realpath(theirs) != os.path.realpath(ours):
        yield warning(
            "worker-elsewhere",
            f"worker {name} has its doorbell in {theirs}, and this process rings in {ours}: jobs begin up to "
            "a second late.",
            "Run both as one user with one TMPDIR, or name one folder in NIGHTSHIFT['RUN_DIR'].",
        )
