"""What ``/proc`` says: CPU time and memory of processes and all that they started; what machine this is."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MEBIBYTE = 2**20


def tree(roots: Iterable[int]) -> list[int]:
    """These processes and all their descendants that live."""
    children = defaultdict(list)
    for process, values in _all().items():
        children[int(values[1])].append(process)
    found, ahead = [], list(roots)
    while ahead:
        process = ahead.pop()
        found.append(process)
        ahead += children[process]
    return found


def cpu(roots: Iterable[int]) -> float:
    """Seconds of CPU time of these processes, of their descendants, and of the children they have reaped."""
    known = _all()
    return sum(sum(map(int, known[process][11:15])) for process in tree(roots) if process in known) / TICKS


def parents(process: int, name: str) -> list[int]:
    """The process that started this one, if this one runs here under this name; a server may be elsewhere."""
    try:
        here = Path(f"/proc/{process}/comm").read_text().strip() == name
        return [int(_stat(process)[1])] if here else []
    except OSError:
        return []


def memory(processes: Iterable[int]) -> float:
    """Mebibytes of memory that these processes take together, what they share counted once (PSS)."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):  # ended meanwhile
            said = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss:\s+(\d+) kB", said, re.MULTILINE)[0])
    return total * 1024 / MEBIBYTE


def described() -> str:
    """Such as ``2 cores of AMD EPYC, 24 GB, Linux 6.1``."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    gigabytes = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    name = models[0] if models else platform.machine()
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} cores ({name}), {gigabytes} GB, {platform.system()} {kernel}"


class Others:
    """How much of the machine processes outside the measurement used meanwhile."""

    def __init__(self) -> None:
        self.began = _machine()

    def share(self, ours: float) -> float:
        """Part of all cores, 0 to 1, less the CPU seconds that were ours."""
        busy, all_there_was = (now - then for now, then in zip(_machine(), self.began, strict=True))
        return max(0.0, busy - ours) / max(all_there_was, 0.01)


def _machine() -> tuple[float, float]:
    """Seconds of CPU time used by anybody, and all there was, since the machine started."""
    values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(values) - values[3] - values[4]) / TICKS, sum(values) / TICKS


def _all() -> dict[int, list[str]]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            values = _stat(int(folder.name))
            if values[0] != "Z":
                found[int(folder.name)] = values
    return found


def _stat(process: int) -> list[str]:
    """From the third field on: the second is a name, which may hold anything."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
