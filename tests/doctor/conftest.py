"""Looking at one examination at a time, on the test's own database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dramatiq
import pytest
from django.db import connection

from tests.support.fixtures import broker, nightshift, run, run_folder, step_clock
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.doctor import tasks
from tom_nightshift.doctor.findings import Finding
from tom_nightshift.ledger.session import OwnConnection

__all__ = ["broker", "nightshift", "run", "run_folder", "step_clock"]

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(transactional_db: None, nightshift: Callable[..., None]) -> Look:
    """What an examination of the database finds, by name; what is fine has none."""

    def look_at(examination: Callable[..., Iterable[Finding]]) -> dict[str, Finding]:
        own = OwnConnection(patience=0.1)
        try:
            with own.reading() as sql:
                return by_name(examination(sql))
        finally:
            own.close()

    return look_at


@pytest.fixture
def our_broker(broker: DatabaseBroker) -> Iterator[DatabaseBroker]:
    """The test's broker as Dramatiq's global one; the tasks of modules that are loaded are bound to it."""
    before = dramatiq.get_broker()
    dramatiq.set_broker(broker)
    with pytest.MonkeyPatch.context() as patch:
        for task in tasks._declared():
            patch.setattr(task, "broker", broker)
        yield broker
    dramatiq.set_broker(before)


@pytest.fixture
def database(look: Look) -> Iterator[Callable[..., None]]:
    """Write something else into the entry of DATABASES; connections that are open stay."""
    with pytest.MonkeyPatch.context() as patch:  # put right before the rows of this test are removed

        def write(**values: Any) -> None:
            for key, value in values.items():
                patch.setitem(connection.settings_dict, key, value)

        yield write


def by_name(found: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in found}
