"""The database that holds the jobs: it answers, has our tables, and lets us write to them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from tom_nightshift import events
from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.ledger.session import AWAY, OwnConnection, Sql, jobs_alias

APP = "tom_nightshift"
MIGRATE = "Run ./manage.py migrate."


def answers() -> Iterator[Finding]:
    """It can be reached, and takes us for somebody."""
    missing = _missing_file()
    if missing:
        yield fault("database-missing", f"the SQLite file {missing} is not there.", MIGRATE)
        return
    connection = OwnConnection()
    try:
        with connection.reading() as sql:
            yield fine(f"{_described(sql)} answers.")
    except AWAY as error:
        yield _unreachable(error)
    finally:
        connection.close()


def tables_are_migrated(sql: Sql) -> Iterator[Finding]:
    """All migrations are applied, and every column is there."""
    executor = MigrationExecutor(sql.connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(APP))
    unapplied = [migration.name for migration, _ in plan if migration.app_label == APP]
    newer = [
        name
        for app, name in executor.loader.applied_migrations
        if app == APP and (app, name) not in executor.loader.disk_migrations
    ]
    missing = [] if unapplied else list(_missing_columns(sql))
    if unapplied:
        yield fault("not-migrated", f"migrations are not applied: {', '.join(unapplied)}.", MIGRATE)
    if missing:
        yield fault(
            "columns-missing",
            f"these are missing, though the migrations are applied: {', '.join(missing)}.",
            "Restore them from a backup, or run ./manage.py migrate tom_nightshift zero, which drops all "
            "jobs, and ./manage.py migrate.",
        )
    if newer:
        yield warning(
            "migrated-by-newer",
            f"the tables were made by another version of Nightshift: {', '.join(sorted(newer))}.",
            "Install that version here too: web server and workers must be of one version.",
        )
    if not (unapplied or missing or newer):
        yield fine("all are there.")


def rows_can_be_written(sql: Sql) -> Iterator[Finding]:
    """We may read and write our tables (PostgreSQL; of SQLite's file the lock says it)."""
    if sql.vendor != "postgresql":
        return
    if sql.rows("SELECT current_setting('transaction_read_only')") == [("on",)]:
        yield fault(
            "read-only",
            "the database takes no writes (a standby, or default_transaction_read_only).",
            "Point DATABASES at the primary server.",
        )
        return
    denied = sql.rows(
        "SELECT format('%%s on %%s', kind, name) FROM unnest(%s::text[]) name, "
        "unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) kind "
        "WHERE to_regclass(quote_ident(name)) IS NOT NULL "
        "AND NOT has_table_privilege(to_regclass(quote_ident(name)), kind) ORDER BY 1",
        [_tables()],
    )
    if denied:
        words = ", ".join(what for (what,) in denied)
        yield fault(
            "permission-denied",
            f"the database answers, but {_user(sql)} may not {words}.",
            f"As the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public "
            f'TO "{_user(sql)}".',
        )
    else:
        yield fine(f"{_user(sql)} may read and write our tables.")


def _missing_file() -> str:
    """The path of an SQLite file that is not there: to connect would make it."""
    connection: Any = connections[jobs_alias()]
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return ""
    name = str(connection.settings_dict["NAME"])
    return "" if name.startswith("file:") or os.path.exists(name) else name


def _unreachable(error: BaseException) -> Finding:
    said = events.first_line(error)
    where = connections[jobs_alias()].settings_dict
    user = where.get("USER") or getpass.getuser()
    if events.is_refused(error):
        return fault(
            "database-refuses",
            f"the database {where['NAME']} answers, but refuses {user}: {said}.",
            "See USER, PASSWORD and NAME in DATABASES, and the rights of that user.",
        )
    return fault(
        "database-away",
        f"the database {where['NAME']} at {where.get('HOST') or 'this machine'} does not answer: {said}.",
        "See HOST and PORT in DATABASES, and whether the server runs. Workers wait for it and lose nothing.",
    )


def _described(sql: Sql) -> str:
    wanted = sql.connection.settings_dict
    if sql.vendor == "sqlite":
        version = sql.rows("SELECT sqlite_version()")[0][0]
        return f"SQLite {version}, {wanted['NAME']}, as {getpass.getuser()},"
    version = sql.rows("SELECT split_part(current_setting('server_version'), ' ', 1)")[0][0]
    where = wanted.get("HOST") or "this machine"
    return f"PostgreSQL {version}, {wanted['NAME']} at {where}, as {_user(sql)},"


def _user(sql: Sql) -> str:
    return str(sql.rows("SELECT current_user")[0][0])


def _tables() -> list[str]:
    return [model._meta.db_table for model in apps.get_app_config(APP).get_models()]


def _missing_columns(sql: Sql) -> Iterator[str]:
    introspection = sql.connection.introspection
    with sql.connection.cursor() as cursor:
        tables = set(introspection.table_names(cursor))
        for model in apps.get_app_config(APP).get_models():
            table = model._meta.db_table
            if table not in tables:
                yield table
                continue
            there = {column.name for column in introspection.get_table_description(cursor, table)}
            wanted = [field.column for field in model._meta.concrete_fields]
            yield from (f"{table}.{column}" for column in wanted if column not in there)
