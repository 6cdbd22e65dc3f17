"""What carries the jobs to the workers, where that is not the database."""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq

from tom_nightshift.broker.carried import Carried
from tom_nightshift.broker.carrier import Away
from tom_nightshift.doctor.findings import Finding, fault, fine
from tom_nightshift.ledger import carrying
from tom_nightshift.ledger.session import Sql
from tom_nightshift.modes import runs_here


def answers() -> Iterator[Finding]:
    """It answers this process, with the address that the settings have."""
    broker = dramatiq.get_broker()
    if not isinstance(broker, Carried):
        yield fine("the database carries the jobs.")
        return
    name = broker.carrier.name
    try:
        broker.carrier.epoch()
    except Away as error:
        yield fault(
            "carrier-away",
            f"{name} cannot be reached from here ({error}): jobs wait in the database.",
            "See NIGHTSHIFT['BROKER'] or NIGHTSHIFT_BROKER, and whether it runs.",
        )
    else:
        yield fine(f"{name} answers.")


def carries(sql: Sql) -> Iterator[Finding]:
    """Jobs that may begin are on their way to a worker."""
    broker = dramatiq.get_broker()
    if not isinstance(broker, Carried) or runs_here():
        yield fine("nothing need be sent anywhere.")
        return
    name = broker.carrier.name
    if carrying.stands_still(sql):
        yield fault(
            "not-carried",
            f"jobs that may begin are not sent to {name}: no worker runs, or none reaches it.",
            "See the workers' log; they need the same NIGHTSHIFT['BROKER'] as the web server.",
        )
    else:
        yield fine(f"jobs that may begin are sent to {name}.")
