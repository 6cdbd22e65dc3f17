"""Fixtures of the folders whose tests start real processes: a site on the test's own database, and a gate."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.workers import Site
from tom_nightshift import testing


class Gate:
    """Where ``tests.app.tasks.pass_gate`` waits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def came(self) -> list[str]:
        """Ids of the jobs that came, one for each attempt."""
        return _lines(self.folder / "came")

    def passed(self) -> list[str]:
        """Ids of the jobs that passed."""
        return _lines(self.folder / "passed")

    def open(self) -> None:
        """Let them pass."""
        (self.folder / "open").touch()


@pytest.fixture
def run_dir(settings: Any) -> Iterator[str]:
    """Short: the path of a Unix socket has room for about a hundred characters."""
    folder = tempfile.mkdtemp(prefix="ns-")
    settings.NIGHTSHIFT = {"RUN_DIR": folder}
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def site(transactional_db: None, run_dir: str, tmp_path: Path) -> Iterator[Site]:
    """The processes of a site; what the test itself sends waits for them."""
    with testing.waiting():
        yield Site(tmp_path, run_dir)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate, closed."""
    folder = tmp_path / "gate"
    folder.mkdir()
    return Gate(folder)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
