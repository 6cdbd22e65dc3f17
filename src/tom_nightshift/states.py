"""The states of a job, the reasons why a waiting one is held, and the moves that are legal.

Plain names, without Django's models, so that every floor can speak of them.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a job stands. Two states are open, six are final; a final row never moves again."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    WARNED = "warned"
    """Done, with warnings."""
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"
    """The worker died and the task must not run twice: nobody knows whether it finished."""
    EXPIRED = "expired"
    """Nobody began it before it was too old to be of use."""


class Hold(StrEnum):
    """Why a waiting job may not be claimed now. Held jobs are outside the index of what is ready."""

    NONE = ""
    UNTIL = "until"
    PAUSED = "paused"
    PARKED = "parked"
    LIMIT = "limit"
    RATE = "rate"


FINAL = frozenset(
    {State.SUCCEEDED, State.WARNED, State.FAILED, State.STOPPED, State.LOST, State.EXPIRED},
)

ENDED_BADLY = (State.FAILED, State.LOST, State.STOPPED, State.EXPIRED)
"""The final states of jobs that did not do what they were asked for."""

MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RUNNING, State.STOPPED, State.EXPIRED, State.FAILED}),
    State.RUNNING: FINAL | {State.WAITING},
    **dict.fromkeys(FINAL, frozenset()),
}
