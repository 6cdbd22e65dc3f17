"""The states and the moves between them."""

from __future__ import annotations

import re
from pathlib import Path

import tom_nightshift
from tom_nightshift.states import FINAL, MOVES, Hold, State

LEDGER = Path(tom_nightshift.__file__).parent / "ledger"


def test_two_states_are_open_and_six_are_final():
    assert len(State) == 8
    assert set(State) - FINAL == {State.WAITING, State.RUNNING}


def test_every_state_has_its_moves_and_a_final_one_has_none():
    assert set(MOVES) == set(State)
    assert {state for state, to in MOVES.items() if not to} == FINAL


def test_a_running_job_can_end_in_every_way_or_wait_again():
    assert MOVES[State.RUNNING] == FINAL | {State.WAITING}
    assert State.SUCCEEDED not in MOVES[State.WAITING]


def test_a_state_is_its_word():
    assert f"{State.WAITING} {Hold.UNTIL}{Hold.NONE}" == "waiting until"
    assert all(len(word) <= 10 for word in [*State, *Hold])  # as wide as the columns


def test_a_final_state_is_written_by_the_verbs_and_nowhere_else():
    writes = re.compile(r"SET (?:(?!WHERE)[\s\S])*?\bstate = ")
    writers = {file.name for file in LEDGER.glob("*.py") if writes.search(file.read_text())}
    assert writers == {"moves.py"}
