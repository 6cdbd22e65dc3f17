"""The outcomes of many attempts in one transaction: the common ones together, the others one by one."""

from __future__ import annotations

from collections.abc import Sequence

from tom_nightshift.ledger import moves, outcomes
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.moves import End, Token
from tom_nightshift.ledger.outcomes import Outcome
from tom_nightshift.ledger.reporter import write_logs, write_stage
from tom_nightshift.ledger.session import Sql
from tom_nightshift.states import State

Ended = tuple[Attempt, Outcome]

PLAIN = (State.SUCCEEDED, State.WARNED, State.FAILED)


def write(sql: Sql, ended: Sequence[Ended]) -> list[bool]:
    """Write outcomes as ``outcomes.write`` does each. Which attempts still held their rows, in order."""
    plain = [item for item in ended if _is_plain(*item)]
    accepted = _write_together(sql, plain) if plain else set()
    return [
        attempt.token in accepted if _is_plain(attempt, outcome) else outcomes.write(sql, attempt, outcome)
        for attempt, outcome in ended
    ]


def _is_plain(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether the row itself has all that is written down of the attempt."""
    return outcome.state in PLAIN and not outcome.charge and not attempt.traceback


def _write_together(sql: Sql, ended: Sequence[Ended]) -> set[Token]:
    for attempt, _ in ended:
        outcomes.write_last_progress(sql, attempt)
        write_stage(sql, attempt)
    accepted = moves.finish_all(sql, [_end(*item) for item in ended])
    if accepted:
        moves.record_finished(sql, accepted)
        kept = [attempt for attempt, _ in ended if attempt.token in accepted]
        write_logs(sql, [(attempt, piece) for attempt in kept for piece in attempt.log.rest()])
    for attempt, outcome in ended:
        if attempt.token not in accepted:
            outcomes.note_late(sql, attempt, outcome)
    return accepted


def _end(attempt: Attempt, outcome: Outcome) -> End:
    result = outcomes.result_json(attempt)
    return End(attempt.token, outcome.state, outcome.reason, outcome.words, result)
