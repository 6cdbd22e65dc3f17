"""When each job started, written by the job itself, outside every database: 16 bytes with one ``write``.

So rates and delays are measured alike for all contenders, and a job that never ran, or ran twice, is seen.
"""

from __future__ import annotations

import functools
import os
import struct
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agreed import RECORD

ENTRY = struct.Struct("<qq")
LOOK_AGAIN = 0.005


def started(number: int) -> None:
    """Called by a job as the first thing that it does."""
    os.write(_file(), ENTRY.pack(time.time_ns(), number))


@functools.cache
def _file() -> int:
    return os.open(os.environ[RECORD], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


@dataclass(frozen=True)
class Record:
    """The file, as the harness reads it."""

    path: Path

    def clear(self) -> None:
        """Forget what is there."""
        self.path.unlink(missing_ok=True)

    def count(self) -> int:
        """How many jobs have started so far."""
        return self.path.stat().st_size // ENTRY.size if self.path.exists() else 0

    def wait(self, count: int, patience: float = 60.0) -> None:
        """Wait until so many have started.

        Parameters:
            patience: seconds in which at least one more must start.

        Raises:
            TimeoutError: none did.
        """
        seen, since = -1, time.monotonic()
        while (now := self.count()) < count:
            if now > seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > patience:
                raise TimeoutError(f"{now} of {count} jobs have started, and no more in {patience:.0f} s")
            time.sleep(LOOK_AGAIN)

    def starts(self) -> dict[int, int]:
        """When each job started, in nanoseconds since 1970."""
        return {number: moment for moment, number in self._entries()}

    def wrong(self, numbers: Collection[int]) -> str:
        """A sentence if not every one of these started exactly once, and nothing else did; else empty."""
        started = Counter(number for _, number in self._entries())
        never, strangers = set(numbers) - started.keys(), started.keys() - set(numbers)
        twice = [number for number, count in started.items() if count > 1]
        if never or twice or strangers:
            return f"{len(never)} never started, {len(twice)} started twice, {len(strangers)} were not sent"
        return ""

    def _entries(self) -> list[tuple[int, int]]:
        return list(ENTRY.iter_unpack(self.path.read_bytes())) if self.path.exists() else []
