"""Which tests can run: decided by the database and the site that were chosen, never by what is running."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management.commands import flush
from django.db import connection

from tests import databases

CHROMIUM = "NIGHTSHIFT_TEST_CHROMIUM"

MARKS = {"e2e": "e2e", "chaos": "e2e", "benchmarks": "e2e", "toolkit": "tom", "browser": "browser"}
"""Folder → the mark that everything in it carries."""

IMPORTS_MORE = ("toolkit", "browser")
"""Folders whose modules could not even be imported without what their mark asks for."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave those folders alone where their mark would be skipped anyway."""
    folder, in_tests = collection_path.name, collection_path.parent == Path(__file__).parent
    return True if in_tests and folder in IMPORTS_MORE and _unmet()[MARKS[folder]] else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder before -m selects, and skip, with the reason, what the chosen site cannot do."""
    for item in items:
        for folder in MARKS.keys() & set(item.path.parts):
            item.add_marker(MARKS[folder])
        for name, unmet in _unmet().items():
            if unmet and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=unmet))


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look at all of Django again, fifty times a run."""
    gc.collect()
    gc.freeze()


def _unmet() -> dict[str, str | None]:
    """What each mark asks for and was not chosen."""
    return {
        "postgres": None if connection.vendor == "postgresql" else f"needs {databases.CHOICE}=postgres",
        "database_carries": f"not with {databases.CARRIER}" if databases.CARRIER in os.environ else None,
        "tom": None if _is_a_tom() else "needs DJANGO_SETTINGS_MODULE=tests.settings_tom",
        "browser": None if CHROMIUM in os.environ else f"needs {CHROMIUM}=/path/of/chromium",
    }


def _is_a_tom() -> bool:
    return apps.is_installed("tom_targets")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Once the test database is made, let the processes that tests start find it, and empty it quickly."""
    from tests.support import emptying  # which needs the apps

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(databases.NAME, str(connection.settings_dict["NAME"]))
        if not _is_a_tom():
            with django_db_blocker.unblock():
                emptying.Flush.remember()
            patch.setattr(flush, "Command", emptying.Flush)
        yield
