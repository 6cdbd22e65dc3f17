"""The virtual environments: one for the demo, one for each leg of the tests; made once, then left alone.

Usage: `python3 -m tools.venv demo`
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import pythons

ROOT = Path(__file__).resolve().parent.parent
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "-qq")


class CannotPrepare(Exception):
    """A virtual environment cannot be made; the message says what the person can do."""


@dataclass(frozen=True)
class Leg:
    """One pinned set of packages, the Python that it is meant for, and the folder it goes to."""

    name: str
    requirements: str
    folder: str
    python: str | None = None
    """None: any that is supported."""
    insist: bool = False
    """Whether another Python than that will not do."""

    @property
    def bin(self) -> Path:
        return ROOT / self.folder / "bin"

    @property
    def pins(self) -> Path:
        return ROOT / "requirements" / self.requirements


LEGS = {
    leg.name: leg
    for leg in (
        Leg("demo", "demo.txt", ".venv"),
        Leg("main", "py311-django52.txt", ".venvs/main", "3.11"),
        Leg("py312", "py312-django52.txt", ".venvs/py312", "3.12", insist=True),
        Leg("py313", "py313-django61.txt", ".venvs/py313", "3.13", insist=True),
    )
}


def main(arguments: list[str]) -> int:
    name = arguments[0] if arguments else ""
    if name not in LEGS:
        print(f"Which one? {name!r} is none of {', '.join(LEGS)}.", file=sys.stderr)
        return 2
    try:
        prepare(LEGS[name])
    except CannotPrepare as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def prepare(leg: Leg) -> Path:
    """Make the leg's environment if it is not there or not what the pins say; answer its bin folder."""
    if not _stamped(leg, "packages", _packages_stamp(leg)):
        with _timed(leg, f"installing requirements/{leg.requirements}, about a minute"):
            _create(leg, python_for(leg))
            _pip(leg, "install", "--no-compile", "--require-hashes", "-r", str(leg.pins))
        _stamp(leg, "packages", _packages_stamp(leg))
    if not _stamped(leg, "project", _project_stamp(leg)):
        _pip(leg, "install", "--no-build-isolation", "--no-deps", "-e", str(ROOT))
        _stamp(leg, "project", _project_stamp(leg))
    return leg.bin


def version(leg: Leg) -> str:
    """The Python that the leg's environment was really made with: "3.12"."""
    return _ask(leg.bin / "python", "'%d.%d' % sys.version_info[:2]")


def python_for(leg: Leg) -> Path:
    found = pythons.find(leg.python) if leg.insist and leg.python else pythons.find_any(leg.python)
    if found:
        return found
    wanted = leg.python if leg.insist else f"{pythons.SUPPORTED[0]} to {pythons.SUPPORTED[-1]}"
    raise CannotPrepare(
        f"Python {wanted} is needed for {leg.folder} and was not found on PATH or in pyenv "
        f"(this is {sys.version.split()[0]}). If it is elsewhere: make … PYTHON=/path/of/python3"
    )


def _create(leg: Leg, python: Path) -> None:
    """Make an empty environment with venv, or with virtualenv where Debian keeps venv in another package."""
    folder = ROOT / leg.folder
    for module in ("venv", "virtualenv"):
        shutil.rmtree(folder, ignore_errors=True)
        if subprocess.run([python, "-m", module, folder], capture_output=True, check=False).returncode == 0:
            return
    shutil.rmtree(folder, ignore_errors=True)
    package = _ask(python, "'python%d.%d-venv' % sys.version_info[:2]")
    raise CannotPrepare(
        f"{python} made no virtual environment, most likely because its venv module is missing. "
        f"On Debian or Ubuntu: apt-get install {package}"
    )


def _ask(python: Path, expression: str) -> str:
    question: list[str | Path] = [python, "-c", f"import sys; print({expression})"]
    return subprocess.run(question, capture_output=True, text=True, check=True).stdout.strip()


def _pip(leg: Leg, *arguments: str) -> None:
    done = subprocess.run([leg.bin / "python", *PIP, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise CannotPrepare(
            f"pip could not install into {leg.folder}:\n{said}\nMend that and run make again."
        )


# --- Stamps: what an environment was made from -----------------------------------------------------


def _packages_stamp(leg: Leg) -> str:
    # The place counts too: a copied environment still points at the tree it was copied from.
    return _digest(leg.pins.read_bytes(), bytes(ROOT / leg.folder))


def _project_stamp(leg: Leg) -> str:
    return _digest((ROOT / "pyproject.toml").read_bytes(), _packages_stamp(leg).encode())


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamped(leg: Leg, what: str, wanted: str) -> bool:
    stamp = ROOT / leg.folder / f".{what}"
    return (leg.bin / "python").exists() and stamp.exists() and stamp.read_text() == wanted


def _stamp(leg: Leg, what: str, value: str) -> None:
    (ROOT / leg.folder / f".{what}").write_text(value)


@contextmanager
def _timed(leg: Leg, what: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"{leg.folder}: {what} …", flush=True)
    yield
    print(f"{leg.folder}: ready, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
