"""Things that can be done to the rows of jobs: as the engine does them, and as the model does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.model.crew import Hand, Worker
from tests.model.endings import Ending, on_lost
from tests.model.one_job import IN_THE_REQUEST, Words
from tests.model.world import World
from tom_nightshift.ledger import admission, holding, limits, moves, outcomes, rescue
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.claimed import attempt_from_row
from tom_nightshift.ledger.limits import Declared
from tom_nightshift.ledger.reporter import _heed, write_reports
from tom_nightshift.ledger.session import Sql
from tom_nightshift.states import Hold


def nothing() -> None:
    """What follows from most deeds."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One transaction."""

    act: Callable[[Sql], Any]
    """The engine does it; its answer."""

    expect: Callable[[], Any]
    """The model does it; what the engine must answer."""

    once_kept: Callable[[], None] = nothing
    """What the process that did it does once its transaction is committed."""


class Deeds:
    """Makes them. To make one does nothing yet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._numbers = count(1)

    # --- what a worker does ---

    def claim(self, worker: Worker, limit: int) -> Deed:
        taken: list[Hand] = []

        def act(sql: Sql) -> Any:
            rows = moves.claim(sql, worker.name, worker.queues, limit)
            taken[:] = [Hand(*attempt_from_row(row)) for row in rows]
            return [hand.token for hand in taken]

        return Deed(
            act,
            lambda: self.world.claim(worker.name, worker.queues, limit),
            lambda: worker.in_hand.extend(taken),
        )

    def turn(self, worker: Worker, limit: int) -> Deed:
        """As a dispatcher turns: what is due is released, admitted and claimed in one transaction."""
        claim = self.claim(worker, limit)
        return Deed(
            lambda sql: (moves.release_due(sql), admission.admit(sql, limit), claim.act(sql)),
            lambda: (self.world.release_due(), self.world.admit(limit), claim.expect()),
            claim.once_kept,
        )

    def admit(self, at_most: int) -> Deed:
        return Deed(lambda sql: admission.admit(sql, at_most), lambda: self.world.admit(at_most))

    def renumber(self, key: str, slots: int) -> Deed:
        declared = Declared(Hold.LIMIT, key, slots)
        return Deed(lambda sql: limits.renew(sql, [declared]), lambda: self.world.turns.renumber(key, slots))

    def claim_in_request(self, job_id: int, in_hand: list[Hand]) -> Deed:
        taken: list[Hand] = []

        def act(sql: Sql) -> Any:
            row = moves.claim_one(sql, IN_THE_REQUEST, job_id)
            taken[:] = [Hand(*attempt_from_row(row))] if row else []
            return [hand.token for hand in taken]

        return Deed(act, lambda: self.world.claim_one(job_id), lambda: in_hand.extend(taken))

    def report(self, hand: Hand) -> Deed:
        attempt, words = hand.attempt, self._say(hand.attempt)
        news: list[tuple[Any, ...]] = []

        def act(sql: Sql) -> bool:
            news[:] = write_reports(sql, attempt, attempt.log.take())
            return bool(news[0][0]) if news else True

        def heard() -> None:
            attempt.reports.changed = False
            _heed(attempt, news)

        return Deed(act, lambda: self.world.report(hand.token, words), heard)

    def urge(self, hand: Hand, stage: int, seconds: float | None) -> Deed:
        return Deed(
            lambda sql: moves.stop_stage(sql, hand.token, stage, seconds),
            lambda: self.world.urge(hand.token, stage, has_next=seconds is not None),
        )

    def end(self, hand: Hand, ending: Ending, *, last_words: bool) -> Deed:
        outcome, end = ending
        words = self._say(hand.attempt) if last_words else None
        return Deed(
            lambda sql: outcomes.write(sql, hand.attempt, outcome),
            lambda: self.world.end(hand.token, end, words),
        )

    # --- what people and the clock do ---

    def stop(self, job_id: int, by: str) -> Deed:
        return Deed(lambda sql: moves.stop(sql, job_id, by), lambda: self.world.stop(job_id, by))

    def release(self, job_ids: list[int]) -> Deed:
        return Deed(lambda sql: moves.release(sql, job_ids), lambda: self.world.release(job_ids))

    def expire(self) -> Deed:
        return Deed(moves.expire, self.world.expire)

    def pause(self, queue: str, by: str) -> Deed:
        return Deed(lambda sql: holding.pause(sql, queue, by), lambda: self.world.pause(queue, by))

    def resume(self, queue: str) -> Deed:
        return Deed(lambda sql: holding.resume(sql, queue), lambda: self.world.resume(queue))

    def put_holds_right(self) -> Deed:
        return Deed(holding.put_right, self.world.put_holds_right)

    # --- who is alive ---

    def begin(self, worker: Worker) -> Deed:
        """Write the row and say which tasks are known here."""

        def act(sql: Sql) -> int:
            worker.begin(sql)
            return moves.release_parked(sql, sorted(worker.knows))

        def expect() -> int:
            self.world.register(worker.name, elsewhere=worker.elsewhere)
            return self.world.release_parked(worker.knows)

        return Deed(act, expect)

    def beat(self, worker: Worker) -> Deed:
        """Say that it lives; where its row is there, put right what it can see."""

        def act(sql: Sql) -> bool:
            assert worker.presence is not None
            return worker.presence.beat(sql)

        return Deed(act, lambda: self.world.beat(worker.name))

    def put_right(self, worker: Worker) -> Deed:
        """What a worker does with each beat; how much there was to do, by name."""
        held, before = [hand.token for hand in worker.in_hand], set(worker.missing)
        fresh: set[tuple[int, int]] = set()

        def act(sql: Sql) -> Any:
            missing = rescue.missing(sql, worker.name, held)
            again = {token: task for token, task in missing.items() if token in before}
            fresh.update(missing.keys() - again.keys())
            return {
                "missing": len(fresh),
                "returned": rescue.return_missing(sql, again, on_lost),
                "orphans": rescue.return_orphans(sql, rescue.orphans(sql), on_lost),
                **_swept(sql, sorted(worker.knows)),
            }

        def expect() -> Any:
            missing = self.world.missing(worker.name, held)
            return {
                "missing": len(missing - before),
                "returned": self.world.return_missing(missing & before),
                "orphans": self.world.return_orphans(),
                "parked": _asked_first(self.world.release_parked(worker.knows)),
                "due": _asked_first(self.world.release_due()),
                "held wrongly": _asked_first(self.world.put_holds_right()),
                "too old": _asked_first(self.world.expire()),
            }

        def remember() -> None:
            worker.missing = fresh

        return Deed(act, expect, remember)

    def leave(self, worker: Worker) -> Deed:
        def act(sql: Sql) -> None:
            assert worker.presence is not None
            worker.presence.leave(sql)

        return Deed(act, lambda: self.world.leave(worker.name))

    def sign_off(self, worker: Worker) -> Deed:
        gone: list[bool] = []

        def act(sql: Sql) -> bool:
            assert worker.presence is not None
            gone[:] = [worker.presence.sign_off(sql)]
            return gone[0]

        return Deed(
            act, lambda: self.world.sign_off(worker.name), lambda: worker.end_well() if gone[0] else None
        )

    def rescue(self, by: Worker, *, by_silence: bool) -> Deed:
        name = by.name
        return Deed(
            lambda sql: rescue.rescue(sql, name, on_lost, by_silence=by_silence),
            lambda: self.world.rescue(name, by_silence=by_silence),
        )

    def _say(self, attempt: Attempt) -> Words:
        """Say something that was never said before."""
        number = next(self._numbers)
        attempt.reports.done, attempt.reports.changed = float(number), True
        attempt.reports.saved = {"steps": {"said": number}}
        attempt.log.add(f"line {number}")
        return Words(number, f"line {number}")


def _swept(sql: Sql, tasks: list[str]) -> dict[str, tuple[bool, int]]:
    """Each sweep is asked first whether there is something to do."""
    return {
        "parked": (moves.anything_parked(sql, tasks), moves.release_parked(sql, tasks)),
        "due": (moves.anything_due(sql), moves.release_due(sql)),
        "held wrongly": (holding.is_wrong(sql), holding.put_right(sql)),
        "too old": (moves.anything_too_old(sql), moves.expire(sql)),
    }


def _asked_first(number: int) -> tuple[bool, int]:
    return number > 0, number
