"""Where one contender is measured: a folder, a record, and processes that all end with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine, record
from benchmarks.agreed import RECORD, RUN_DIR
from tools import processes

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 90.0
"""Seconds that something may take on a machine that is busy."""


class Failed(Exception):
    """A process did not do what it was started for; the message holds its last words."""


class Stage:
    """Runs processes for one contender.

    Parameters:
        folder: short, for the path of a Unix socket has room for about a hundred characters.
        environment: on top of this process's own.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] = {}) -> None:
        self.folder = folder
        self.record = record.Record(folder / "record")
        self.environment = _environment(folder) | {RECORD: str(self.record.path), **environment}
        self._count = 0

    def run(self, *words: str | Path) -> str:
        """Run a program to its end; what it printed.

        Raises:
            Failed: it did not end well.
        """
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(
                f"{_named(words)} ended with {done.returncode}: {_end_of(done.stdout + done.stderr)}"
            )
        return done.stdout

    def call(self, module: str, function: str, **values: Any) -> Any:
        """What a function answers that runs in a process of its own; all values travel as JSON."""
        printed = self.run("-m", "benchmarks.calling", module, function, json.dumps(values))
        return json.loads(printed.strip().rpartition("\n")[2])

    @contextmanager
    def running(self, *words: str | Path) -> Iterator[Running]:
        """A program that runs meanwhile; with the block it is killed, with all that it started."""
        self._count += 1
        log = self.folder / f"log-{self._count}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env=self.environment,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            yield Running(process, log)
        finally:
            processes.end(process, signal.SIGKILL)


class Running:
    """A program that runs, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def cpu(self) -> float:
        """Seconds of CPU time that it and all that it started have used."""
        return machine.cpu([self.pid])

    def says(self, words: str, times: int = 1) -> None:
        """Wait until it has said these words, so many times.

        Raises:
            Failed: it ended before, or took too long.
        """
        deadline = time.monotonic() + PATIENCE
        while self.log.count(words) < times:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{words!r} was not said {times} times: {_end_of(self.log)}")
            time.sleep(0.02)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one run of the benchmarks."""
    made = Path(tempfile.mkdtemp(prefix="nsb-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    ours = {key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")}
    return ours | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        RUN_DIR: str(folder),
    }


def _named(words: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in words[:4])


def _end_of(said: str) -> str:
    return " / ".join(said.strip().splitlines()[-6:])
