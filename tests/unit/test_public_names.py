"""What ``from tom_nightshift import …`` gives, and when it is loaded."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import tom_nightshift


@pytest.mark.parametrize("name", tom_nightshift.__all__)
def test_every_public_name_is_there(name):
    assert getattr(tom_nightshift, name) is not None


def test_a_name_is_the_very_thing_it_stands_for():
    speaking = import_module("tom_nightshift.ledger.speaking")
    assert tom_nightshift.progress is speaking.progress
    assert tom_nightshift.TaskError is import_module("tom_nightshift.exceptions").TaskError


def test_an_unknown_name_is_refused_in_python_s_own_words():
    with pytest.raises(AttributeError, match="module 'tom_nightshift' has no attribute 'progres'"):
        tom_nightshift.progres  # noqa: B018 - reading it is what is tried
    with pytest.raises(ImportError, match="cannot import name 'progres'"):
        exec("from tom_nightshift import progres")


def test_to_import_the_package_loads_nothing_of_django_s():
    loaded = "import sys, tom_nightshift; print('django' in sys.modules or 'dramatiq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"
