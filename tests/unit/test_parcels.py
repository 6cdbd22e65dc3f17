"""What comes out of a process that ran one job alone: the error with all that caused it."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest

from tom_nightshift.exceptions import Unportable
from tom_nightshift.ledger.hooks import traceback_of
from tom_nightshift.worker.parcels import Ended, Said, packed


def caught(*chain):
    """What is raised in the worker when this was raised there, each error caused by the next."""
    for effect, cause in pairwise(chain):
        effect.__cause__ = cause
    ended = pickle.loads(packed(Ended.by(chain[0], Said([], None, [], []), "")))
    with pytest.raises(type(ended.raised)) as found:
        ended.value()
    return found.value


def test_an_error_keeps_what_caused_it():
    error = caught(RuntimeError("no picture"), KeyError("frame 3"), OSError("disk full"))
    assert repr(error.__cause__) == "KeyError('frame 3')"
    assert repr(error.__cause__.__cause__) == "OSError('disk full')"
    assert error.__cause__.__cause__.__cause__ is None
    assert traceback_of(error).count("direct cause") == 2


def test_one_that_cannot_travel_takes_no_other_with_it():
    class Local(Exception):
        """Cannot be pickled."""

    error = caught(RuntimeError("no picture"), Local("frame 3"), OSError("disk full"))
    assert type(error) is RuntimeError
    assert isinstance(error.__cause__, Unportable)
    assert (error.__cause__.kind, str(error.__cause__)) == ("Local", "frame 3")
    assert repr(error.__cause__.__cause__) == "OSError('disk full')"
