"""The whole of `make test`: brings what it needs, goes on after a failing step, says what it left out.

    python3 -m tools.test           everything
    python3 -m tools.test lint      style, types, floors

Servers, browsers and other Pythons: see `tools/servers.py` and `tools/pythons.py`. Two lanes run at once; the
second one's output is kept until the end.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools import processes, pythons, servers, venv
from tools.report import Outcome, Report, heading

NO_TESTS_FOUND = 5  # pytest's exit code
MAIN, PY312, PY313 = (venv.LEGS[name] for name in ("main", "py312", "py313"))

IN_A_TOM = "tom and not browser"
PLAIN = "not e2e and not tom and not browser"
ON_SQLITE = f"{PLAIN} and not postgres"
PROCESSES = "e2e and not tom and not browser"
ENGINE = {"DJANGO_SETTINGS_MODULE": "tests.settings", "NIGHTSHIFT_TEST_DB": "sqlite"}
TOM = {"DJANGO_SETTINGS_MODULE": "tests.settings_tom", "NIGHTSHIFT_TEST_DB": "sqlite"}
# TOM Toolkit's own warnings are not ours to mend.
MILD = ("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")
# Neither the database nor the server matters to these, and they have run by then.
ONCE_IS_ENOUGH = ("--ignore=tests/unit", "--ignore=tests/astro", "--ignore=docs", "--ignore=README.md")
WITHOUT_SCIENCE = ("--ignore=tests/astro", "--ignore=tests/e2e", "--ignore=tests/chaos")


def main(arguments: Sequence[str]) -> int:
    os.chdir(venv.ROOT)
    processes.end_on_signals()
    began, report = time.monotonic(), Report()
    try:
        with scratch():
            only_lint(report) if "lint" in arguments else everything(report)
    except KeyboardInterrupt:
        print("\nInterrupted: what was started is being ended.", flush=True)
        return 130
    finally:
        processes.end_all()
    return report.finish(gaps_fail=os.environ.get("CI") == "true", seconds=time.monotonic() - began)


@contextmanager
def scratch() -> Iterator[None]:
    """A folder for all that the steps leave behind, also where a test kills the one who would clean up."""
    with tempfile.TemporaryDirectory(prefix="nightshift-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - a database server runs as another user, and starts in here
        os.environ["TMPDIR"] = folder  # for what we start; our own temporary folder is settled by now
        yield


def only_lint(report: Report) -> None:
    if prepare(MAIN, Lane(report)):
        lint(Lane(report))


def everything(report: Report) -> None:
    if not prepare(MAIN, Lane(report)):
        return
    with tempfile.TemporaryFile() as kept:
        beside = threading.Thread(target=second_lane, args=(Lane(report, kept),))
        beside.start()
        try:
            first_lane(Lane(report))
        except BaseException:
            processes.end_all()  # or the other lane would be waited for
            raise
        finally:
            beside.join()
        kept.seek(0)
        print(kept.read().decode(errors="replace"), flush=True)


# --- What is run -----------------------------------------------------------------------------------


def first_lane(lane: Lane) -> None:
    if (version := venv.version(MAIN)) != MAIN.python:
        lane.report.not_tested(f"Python {MAIN.python}", f"not found; the main leg ran on {version}")
    lint(lane)
    lane.pytest("Engine on SQLite", MAIN, ON_SQLITE, ENGINE)
    lane.pytest("Real processes on SQLite", MAIN, f"{PROCESSES} and not postgres", ENGINE, "--timeout=180")
    on_postgres(lane)
    in_a_browser(lane)


def second_lane(lane: Lane) -> None:
    """What takes about as long as the first lane and needs nothing of it but the main leg's packages."""
    lane.pytest("In a whole TOM", MAIN, f"{IN_A_TOM} and not e2e", TOM, *MILD)
    lane.pytest("Sites that tom_setup makes", MAIN, f"{IN_A_TOM} and e2e", TOM, *MILD, "--timeout=180")
    other_pythons(lane)


def lint(lane: Lane) -> None:
    lane.run("Style: ruff", [MAIN.bin / "ruff", "check", "."])
    lane.run("Format: ruff", [MAIN.bin / "ruff", "format", "--check", "."])
    lane.run("Floors: import-linter", [MAIN.bin / "lint-imports"])
    lane.run("Types: mypy", [MAIN.bin / "mypy"])


def on_postgres(lane: Lane) -> None:
    try:
        with servers.postgres() as address:
            site = ENGINE | {"NIGHTSHIFT_TEST_DB": "postgres", servers.POSTGRES: address}
            lane.pytest("Engine on PostgreSQL", MAIN, PLAIN, site, *ONCE_IS_ENOUGH)
            lane.pytest("Real processes on PostgreSQL", MAIN, PROCESSES, site, "--timeout=180")
    except servers.Missing as problem:
        lane.report.not_tested("PostgreSQL", str(problem))


def in_a_browser(lane: Lane) -> None:
    try:
        site = ENGINE | {servers.CHROMIUM: servers.chromium()}
        lane.pytest("In a browser", MAIN, "browser", site, "--timeout=600")
    except servers.Missing as problem:
        lane.report.not_tested("The pages in a browser", str(problem))


def other_pythons(lane: Lane) -> None:
    if found(PY312, lane) and prepare(PY312, lane):
        lane.pytest("Python 3.12: engine", PY312, ON_SQLITE, ENGINE)
        lane.pytest("Python 3.12: in a whole TOM", PY312, f"{IN_A_TOM} and not e2e", TOM, *MILD)
    if found(PY313, lane) and prepare(PY313, lane):
        lane.pytest("Python 3.13, newest Django: engine", PY313, ON_SQLITE, ENGINE, *WITHOUT_SCIENCE)


def found(leg: venv.Leg, lane: Lane) -> bool:
    assert leg.python
    if pythons.find(leg.python):
        return True
    lane.report.not_tested(f"Python {leg.python} ({leg.requirements})", "not found on PATH or in pyenv")
    return False


def prepare(leg: venv.Leg, lane: Lane) -> bool:
    return lane.run(f"Packages of {leg.requirements}", [sys.executable, "-m", "tools.venv", leg.name])


# --- How it is run ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lane:
    """Steps that follow one another; several lanes may run at once, then all but one keep their output."""

    report: Report
    kept: IO[bytes] | None = None

    def run(self, title: str, command: Sequence[str | Path], env: Mapping[str, str] = {}) -> bool:
        """Run one step; whether it passed."""
        self._say(heading(title))
        began = time.monotonic()
        code = processes.run(command, env, self.kept)
        self._close(Outcome(title, code, time.monotonic() - began))
        return code == 0

    def pytest(self, title: str, leg: venv.Leg, marks: str, env: Mapping[str, str], *options: str) -> None:
        """Run the tests that carry the marks; finding none at all is a gap, not a success."""
        self._say(heading(title))
        began = time.monotonic()
        pytest = [str(leg.bin / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        code = processes.run([*pytest, "-m", marks, *options], env, self.kept)
        if code == NO_TESTS_FOUND:
            self.report.not_tested(title, f'no test is marked "{marks}"')
        else:
            self._close(Outcome(title, code, time.monotonic() - began))

    def _close(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        self._say(str(outcome))

    def _say(self, text: str) -> None:
        if self.kept is None:
            print(text, flush=True)
        else:
            self.kept.write(f"{text}\n".encode())
            self.kept.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
