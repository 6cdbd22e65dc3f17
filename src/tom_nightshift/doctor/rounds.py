"""The doctor's rounds: every examination in its turn. One that breaks says so and stops no other.

To add one: a function that gives findings, in the file of its subject, and its place in the list below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tom_nightshift import events
from tom_nightshift.doctor import (
    carrier,
    clocks,
    database,
    jobs,
    limits,
    postgres,
    rows,
    rundir,
    settings,
    sqlite,
    tasks,
    workers,
)
from tom_nightshift.doctor.findings import Finding, Level, fault, warning
from tom_nightshift.ledger.session import OwnConnection

PATIENCE = 2.0
"""Seconds that an examination waits for a lock."""

Examination = Callable[..., Iterable[Finding]]

OF_THE_SITE: dict[str, Examination] = {
    "settings": settings.make_sense_together,
    "checks": settings.pass_the_checks,
    "run directory": rundir.can_be_used,
    "broker": tasks.go_to_our_broker,
    "carrier": carrier.answers,
    "tasks": tasks.can_be_loaded,
    "options": tasks.have_options_that_agree,
}
"""By what each line begins with. These ask no database."""

OF_THE_DATABASE: dict[str, Examination] = {
    "rights": database.rows_can_be_written,
    "tables": database.tables_are_migrated,
    "write-ahead log": sqlite.is_in_wal,
    "file system": sqlite.is_on_a_local_disk,
    "disk": sqlite.has_room,
    "lock": sqlite.can_be_written,
    "pooling": postgres.pooling_fits,
    "clock": clocks.agree,
}
"""These are given statements on a connection (``ledger.session.Sql``)."""

OF_THE_ROWS: dict[str, Examination] = {
    "connections": postgres.connections_suffice,
    "workers": workers.are_alive,
    "heartbeats": workers.beat,
    "doorbells": workers.hear_this_host,
    "carrying": carrier.carries,
    "mode": workers.are_wanted,
    "queues": workers.listen_to_every_queue,
    "paused queues": rows.are_not_paused,
    "limits": limits.hold_as_declared,
    "parked jobs": rows.have_a_known_task,
    "running jobs": rows.have_a_worker,
    "waiting jobs": rows.do_not_wait_long,
    "failures": jobs.failed_lately,
    "poison": jobs.were_set_aside,
}
"""These need our tables too."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A finding and the examination that it comes from."""

    subject: str
    finding: Finding


def examine() -> Iterator[Examined]:
    """Examine everything, in the order in which one thing rests on another."""
    yield from _each(OF_THE_SITE)
    answer = list(_one("database", database.answers))
    yield from answer
    if _is_at_fault(answer):
        yield from _left_out("the database does not answer", {**OF_THE_DATABASE, **OF_THE_ROWS})
        return
    connection = OwnConnection(patience=PATIENCE)
    try:
        yield from _with_rows(connection)
    finally:
        connection.close()


def _with_rows(connection: OwnConnection) -> Iterator[Examined]:
    of_the_database = list(_each(OF_THE_DATABASE, connection))
    yield from of_the_database
    if _is_at_fault(one for one in of_the_database if one.subject in ("tables", "rights")):
        yield from _left_out("our tables are not there, or may not be read", OF_THE_ROWS)
    else:
        yield from _each(OF_THE_ROWS, connection)


def _each(examinations: dict[str, Examination], *given: Any) -> Iterator[Examined]:
    for subject, examination in examinations.items():
        yield from _one(subject, examination, *given)


def _one(subject: str, examination: Examination, *given: Any) -> Iterator[Examined]:
    try:
        found = list(_look(examination, *given))
    except Exception as error:  # noqa: BLE001 - one that breaks must not keep the others from looking
        found = [
            fault(
                "examination-broken",
                f"this could not be examined: {events.first_line(error)}.",
                "Mend what the other lines say first; if it stays, report it as an error of Nightshift.",
            )
        ]
    yield from (Examined(subject, finding) for finding in found)


def _look(examination: Examination, *given: Any) -> Iterable[Finding]:
    if not given:
        return list(examination())
    (connection,) = given
    with connection.reading() as sql:
        return list(examination(sql))


def _left_out(why: str, examinations: dict[str, Examination]) -> Iterator[Examined]:
    names = ", ".join(examinations)
    yield Examined(
        "the rest", warning("not-examined", f"not examined, as {why}: {names}.", "Mend that first.")
    )


def _is_at_fault(found: Iterable[Examined]) -> bool:
    return any(one.finding.level == Level.FAULT for one in found)
