"""PostgreSQL: its connections are counted, and what stands between us and it fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections

from tom_nightshift.conf import get_settings
from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.doctor.workers import alive
from tom_nightshift.ledger.session import Sql

OF_OUR_OWN = 3
"""Connections of a worker process on top of one for each thread: dispatcher, reporter, housekeeping."""

PGBOUNCER_PORT = "6432"

FEWER = "Lower THREADS or PROCESSES, or raise max_connections"


@dataclass(frozen=True, slots=True)
class Count:
    """Connections of a server."""

    most: int
    """That the server, this database and this user may have, whichever is least."""

    others: int
    ours: int
    """Of this user on this database: workers, web server, this command."""


def connections_suffice(sql: Sql) -> Iterator[Finding]:
    """What the workers may take at most is there."""
    if sql.vendor != "postgresql":
        return
    count = _counted(sql)
    by_settings = get_settings().processes * (get_settings().threads + OF_OUR_OWN)
    by_workers = sum(worker.threads + OF_OUR_OWN for worker in alive(sql))
    needed = max(by_settings, by_workers)
    words = (
        f"workers take at most {by_settings} by the settings ({get_settings().processes} × "
        f"({get_settings().threads} + {OF_OUR_OWN})) and {by_workers} as they are alive; of {count.most}, "
        f"{count.ours} are ours now and {count.others} of others"
    )
    if needed > count.most:
        yield fault("connections-too-few", f"{words}.", f"{FEWER}.")
    elif count.others + max(needed, count.ours) > count.most:
        yield warning(
            "connections-short", f"{words}: when all are busy, there are not enough.",
            f"{FEWER}, or let the others use a pool.",
        )  # fmt: skip
    else:
        yield fine(f"{words}.")


def pooling_fits(sql: Sql) -> Iterator[Finding]:
    """A pool, ours or in between, has what it needs."""
    if sql.vendor != "postgresql":
        return
    found = [*_pgbouncer(sql), *_pool(sql)]
    yield from found or [fine("no pool stands between us and the server.")]


def _counted(sql: Sql) -> Count:
    ((most, role, database, everybody, ours),) = sql.rows(
        "SELECT current_setting('max_connections')::int "
        "- current_setting('superuser_reserved_connections')::int "
        "- coalesce(current_setting('reserved_connections', true), '0')::int, "
        "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), "
        "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()), "
        "(SELECT sum(numbackends)::int FROM pg_stat_database), "
        "(SELECT count(*) FROM pg_stat_activity "
        "WHERE usename = current_user AND datname = current_database())"
    )
    limits = [limit for limit in (role, database) if limit is not None and limit >= 0]
    return Count(min([most, *limits]), max(0, everybody - ours), ours)


def _pgbouncer(sql: Sql) -> Iterator[Finding]:
    wanted = sql.connection.settings_dict
    if str(wanted.get("PORT")) != PGBOUNCER_PORT and not wanted.get("DISABLE_SERVER_SIDE_CURSORS"):
        return
    yield warning(
        "pgbouncer",
        "this looks like pgbouncer (port 6432, or DISABLE_SERVER_SIDE_CURSORS): in transaction mode, what a "
        "worker sets for its connection reaches others.",
        "Give Nightshift's user pool_mode = session, or the workers the server's own address.",
    )
    if wanted.get("CONN_MAX_AGE") != 0:
        yield warning(
            "pgbouncer-conn-max-age",
            f"CONN_MAX_AGE is {wanted.get('CONN_MAX_AGE')!r} before pgbouncer: each thread keeps one of its "
            "connections.",
            "Set CONN_MAX_AGE to 0.",
        )


def _pool(sql: Sql) -> Iterator[Finding]:
    # As written in the settings: our own connection has left it out.
    pool = connections[sql.connection.alias].settings_dict["OPTIONS"].get("pool")
    if not pool:
        return
    sizes = pool if isinstance(pool, dict) else {}
    most = sizes.get("max_size") or sizes.get("min_size", 4)
    if most < get_settings().threads:
        yield warning(
            "pool-too-small",
            f"OPTIONS['pool'] has {most} connections, and a worker {get_settings().threads} threads: tasks "
            "wait for one another.",
            f"Set max_size to at least {get_settings().threads}, or take 'pool' out.",
        )
    else:
        yield fine(f"Django's pool gives {most} connections to {get_settings().threads} threads.")
