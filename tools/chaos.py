"""The long form of the tests with real faults, on both databases at once, and the page that tells of it.

    python3 -m tools.chaos                                everything, in about twenty minutes
    python3 -m tools.chaos tests/chaos/test_killed.py     any words of pytest's

NIGHTSHIFT_CHAOS_KILLS=1000  processes killed with kill -9 on each database; 500 unless given
NIGHTSHIFT_CHAOS_SEED=7      the same choices again, though not to the millisecond; else one is drawn and told
NIGHTSHIFT_CHAOS_TABLE=file  what was measured is added to this file; the page shows the newest of each fault
"""

from __future__ import annotations

import json
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools import processes, servers, venv
from tools.test import scratch

PAGE = venv.ROOT / "docs" / "explain" / "faults.md"
TABLE, SEED, KILLS = "NIGHTSHIFT_CHAOS_TABLE", "NIGHTSHIFT_CHAOS_SEED", "NIGHTSHIFT_CHAOS_KILLS"
LONG = {"NIGHTSHIFT_CHAOS": "long", "NIGHTSHIFT_TEST_DISK": "real"}

TOP = """# What faults have done to it

Real processes, real faults, and an oracle outside the database: each job writes a line into a file when it
starts and one when it ends; at the end every row must tell the same story as that file.

- *interrupted*: attempts that a fault ended.
- *lost*: jobs that never ended, or whose row says that they succeeded though none of their attempts ended.
- *twice*: jobs whose work ended more than once: the fault fell between end and commit.
- *wrong*: jobs whose row and file tell different stories.
- *recovery*, seconds: from the kill until an interrupted job was running again, median and worst; where only
  one number stands, from the last fault until all jobs were final.

"""
HEAD = """| fault | database | faults | jobs | interrupted | lost | twice | wrong | recovery, median | worst |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|
"""
BELOW = """
What has no line here was not run in its long form that day. Every fault of `tests/chaos` comes in
`make test`, in its short form. A TOM on SQLite that is used meanwhile (`tests/chaos/test_site_in_use.py`)
is tried there only.
"""


def main(words: Sequence[str]) -> int:
    os.chdir(venv.ROOT)
    processes.end_on_signals()
    seed = os.environ.get(SEED) or str(random.randrange(1_000_000))  # noqa: S311 - faults, no secrets
    print(f"seed {seed}", flush=True)
    with scratch() as folder:
        table = Path(os.environ.get(TABLE) or folder / "table")
        failed = _suffer(words, {**LONG, SEED: seed, TABLE: str(table)})
        _write_page(table, words, seed)
    return failed


def _suffer(words: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the tests on both databases at once; the sum of pytest's exit codes."""
    codes: list[int] = []
    lanes = [
        threading.Thread(
            target=lambda: codes.append(_pytest(words, {**env, "NIGHTSHIFT_TEST_DB": "sqlite"}))
        ),
        threading.Thread(target=lambda: codes.append(_on_postgres(words, env))),
    ]
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    finally:
        processes.end_all()
    return sum(codes) if len(codes) == len(lanes) else 1


def _on_postgres(words: Sequence[str], env: Mapping[str, str]) -> int:
    with servers.postgres() as address:
        return _pytest(words, {**env, "NIGHTSHIFT_TEST_DB": "postgres", servers.POSTGRES: address})


def _pytest(words: Sequence[str], env: Mapping[str, str]) -> int:
    marks = "not tom" if env["NIGHTSHIFT_TEST_DB"] == "postgres" else "not tom and not postgres"
    command: list[str | Path] = [_python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks]
    return processes.run([*command, "--timeout=3600", *(words or ["tests/chaos"])], env)


def _python() -> Path:
    own = venv.LEGS["main"].bin / "python"
    return own if own.exists() else Path(sys.executable)


def _write_page(table: Path, words: Sequence[str], seed: str) -> None:
    """What was measured, newest of each fault; nothing measured leaves the page alone."""
    lines = table.read_text().splitlines() if table.exists() else []
    rows = {(row["fault"], row["database"]): row for row in map(json.loads, lines)}
    if rows:
        PAGE.write_text(TOP + _how(words, seed) + HEAD + "".join(map(_line, rows.values())) + BELOW)


def _how(words: Sequence[str], seed: str) -> str:
    command = " ".join([f"{SEED}={seed}", *_kills(), "python3 -m tools.chaos", *words])
    today = time.strftime("%Y-%m-%d", time.gmtime())
    size = f"{os.cpu_count()} cores, {_gigabytes()} GB, {platform.system()}"
    return (
        f"Last measured on {today}: {size}, both databases at once, other work beside.\nThe last command:\n\n"
        f"    {command}\n\n"
    )


def _kills() -> list[str]:
    return [f"{KILLS}={os.environ[KILLS]}"] if KILLS in os.environ else []


def _gigabytes() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _line(row: Mapping[str, Any]) -> str:
    names = (
        "fault",
        "database",
        "faults",
        "jobs",
        "interrupted",
        "lost",
        "twice",
        "wrong",
        "median",
        "worst",
    )
    return "| " + " | ".join("" if row[name] is None else str(row[name]) for name in names) + " |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
