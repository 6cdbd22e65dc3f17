"""Whole TOMs, as TOM Toolkit's own tom_setup makes them, each in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tom_nightshift

PEOPLE = """
from django.contrib.auth.models import User
from tom_targets.models import Target
User.objects.create_superuser("boss", "boss@example.org", "pw")
Target.objects.create(name="M13", type="SIDEREAL", ra=250.4, dec=36.5, permissions="PUBLIC")
"""


class Site:
    """A TOM in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "mytom" / "settings.py"

    def run(self, *words: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        ours = str(Path(tom_nightshift.__file__).parents[1])
        # The settings of the test run are not this site's.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "NIGHTSHIFT_"))}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=kept | {"PYTHONPATH": ours, "PYTHONWARNINGS": "ignore"},
            input=given,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, script: str, *words: str):
        """What a script that runs inside the site answers."""
        said = self.run("-c", script, *words).stdout
        return json.loads(said.split("ANSWER", 1)[1])

    def add_the_line(self, **settings: object) -> None:
        text = self.settings.read_text()
        assert "INSTALLED_APPS = TOMTOOLKIT_INSTALLED_APPS + [" in text
        text = text.replace("INSTALLED_APPS = TOM", "INSTALLED_APPS = ['tom_nightshift'] + TOM")
        self.settings.write_text(f"{text}\nNIGHTSHIFT = {settings!r}\n" if settings else text)

    def take_the_line_out(self) -> None:
        self.settings.write_text(self.settings.read_text().replace("['tom_nightshift'] + ", ""))


@pytest.fixture(scope="session")
def as_tom_setup_leaves_it(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("fresh") / "mytom"
    folder.mkdir()
    site = Site(folder)
    site.run("-m", "django", "startproject", "mytom", ".")
    site.settings.write_text(
        site.settings.read_text().replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'tom_setup',")
    )
    site.run("manage.py", "tom_setup", given="y\n\n1\nn\n")
    site.run("manage.py", "migrate", "--verbosity=0")
    site.run("manage.py", "shell", "-c", PEOPLE)
    return folder


@pytest.fixture(scope="session")
def with_our_tables(as_tom_setup_leaves_it, tmp_path_factory) -> Path:
    """The same after ``migrate`` with the line, which is there no longer: a test adds its own."""
    site = _copy(as_tom_setup_leaves_it, tmp_path_factory.mktemp("migrated") / "mytom")
    site.add_the_line()
    site.run("manage.py", "migrate", "--verbosity=0")
    site.take_the_line_out()
    return site.folder


@pytest.fixture
def site(as_tom_setup_leaves_it, tmp_path) -> Site:
    """A TOM of the test's own, without the line and without our tables."""
    return _copy(as_tom_setup_leaves_it, tmp_path / "mytom")


@pytest.fixture
def migrated(with_our_tables, tmp_path) -> Site:
    """A TOM of the test's own, without the line and with our tables."""
    return _copy(with_our_tables, tmp_path / "migrated")


def _copy(source: Path, folder: Path) -> Site:
    return Site(shutil.copytree(source, folder))
