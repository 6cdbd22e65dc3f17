"""Runs an attempt in a process of its own, forked by the supervisor: the worker's side.

The worker's thread waits for it; what the task says there is said here, and how it ended is how the call
ends. So claim, outcome, log and Dramatiq's middleware are those of any other attempt. If the process dies,
that is its own affair: no other job runs in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from dramatiq.middleware import Interrupt, Shutdown

from tom_nightshift.exceptions import Later, ProcessDied
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.ending import Stage
from tom_nightshift.worker.control import Alone, Control
from tom_nightshift.worker.parcels import ASK, Assignment, Ended, Said

STATUS_WITHIN = 10.0
"""Seconds in which the supervisor tells how a process ended."""

TRY_AGAIN = 5.0
"""Seconds until a job is begun again for which no process could be started."""

OUT_OF_MEMORY = "killed from outside, as the system does when memory runs out"

IN_WORDS = {
    signal.SIGKILL: OUT_OF_MEMORY,
    signal.SIGXCPU: "it took more computing time than its task allows",
    signal.SIGSEGV: "a fault in a compiled library: SIGSEGV",
    signal.SIGABRT: "a fault in a compiled library: SIGABRT",
    signal.SIGBUS: "a fault in a compiled library: SIGBUS",
}


class NoStatus(Exception):
    """Nobody could tell how a process ended."""


class Isolation:
    """Gives each attempt that asks for it a process of its own."""

    def __init__(self, control: Control) -> None:
        self.control = control

    def __call__(self, attempt: Attempt, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run the attempt, and end as its task ended.

        Raises:
            ProcessDied: its process died.
            Later: there is no process to be had now.
        """
        try:
            process = Process(self.control.isolate())
        except OSError as error:
            raise self._no_process() from error
        attempt.process = process
        try:
            ended = process.run(attempt, args, kwargs)
        except NoStatus as error:
            raise self._no_process() from error
        finally:
            process.close()
        return ended.value()

    def _no_process(self) -> BaseException:
        """Without its supervisor this process will end too; a supervisor that could not fork may soon."""
        if self.control.is_orphaned:
            return Shutdown()
        return Later(TRY_AGAIN, "waiting for a process of its own: none could be started")


class Process:
    """A process that runs one attempt, as the worker's thread sees it."""

    def __init__(self, alone: Alone) -> None:
        self._alone = alone
        self._killed = False
        self._lock = threading.Lock()

    def run(self, attempt: Attempt, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Ended:
        """Hand the attempt over and listen until it has ended."""
        try:
            self._send(Assignment.of(attempt, args, kwargs))
            while True:
                said = self._alone.job.recv()
                if isinstance(said, Ended):
                    said.pass_on(attempt)
                    return said
                assert isinstance(said, Said)
                said.pass_on(attempt)
        except (OSError, EOFError) as gone:
            raise self._cause_of_death(attempt) from gone

    def ask_to_stop(self) -> None:
        self._tell(ASK)

    def interrupt(self, kind: type[Interrupt]) -> bool:
        return self._tell(kind)

    def kill(self) -> None:
        self._killed = True
        with contextlib.suppress(OSError):
            self._alone.life.send(b"kill")

    def close(self) -> None:
        """Have done with it: the supervisor ends it, if it has not ended."""
        with self._lock:
            self._alone.job.close()
            self._alone.life.close()

    def _tell(self, word: Any) -> bool:
        with contextlib.suppress(OSError):
            self._send(word)
        return True  # it raises there as soon as it can

    def _send(self, word: Any) -> None:
        with self._lock:
            self._alone.job.send(word)

    def _cause_of_death(self, attempt: Attempt) -> BaseException:
        status = self._status()
        if attempt.ending is not None and (self._killed or attempt.ending.stage >= Stage.KILLED):
            return attempt.ending.kind()
        if status is None:
            return NoStatus()
        return ProcessDied(_in_words(status))

    def _status(self) -> int | None:
        """How it ended, from the supervisor; None: it was never there, or the supervisor is gone too."""
        try:
            self._alone.life.settimeout(STATUS_WITHIN)
            told = self._alone.life.recv(16)
        except (TimeoutError, OSError):
            return None
        return int(told) if told else None


def _in_words(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"its process ended with exit code {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    known = {int(key): words for key, words in IN_WORDS.items()}
    return known.get(number, f"killed by signal {number}")
