"""The whole of `make test`: brings what it needs, goes on after a failing step, says what it left out.

    python3 -m tools.test           everything
    python3 -m tools.test lint      style, types, floors

Servers, browsers and other Pythons: see `tools/servers.py` and `tools/pythons.py`. What is run falls into
tracks, of which several run at once; what a step prints is shown when it has ended.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from tools import processes, pythons, servers, venv
from tools.report import Outcome, Report

MAIN, PY312, PY313 = (venv.LEGS[name] for name in ("main", "py312", "py313"))

IN_A_TOM = "tom and not browser"
PLAIN = "not e2e and not tom and not browser"
ON_SQLITE = f"{PLAIN} and not postgres"
PROCESSES = "e2e and not tom and not browser"
PROCESSES_ON_SQLITE = f"{PROCESSES} and not postgres"
ENGINE = {"DJANGO_SETTINGS_MODULE": "tests.settings", "NIGHTSHIFT_TEST_DB": "sqlite"}
ON_DISK = {"NIGHTSHIFT_TEST_DISK": "real"}  # real processes: there a commit takes its time, as on a site
TOM = {"DJANGO_SETTINGS_MODULE": "tests.settings_tom", "NIGHTSHIFT_TEST_DB": "sqlite"}
# TOM Toolkit's own warnings are not ours to mend.
MILD = ("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")
# Neither the database nor the server matters to these: on SQLite they run too.
ONCE_IS_ENOUGH = ("--ignore=tests/unit", "--ignore=tests/astro", "--ignore=docs", "--ignore=README.md")
REAL = ("--timeout=600",)  # a loaded machine may take its time
FAULTS, NO_FAULTS = ("tests/chaos",), ("--ignore=tests/chaos",)
# Arithmetic and words are the same on each Python; its numpy searches images in the whole TOM.
ONE_PYTHON_IS_ENOUGH = (
    "--ignore=tests/astro",
    "--ignore=tests/docs",
    "--ignore=tests/unit/test_house_rules.py",
)
WITHOUT_SCIENCE = ("--ignore=tests/e2e", "--ignore=tests/chaos")


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
def scratch() -> Iterator[Path]:
    """A folder for all that the steps leave behind, also where a test kills the one who would clean up."""
    with tempfile.TemporaryDirectory(prefix="nightshift-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - a database server runs as another user, and starts in here
        os.environ["TMPDIR"] = folder  # for what we start; our own temporary folder is settled by now
        yield Path(folder)


def only_lint(report: Report) -> None:
    if prepare(MAIN, report):
        lint(report)


def everything(report: Report) -> None:
    with ThreadPoolExecutor(LANES) as lanes:
        running = [lanes.submit(track, report) for track in OTHER_PYTHONS]
        try:
            if prepare_main(report):
                running += [lanes.submit(track, report) for track in TRACKS]
            for track in as_completed(running):
                track.result()
        except BaseException:
            lanes.shutdown(wait=False, cancel_futures=True)
            processes.end_all()  # or the other lanes would be waited for
            raise


def prepare_main(report: Report) -> bool:
    prepared = prepare(MAIN, report)
    if prepared and (version := venv.version(MAIN)) != MAIN.python:
        report.not_tested(f"Python {MAIN.python}", f"not found; the main leg ran on {version}")
    return prepared


# --- What is run -----------------------------------------------------------------------------------


def in_a_browser(report: Report) -> None:
    try:
        site = ENGINE | {servers.CHROMIUM: servers.chromium()}
        pytest(report, "In a browser", MAIN, "browser", site)
    except servers.Missing as problem:
        report.not_tested("The pages in a browser", str(problem))


def processes_on_sqlite(report: Report) -> None:
    pytest(report, "Real processes on SQLite", MAIN, PROCESSES_ON_SQLITE, ENGINE | ON_DISK, *REAL, *NO_FAULTS)


def faults_on_sqlite(report: Report) -> None:
    pytest(report, "Real faults on SQLite", MAIN, PROCESSES_ON_SQLITE, ENGINE | ON_DISK, *REAL, *FAULTS)


def engine_on_sqlite(report: Report) -> None:
    pytest(report, "Engine on SQLite", MAIN, ON_SQLITE, ENGINE)


def processes_on_postgres(report: Report) -> None:
    on_postgres(report, "Real processes on PostgreSQL", PROCESSES, *REAL, *NO_FAULTS)


def faults_on_postgres(report: Report) -> None:
    on_postgres(report, "Real faults on PostgreSQL", PROCESSES, *REAL, *FAULTS)


def engine_on_postgres(report: Report) -> None:
    on_postgres(report, "Engine on PostgreSQL", PLAIN, *ONCE_IS_ENOUGH)


def carried_by_redis(report: Report) -> None:
    title = "PostgreSQL, carried by Redis"
    try:
        with servers.redis() as carrier:
            on_postgres(report, title, PLAIN, "tests/contract", more={"NIGHTSHIFT_TEST_CARRIER": carrier})
    except servers.Missing as problem:
        report.not_tested(title, str(problem))


def on_postgres(report: Report, title: str, marks: str, *options: str, more: Mapping[str, str] = {}) -> None:
    try:
        with servers.postgres() as address:
            site = ENGINE | {"NIGHTSHIFT_TEST_DB": "postgres", servers.POSTGRES: address} | dict(more)
            pytest(report, title, MAIN, marks, site, *options)
    except servers.Missing as problem:
        report.not_tested(title, str(problem))


def in_a_tom(report: Report) -> None:
    pytest(report, "In a whole TOM", MAIN, f"{IN_A_TOM} and not e2e", TOM, *MILD)


def sites_that_tom_setup_makes(report: Report) -> None:
    pytest(report, "Sites that tom_setup makes", MAIN, f"{IN_A_TOM} and e2e", TOM | ON_DISK, *MILD, *REAL)


def python_312(report: Report) -> None:
    if found(PY312, report) and prepare(PY312, report):
        pytest(report, "Python 3.12: engine", PY312, ON_SQLITE, ENGINE, *ONE_PYTHON_IS_ENOUGH)
        pytest(report, "Python 3.12: in a whole TOM", PY312, f"{IN_A_TOM} and not e2e", TOM, *MILD)


def python_313(report: Report) -> None:
    if found(PY313, report) and prepare(PY313, report):
        rest = (*ONE_PYTHON_IS_ENOUGH, *WITHOUT_SCIENCE)
        pytest(report, "Python 3.13, newest Django: engine", PY313, ON_SQLITE, ENGINE, *rest)


def lint(report: Report) -> None:
    run(report, "Style: ruff", [MAIN.bin / "ruff", "check", "."])
    run(report, "Format: ruff", [MAIN.bin / "ruff", "format", "--check", "."])
    run(report, "Floors: import-linter", [MAIN.bin / "lint-imports"])
    run(report, "Types: mypy", [MAIN.bin / "mypy"])


def found(leg: venv.Leg, report: Report) -> bool:
    assert leg.python
    if pythons.find(leg.python):
        return True
    report.not_tested(f"Python {leg.python} ({leg.requirements})", "not found on PATH or in pyenv")
    return False


LANES = 4
"""So many tracks at once, on two cores already: most of them wait for most of their time."""

OTHER_PYTHONS = (python_312, python_313)
"""They need nothing of the main leg: they begin while its packages are installed."""

TRACKS = (
    in_a_browser,
    sites_that_tom_setup_makes,
    faults_on_postgres,
    processes_on_postgres,
    processes_on_sqlite,
    engine_on_postgres,
    carried_by_redis,
    faults_on_sqlite,
    engine_on_sqlite,
    in_a_tom,
    lint,
)
"""The longest first."""

# --- How it is run ---------------------------------------------------------------------------------


def prepare(leg: venv.Leg, report: Report) -> bool:
    return run(report, f"Packages of {leg.requirements}", [sys.executable, "-m", "tools.venv", leg.name])


def pytest(
    report: Report, title: str, leg: venv.Leg, marks: str, env: Mapping[str, str], *options: str
) -> None:
    """Run the tests that carry the marks; finding none at all is a failure."""
    program = [str(leg.bin / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run(report, title, [*program, "-m", marks, *options], env)


def run(report: Report, title: str, command: Sequence[str | Path], env: Mapping[str, str] = {}) -> bool:
    """Run one step, and then show what it printed, in one piece; whether it passed."""
    report.begin(title)
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        code = processes.run(command, env, output)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    return report.add(Outcome(title, code, time.monotonic() - began), printed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
