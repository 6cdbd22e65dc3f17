"""The one thread of a worker process that claims jobs and writes their outcomes.

Worker threads hand outcomes over; one transaction writes those and claims the next jobs. A process claims at
most as many jobs as it has free threads, over all its queues: nothing is claimed ahead.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from tom_nightshift import events
from tom_nightshift.ledger import admission, moves, outcomes
from tom_nightshift.ledger.attempt import Attempt
from tom_nightshift.ledger.bell import Bell
from tom_nightshift.ledger.claimed import attempt_from_row
from tom_nightshift.ledger.handing_over import HandedOver, HandOver, write_together
from tom_nightshift.ledger.in_hand import InHand
from tom_nightshift.ledger.lookout import POLL, SOON, Lookout
from tom_nightshift.ledger.notices import ListeningConnection
from tom_nightshift.ledger.outcomes import Outcome
from tom_nightshift.ledger.presence import Presence
from tom_nightshift.ledger.reporter import Reporter
from tom_nightshift.ledger.session import AWAY, UNREACHABLE, Sql
from tom_nightshift.ledger.turns import Turns
from tom_nightshift.states import State

WAIT_FOR_COMMIT = 0.05
"""An attempt longer than this, in seconds, waits until its outcome is committed before its thread goes on,
unless its task says otherwise: what has taken long is not to be done twice for a moment's gain."""

LOOK_AGAIN = 0.05

Delivery = tuple[Attempt, bytes]
"""A claimed job, and its message."""

Claim = Callable[[Sql], list[moves.Row]]
Deliver = Callable[[list[moves.Row]], None]

Mailbox = queue.SimpleQueue[list[Delivery]]
"""Of one queue: all that a claim brings comes as one letter, so that its reader is woken once."""


class Dispatcher(threading.Thread):
    """Owns the connection, the claim and the flush of one worker process.

    Parameters:
        threads: how many jobs may be in hand at a time.
        queues: names of the queues that this process listens to, for the row that names it.
        known_tasks: gives the names of the tasks that this process can run.
    """

    def __init__(
        self, threads: int, queues: Sequence[str], known_tasks: Callable[[], list[str]], reporter: Reporter
    ) -> None:
        super().__init__(name="nightshift-dispatcher", daemon=True)
        self.threads = threads
        self.queues = list(queues)
        self.known_tasks = known_tasks
        self.reporter = reporter
        self.presence = Presence(threads)
        self.connection = ListeningConnection()
        self.bell = Bell()
        self.mailboxes: dict[str, Mailbox] = {}
        self.in_hand = InHand()
        self.registered = threading.Event()
        self.anew = False
        """Others took this worker for dead: it registers under a new name."""

        self.retiring = ""
        """Why this process should take no more jobs and give way to another."""

        self.finished = 0
        """Attempts that have ended here."""

        self.idle = threading.Event()
        """Set while nothing is in hand and nothing is ready."""

        self._handed_over = HandOver(self._settle)
        self._lookout = Lookout()
        self._turns = Turns()
        self._claim_was_full = False
        self._claiming = True
        self._has_said_leaving = False
        self._stopping = False
        self._told = threading.Event()
        self._away_since: float | None = None

    def open_mailbox(self, queue_name: str) -> Mailbox:
        """From now on jobs of this queue are claimed and put into the mailbox returned."""
        mailbox = self.mailboxes.setdefault(queue_name, queue.SimpleQueue())
        self.bell.ring_here()
        return mailbox

    def hand_over(self, attempt: Attempt, outcome: Outcome, *, waits: bool = False) -> None:
        """Take over how an attempt ended; a thread that is to wait until that is committed waits here.

        Parameters:
            waits: whether it is, whatever its task says.
        """
        waits = threading.current_thread() is not self and (waits or _waits_for_commit(attempt))
        written = threading.Event() if waits else None
        self._put(HandedOver(attempt, outcome, written))
        while written is not None and self.is_alive() and not written.wait(1.0):
            pass

    def _put(self, item: HandedOver) -> None:
        self.reporter.forget(item.attempt)
        self._handed_over.put(item)
        self.bell.ring_here()

    def declared_dead(self) -> None:
        """Others took this worker for dead and gave its jobs away: end what runs, and register anew."""
        self.in_hand.interrupt()
        self.anew = True
        self.bell.ring_here()

    def retire(self, why: str) -> None:
        """Ask that this process take no more jobs and give way to another."""
        self.retiring = self.retiring or why

    def stop_claiming(self, *, leaving: bool = True) -> None:
        """Claim nothing more; outcomes are still written.

        Parameters:
            leaving: whether what is still in hand at the end is charged to nobody.
        """
        self._claiming = False
        self._has_said_leaving = not leaving
        self._told.set()
        self.bell.ring_here()

    @property
    def wants(self) -> int:
        """How many jobs may be in hand at a time; none once it claims no more."""
        return self.threads if self._claiming else 0

    def wait_for_running_jobs(self, seconds: float) -> None:
        """Wait until everything in hand has ended and is written, but for what is stuck, at most so many
        seconds.
        """
        deadline = time.monotonic() + seconds
        while self.in_hand.can_end and self.is_alive() and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)

    def give_up_stuck(self) -> bool:
        """Write the outcome of what does not end, for a process that ends now. Whether there was any.

        What is to run again is not written: those who see that this process is dead hand it back.
        """
        stuck = self.in_hand.stuck()
        for attempt in stuck:
            outcome = outcomes.forced(attempt)
            if outcome.state != State.WAITING:
                self._put(HandedOver(attempt, outcome))
        return bool(stuck)

    def stop(self, timeout: float = 10.0) -> None:
        """End the thread once every outcome handed over is written, at most after so many seconds."""
        self._stopping = True
        self._claiming = False
        self._told.set()
        self.bell.ring_here()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        self.bell.hang()
        while not self._is_done():
            worked = self._safely(self._turn)
            if not worked and not self._stopping:
                self._wait()
        self._safely(self._sign_off)
        self.connection.close()
        self._turns.close()
        self.bell.close()

    def _is_done(self) -> bool:
        if self._stopping:
            self._hand_back_unread()
        return self._stopping and not self._handed_over

    def _hand_back_unread(self) -> None:
        """A claim under way when the consumers closed has put its jobs where nobody reads any more."""
        for mailbox in self.mailboxes.values():
            while not mailbox.empty():
                for attempt, _ in mailbox.get_nowait():
                    self.hand_over(attempt, outcomes.hand_back())

    def _safely(self, turn: Callable[[], bool]) -> bool:
        """One turn; while the database is away, wait and say so. True if there may be more to do at once."""
        try:
            worked = turn()
        except AWAY as error:
            self._wait_for_database(error)
            return True
        except Exception as error:  # noqa: BLE001 - without this thread the process would hold its jobs for ever
            events.loop_failed(self.name, error)
            self.bell.wait(POLL)
            return True
        if self._away_since is not None:
            self._away_since = None
            events.database_back()
        return worked

    def _turn(self) -> bool:
        self._register()
        self._say_leaving()
        handed = self._handed_over.take()
        try:
            return self._write_and_claim(handed)
        finally:
            self._handed_over.give_back(handed)  # those that were not written

    def _write_and_claim(self, handed: list[HandedOver]) -> bool:
        """Whether there was anything to do."""
        free = self._free_threads(len(handed))
        ready = free > 0 and bool(self.mailboxes) and self._worth_claiming(bool(handed))
        self._note_idle(idle=not (ready or handed or self.in_hand))
        if not handed and not (ready and self._claiming):
            return False
        free = free if ready and self._claiming else 0
        return self._in_one_transaction(handed, lambda sql: self._claim(sql, free), self._deliver)

    def _in_one_transaction(self, handed: list[HandedOver], claim: Claim, deliver: Deliver) -> bool:
        """Outcomes of finished attempts, then the claim of the next. Whether anything was done."""
        had_any = bool(handed)
        try:
            with self._turns.mine(), self.connection.transaction() as sql:
                accepted = write_together(sql, handed)
                claimed = claim(sql)
        except UNREACHABLE:
            raise
        except Exception:
            if not handed:
                raise
            self._handed_over.write_one_by_one(self.connection, handed)
            return True
        self._handed_over.written(handed, accepted)
        deliver(claimed)
        return had_any or bool(claimed)

    def _claim(self, sql: Sql, free: int) -> list[moves.Row]:
        if self._lookout.any_due:
            moves.release_due(sql)
        if self._lookout.any_held:
            admission.admit(sql, free)
        claimed = moves.claim(sql, self.presence.name, list(self.mailboxes), free) if free else []
        self._claim_was_full = 0 < len(claimed) == free
        if claimed or self._lookout.any_due or self._lookout.any_held:
            self._lookout.forget()
        return claimed

    def _settle(self, done: Sequence[tuple[HandedOver, bool | None]]) -> None:
        moved: dict[tuple[str, str, str], list[int]] = {}
        for item, was_accepted in done:
            attempt, outcome = item.attempt, item.outcome
            self.in_hand.pop(attempt.token, None)
            if was_accepted:
                moved.setdefault((attempt.task, outcome.state, outcome.words), []).append(attempt.job_id)
            elif was_accepted is not None:
                events.late_outcome(attempt.job_id, attempt.number, outcome.state)
            if attempt.frame.interrupted:
                self.retire(f"job {attempt.job_id} was interrupted in its thread")
        for (task, state, words), job_ids in moved.items():
            events.jobs_moved(job_ids, task, state, words)
        self.finished += len(done)

    def _deliver(self, claimed: list[moves.Row]) -> None:
        letters: dict[str, list[Delivery]] = {}
        for attempt, message in map(attempt_from_row, claimed):
            self.in_hand[attempt.token] = attempt
            letters.setdefault(attempt.queue, []).append((attempt, message))
        for queue_name, letter in letters.items():
            self.mailboxes[queue_name].put(letter)

    def _note_idle(self, *, idle: bool) -> None:
        if idle and self.mailboxes:
            self.idle.set()
        else:
            self.idle.clear()

    def _free_threads(self, about_to_end: int) -> int:
        return self.threads - len(self.in_hand) + about_to_end

    def _worth_claiming(self, writes: bool) -> bool:
        """Whether to claim. Looked up before any lock is taken, unless one is taken anyway, or the last claim
        left some behind.
        """
        known = writes or self._claim_was_full
        if known and not self._lookout.is_overdue:
            return True
        with self.connection.reading() as sql:
            return self._lookout.look(sql, list(self.mailboxes)) or known

    def _wait(self) -> None:
        """For a ring; where a thread is free, also for a notice, and for the next job that is due."""
        may_claim = bool(self.mailboxes) and self._free_threads(0) > 0
        patience = self._lookout.patience() if may_claim else POLL
        patience = min(patience, SOON) if self.connection.is_alert else patience
        if self.bell.wait(patience, also=self.connection.fileno() if may_claim else None):
            self._lookout.forget()

    def _register(self) -> None:
        if self.registered.is_set() and not self.anew:
            return
        if self.anew:
            self.presence.release_lock()
            self.presence, self.anew, self._has_said_leaving = Presence(self.threads), False, False
            self.registered.clear()
        with self.connection.transaction() as sql:
            self.presence.register(sql, self.queues)
            moves.release_parked(sql, self.known_tasks())
        self.registered.set()
        queues = f"queues {', '.join(self.queues) or '(none)'}"
        events.worker_started(self.presence.name, self.threads, queues)

    def _say_leaving(self) -> None:
        if not self._claiming and not self._has_said_leaving:
            with self.connection.transaction() as sql:
                self.presence.leave(sql)
            self._has_said_leaving = True

    def _sign_off(self) -> bool:
        """Remove this worker's row. While rows of jobs name it, its lock stays until the process ends: others
        see that.
        """
        gone = True
        if self.registered.is_set():
            with self.connection.transaction() as sql:
                gone = self.presence.sign_off(sql)
            events.worker_stopped(self.presence.name)
        if gone:
            self.presence.release_lock()
        return False

    def _wait_for_database(self, error: BaseException) -> None:
        self.connection.close()
        self._lookout.forget()
        now = time.monotonic()
        self._away_since = self._away_since or now
        seconds = min(5.0, 0.5 + (now - self._away_since) / 2)
        events.database_away(error, seconds)
        # Not the bell: every outcome handed over rings it, and an absent database is not to be asked in a
        # hurry.
        (threading.Event() if self._told.is_set() else self._told).wait(seconds)


def _waits_for_commit(attempt: Attempt) -> bool:
    asked = attempt.terms.immediate_ack
    return attempt.seconds > WAIT_FOR_COMMIT if asked is None else asked
