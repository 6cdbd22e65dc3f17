"""Fixtures that several folders share: a broker of the stack's make, whose jobs wait for a worker."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import databases
from tests.support.jobs import actor, ended, running
from tom_nightshift import stack
from tom_nightshift.broker import carriers
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.broker.rows import RowBroker
from tom_nightshift.ledger import clock
from tom_nightshift.models import Job


@pytest.fixture(scope="session")
def run_folder() -> Iterator[str]:
    """Short: the path of a Unix socket has room for about a hundred characters."""
    folder = tempfile.mkdtemp(prefix="ns-")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nightshift(settings: Any, run_folder: str) -> Callable[..., None]:
    """Change settings of Nightshift for this test."""

    def change(**values: Any) -> None:
        settings.NIGHTSHIFT = {"RUN_DIR": run_folder, **values}

    change()
    return change


@pytest.fixture
def broker(transactional_db: None, nightshift: Callable[..., None]) -> RowBroker:
    """The broker that was chosen, with the whole stack under it."""
    if address := os.environ.get(databases.CARRIER):
        carried = carriers.broker(address, stack.middleware(), lambda: False)
        carried.carrier.broker.client.flushdb()
        return carried
    return DatabaseBroker(stack.middleware())


@pytest.fixture
def step_clock() -> Iterator[Callable[[float], None]]:
    """Step the one clock; it is put right after the test."""
    yield clock.step
    clock.step(-clock.offset())


@pytest.fixture
def run(broker: RowBroker) -> Callable[..., Job]:
    """Run a function as a task until its job is final."""

    def run_it(fn: Callable[..., Any], *args: Any, **options: Any) -> Job:
        task = actor(fn, actor_name="task", broker=broker, **options)
        with running(broker):
            return ended(task.send(*args))

    return run_it
