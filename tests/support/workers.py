"""Real worker processes, and other processes of the same site, for tests. None outlives its test.

Linux only: what a process is doing is read from ``/proc``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

TIED = """
import ctypes, os, runpy, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv.pop(1)) and "NIGHTSHIFT_BORN_AS" not in os.environ:
    sys.exit("the test is gone")
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
"""``python -m …``, that dies with the process that started it."""

PATIENCE = 180.0
"""Seconds that anything may take on a machine that is busy."""


class Site:
    """Processes that share the test's database.

    Parameters:
        folder: holds the logs.
        run_dir: holds lock files and doorbells.
        environment: on top of this process's own, such as another database.
    """

    def __init__(self, folder: Path, run_dir: str, environment: Mapping[str, str] = {}) -> None:
        self.folder = folder
        self.run_dir = run_dir
        self.environment = environment

    def run(self, *words: str) -> str:
        """Run ``manage.py`` with these words to its end; what it printed."""
        done = subprocess.run(
            _command(words),
            env=self.environment_with({}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, *words: str) -> list[str]:
        """What starts ``manage.py`` with these words."""
        return _command(words)

    def shell(self, code: str) -> str:
        """Run code as a person does in ``manage.py shell``; the last line that it printed."""
        return self.run("shell", "--verbosity=0", "-c", code).strip().rpartition("\n")[2]

    @contextmanager
    def worker(self, *words: str, ready: int = 1, **settings: Any) -> Iterator[Worker]:
        """``manage.py nightshift`` with these words; begins once so many of its processes are ready.

        Parameters:
            settings: keys of ``NIGHTSHIFT``.
        """
        worker = Worker(*self._started(["nightshift", *words], settings))
        try:
            worker.says(" is ready: ", ready)
            yield worker
        finally:
            worker.end()

    @contextmanager
    def web_server(self, port: int) -> Iterator[Worker]:
        """``manage.py runserver``, once it answers on this port."""
        server = Worker(*self._started(["runserver", "--noreload", f"127.0.0.1:{port}"], {}))
        try:
            server.says("Quit the server with CONTROL-C")
            yield server
        finally:
            server.end()

    @contextmanager
    def dramatiq(self, *words: str) -> Iterator[Worker]:
        """Dramatiq's own command with these words; begins once it is ready."""
        worker = Worker(*self._started(list(words), {}, module="dramatiq"))
        try:
            worker.says(" is ready: ")
            yield worker
        finally:
            worker.end()

    def _started(
        self, words: Sequence[str], settings: Mapping[str, Any], module: str = "django"
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"worker-{len(list(self.folder.glob('worker-*')))}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                _command(words, module),
                env=self.environment_with(settings),
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, log

    def environment_with(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """The environment of a process of this site, with these keys of ``NIGHTSHIFT``."""
        paths = [str(ROOT / "src"), str(ROOT / "demo"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings_e2e",
            "NIGHTSHIFT_TEST_SETTINGS": json.dumps({"RUN_DIR": self.run_dir, **settings}),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "error",
            **self.environment,
        }


class Worker:
    """``manage.py nightshift``: a supervisor and its worker processes."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def says(self, words: str, times: int = 1) -> None:
        """Wait until it has said these words, so many times."""
        try:
            wait_until(lambda: self.log.count(words) >= times or self._is_gone(), at_most=PATIENCE)
            assert self.log.count(words) >= times, f"it has ended with {self.process.returncode}"
        except AssertionError as error:
            raise AssertionError(f"{words!r} was not said {times} times: {error}\n{self.log}") from None

    def children(self) -> list[int]:
        """The process ids of its worker processes."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []

    def kill_child(self) -> int:
        """``kill -9`` its first worker process; which that was."""
        child = wait_until(self.children, what="a worker process")[0]
        os.kill(child, signal.SIGKILL)
        return child

    def tell(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    def wait(self, at_most: float = PATIENCE) -> int:
        """Wait until it has ended, with all its processes; the exit code."""
        wait_until(self._is_gone, at_most=at_most, what=f"end of the supervisor:\n{self.log}")
        wait_until(lambda: not self._alive(), at_most=at_most, what=f"end of its processes:\n{self.log}")
        return int(self.process.wait())

    def stop(self) -> int:
        """Tell it to end, and wait for that; the exit code."""
        self.tell(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """End all its processes now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def _is_gone(self) -> bool:
        return self.process.poll() is not None

    def _alive(self) -> list[int]:
        """Its processes, also once the supervisor has gone: they share its group."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # ended meanwhile
                state, _, group = status.read_text().rpartition(")")[2].split()[:3]
                found += [int(status.parent.name)] if int(group) == self.pid and state != "Z" else []
        return found


def _command(words: Sequence[str], module: str = "django") -> list[str]:
    return [sys.executable, "-c", TIED, str(os.getpid()), module, *words]
