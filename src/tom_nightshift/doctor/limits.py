"""Limits and rates: what the tasks of this site declare is what holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import dramatiq

from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.ledger.limits import Declared, declared
from tom_nightshift.ledger.session import Sql
from tom_nightshift.states import Hold


def hold_as_declared(sql: Sql) -> Iterator[Finding]:
    """Each lets somebody in, is declared by a task, and has the number that is declared."""
    site, waiting = _of_this_site(), _waiting(sql)
    rows = sql.rows("SELECT kind, key, template, number, period FROM tom_nightshift_limit ORDER BY kind, key")
    found = [*_contradictions(site)]
    for kind, key, template, number, period in rows:
        here, jobs = site.get((kind, template), set()), waiting.get((kind, key), 0)
        found += _of_row(here, kind, key, number, period, jobs)
    yield from found or [fine(f"{len(rows)} are known, and hold as they are declared.")]


def _waiting(sql: Sql) -> dict[tuple[str, str], int]:
    """(kind, key) → how many wait for it."""
    return {
        (kind, key): jobs
        for kind in (Hold.LIMIT, Hold.RATE)
        for key, jobs in sql.rows(
            f"SELECT {kind}_key, count(*) FROM tom_nightshift_job "
            f"WHERE state = 'waiting' AND hold = '{kind}' GROUP BY {kind}_key"
        )
    }


def _of_row(
    here: set[Declared], kind: str, key: str, number: int, period: float, jobs: int
) -> Iterator[Finding]:
    if number < 1:
        yield fault(
            "limit-closed",
            f"the {kind} {key!r} is {number}: none of the {jobs} jobs that wait for it will ever begin.",
            "Restart the workers: they bring the number that is declared.",
        )
    elif not here and jobs:
        yield warning(
            "limit-undeclared",
            f"{jobs} jobs wait for the {kind} {key!r}, which no task declares any more: it stays "
            f"at {number}.",
            "Nothing, if that is meant: they begin one after another. Else stop them on their pages.",
        )
    elif len(here) == 1 and (number, period) != (said := next(iter(here))).numbers:
        yield warning(
            "limit-outdated",
            f"the {kind} {key!r} is {number}, and this site's tasks declare {said.number}"
            f"{f' in {said.period:g} s' if said.period else ''}.",
            "Restart the workers: the newest brings the number.",
        )


def _contradictions(site: dict[tuple[str, str], set[Declared]]) -> Iterator[Finding]:
    for (kind, template), all_said in sorted(site.items()):
        if len(all_said) > 1:
            numbers = ", ".join(str(said.number) for said in sorted(all_said, key=lambda one: one.pace))
            yield warning(
                "limits-contradict",
                f"tasks declare different numbers for the {kind} {template!r}: {numbers}. The lowest holds.",
                "Declare the same number wherever it is named.",
            )


def _of_this_site() -> dict[tuple[str, str], set[Declared]]:
    found: dict[tuple[str, str], set[Declared]] = defaultdict(set)
    for actor in dramatiq.get_broker().actors.values():
        for one in declared(actor):
            found[one.kind, one.template].add(one)
    return found
