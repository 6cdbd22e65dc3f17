"""The tree in the docstring is the tree in the code."""

from __future__ import annotations

import inspect
import pickle
import re
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured

from tom_nightshift import exceptions
from tom_nightshift.exceptions import Later


def drawn():
    """(name, parent) of each line of the tree."""
    parents: list[str] = []
    found = []
    for line in (exceptions.__doc__ or "").splitlines():
        if match := re.match(r"^ {4}([│├└─ ]*)(\w+)(\s|$)", line):
            depth = len(match[1]) // 4
            del parents[depth:]
            found.append((match[2], parents[-1] if parents else None))
            parents.append(match[2])
    return set(found)


def coded():
    kinds = [
        kind
        for _, kind in inspect.getmembers(exceptions, inspect.isclass)
        if kind.__module__ == exceptions.__name__
    ]
    names = {kind.__name__ for kind in kinds}
    return {
        (kind.__name__, next((b.__name__ for b in kind.__bases__ if b.__name__ in names), None))
        for kind in kinds
    }


def test_they_are_the_same():
    assert drawn() == coded()


def test_wrong_settings_are_djangos_kind_of_error_too():
    assert issubclass(exceptions.SettingsRefused, ImproperlyConfigured)


NIGHT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("later", [Later(5, "for ATLAS"), Later(until=NIGHT, words="the night")], ids=str)
def test_later_can_leave_the_process_that_runs_a_job_alone(later):
    there = pickle.loads(pickle.dumps(later))
    assert (type(there), str(there)) == (Later, str(later))
    assert (there.seconds, there.until) == (later.seconds, later.until)
