"""The demo's two processes: the web server and the worker. Both end with the demo, whatever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 90.0
PR_SET_PDEATHSIG = 1


class Process:
    """One child process with its log; ended with SIGTERM, as an operator would."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        self._file = log.open("a")
        self.popen = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=HERE,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=self._file,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its processes in good order
            preexec_fn=_end_with_demo,
        )

    def lines(self) -> Iterator[str]:
        """What it prints, line by line, until it ends; all of it is logged too."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._file.write(line)
            self._file.flush()
            yield line.rstrip()

    def end(self) -> None:
        """Tell it to end, and wait for that."""
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(45)
        if self.popen.poll() is None:
            self.popen.kill()

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text().splitlines()[-15:])


class Site:
    """The running demo.

    Parameters:
        run: folder of the demo's state; the logs go there.
        port: port on the loopback address.
        mode: ``worker``, or ``off`` for a TOM that does all in the request.
        on_worker: called with the process id of each worker process that starts.
    """

    def __init__(
        self, run: Path, port: int, mode: str = "worker", on_worker: Callable[[int], None] = lambda _: None
    ):
        self.run, self.port, self.mode, self.on_worker = run, port, mode, on_worker
        self.worker_ready = threading.Event()
        self.processes: list[Process] = []

    def __enter__(self) -> Site:
        environment = {"NIGHTSHIFT_DEMO_MODE": self.mode}
        web = ["runserver", "--noreload", f"127.0.0.1:{self.port}"]
        self._start(web, "web.log", environment, lambda _: None)
        if self.mode == "worker":
            self._start(["nightshift", "--grace", "5"], "worker.log", environment, self._hear_worker)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.end()

    def ended(self) -> Process | None:
        """A process that ended by itself, if one did."""
        return next((process for process in self.processes if process.popen.poll() is not None), None)

    def _start(
        self, arguments: list[str], log: str, environment: dict[str, str], hear: Callable[[str], None]
    ) -> None:
        process = Process(arguments, self.run / log, environment)
        self.processes.append(process)

        def listen() -> None:
            for line in process.lines():
                hear(line)

        threading.Thread(target=listen, daemon=True).start()

    def _hear_worker(self, line: str) -> None:
        found = re.search(r"worker process (\d+) started", line)
        if found:
            self.worker_ready.set()
            self.on_worker(int(found[1]))

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (self._answers() and (self.mode != "worker" or self.worker_ready.is_set())):
            process = self.ended()
            if process is not None or time.monotonic() > deadline:
                words = (process or self.processes[0]).last_words()
                raise SystemExit(f"The demo could not start. The end of its log:\n{words}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            connection.request("GET", "/accounts/login/")
            return connection.getresponse().status == 200
        except OSError:
            return False


def free_port(wanted: int = 8000) -> int:
    """The wanted port if nobody has it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SystemExit("No free port on 127.0.0.1.")


def _end_with_demo() -> None:
    """Should the demo be killed, its processes are told to end (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
