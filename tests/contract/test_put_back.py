"""An attempt that began and ends before its job does: what becomes of one that must not run twice."""

from __future__ import annotations

import pytest
from dramatiq.middleware import Shutdown

from tom_nightshift.exceptions import ProcessDied
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.options import Terms
from tom_nightshift.ledger.outcomes import decide
from tom_nightshift.ledger.putting_back import put_back
from tom_nightshift.states import State


@pytest.mark.parametrize(
    ("why", "on_lost", "stop_requested", "state", "charge"),
    [
        (Shutdown(), "again", False, State.WAITING, ""),
        (Shutdown(), "lost", False, State.LOST, ""),
        (ProcessDied(), "again", False, State.WAITING, "losses"),
        (ProcessDied(), "lost", False, State.LOST, "losses"),
        (ProcessDied(), "again", True, State.STOPPED, "losses"),
        (ProcessDied(), "lost", True, State.STOPPED, "losses"),
    ],
)
def test_it_runs_again_only_if_it_may_and_nobody_stopped_it(why, on_lost, stop_requested, state, charge):
    attempt = Attempt(1, 1, "task", "default", terms=Terms(on_lost=on_lost), stop_requested=stop_requested)
    put_back(attempt, why)
    outcome = decide(attempt, acked=True)
    assert (outcome.state, outcome.charge) == (state, charge)
