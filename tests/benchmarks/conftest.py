"""Nightshift and its rivals as the benchmarks measure them, on the database that the tests were given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from benchmarks import ours, rivals, stage
from benchmarks.contender import Contender
from benchmarks.ours import Nightshift
from tools import servers


@pytest.fixture(scope="session")
def nightshift() -> Iterator[Nightshift]:
    """Nightshift; its tables are made once."""
    name = {"postgresql": "postgres"}.get(connection.vendor, connection.vendor)
    with stage.folder() as folder, ours.opened(name, folder) as contender:
        yield contender


@pytest.fixture(scope="session", params=rivals.names())
def rival(request: pytest.FixtureRequest) -> Iterator[Contender]:
    """Each rival whose servers are here, or can be brought."""
    with _skipping(), stage.folder() as folder, rivals.opened(request.param, folder) as contender:
        yield contender


@contextmanager
def _skipping() -> Iterator[None]:
    try:
        yield
    except servers.Missing as problem:
        pytest.skip(str(problem))
