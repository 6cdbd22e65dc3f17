"""Who of those that wait for a limit or a rate may begin.

A job with a ``limit_key`` or a ``rate_key`` is held when it is asked for, and whenever it waits again. A
dispatcher admits it in the transaction in which it claims: to its limit first, so that it has a slot while it
waits for its rate, then by its rate. So a claim checks nothing and scans nothing that it may not take, and no
caller's transaction waits for a slot.

A slot is taken by a row that is admitted, which is one that is open and held by nothing, or by its rate. None
is stored: so none leaks, whatever dies. Whoever frees one rings, or is a dispatcher; a poll lies beneath it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tom_nightshift.ledger import bell
from tom_nightshift.ledger.holding import NOT_PAUSED
from tom_nightshift.ledger.session import Sql, any_in_order
from tom_nightshift.ledger.window import Window
from tom_nightshift.states import Hold

ADMITTED = "limit_key > '' AND state IN ('waiting', 'running') AND hold IN ('', 'rate')"
"""SQL, as the index has it."""

ANYBODY_WAITS = " OR ".join(
    any_in_order(f"state = 'waiting' AND hold = '{hold}'", f"{hold}_key") for hold in (Hold.LIMIT, Hold.RATE)
)

_RELEASED = "rate_key > '' AND state = 'waiting' AND hold = ''"

_LOCK = 0x4E49474854
"""Whoever admits on PostgreSQL takes this one: two that count at once would both see the last slot free."""


@dataclass(frozen=True, slots=True)
class Slots:
    """A key of which some wait, and how many more of it may begin."""

    key: str
    free: int


@dataclass(frozen=True, slots=True)
class Pace:
    """A key of which some wait for their rate."""

    key: str
    window: Window
    now: float
    is_under_way: bool
    """Some that were let go have not begun: more now would begin with them, and too many at once."""

    @property
    def room(self) -> int:
        """How many more may begin now."""
        return 0 if self.is_under_way else self.window.room()


def is_called_for(sql: Sql) -> bool:
    """Whether ``admit`` would find somebody; takes no lock."""
    if not _anybody_waits(sql):
        return False
    return any(one.free > 0 for one in slots(sql)) or any(one.room > 0 for one in paces(sql))


def seconds_until_open(sql: Sql) -> float | None:
    """Seconds until the next that waits for its rate may begin; None: nobody does."""
    if not _anybody_waits(sql):
        return None
    return min((one.window.opens_at() - one.now for one in paces(sql) if not one.is_under_way), default=None)


def admit(sql: Sql, at_most: int) -> int:
    """Let all those begin that may. The number of jobs that are held by nothing more.

    Parameters:
        at_most: how many of each rate: so many as can begin at once, since to be let go counts as to begin.
    """
    if not is_called_for(sql):
        return 0
    if sql.vendor == "postgresql":
        sql.run(f"SELECT pg_advisory_xact_lock({_LOCK})")
    admitted = sum(_admit_to_slots(sql, one) for one in slots(sql) if one.free > 0)
    admitted += sum(_let_go(sql, one, min(one.room, at_most)) for one in paces(sql))
    if admitted and not at_most:
        sql.afterwards.append(bell.ring)  # who admits them takes no more jobs
    return admitted


def slots(sql: Sql) -> Iterator[Slots]:
    """The keys of which some wait for a slot. Of a key that nobody has declared one job may run at a time."""
    rows = sql.rows(
        f"{_waiting_for(Hold.LIMIT)} SELECT waiting.key, coalesce(number, 1) - "
        f"(SELECT count(*) FROM tom_nightshift_job WHERE {ADMITTED} AND limit_key = waiting.key) "
        f"FROM waiting {_ROW_OF_KEY}",
        [Hold.LIMIT],
    )
    return (Slots(*row) for row in rows)


def use_of(sql: Sql, key: str) -> tuple[int, int]:
    """(slots, how many are taken) of one key."""
    ((slots, taken),) = sql.rows(
        "SELECT coalesce((SELECT number FROM tom_nightshift_limit WHERE kind = 'limit' AND key = %s), 1), "
        f"(SELECT count(*) FROM tom_nightshift_job WHERE {ADMITTED} AND limit_key = %s)",
        [key, key],
    )
    return int(slots), int(taken)


def paces(sql: Sql) -> Iterator[Pace]:
    """The keys of which some wait for their rate. Of one that nobody has declared one may begin a minute."""
    rows = sql.rows(
        f"{_waiting_for(Hold.RATE)} SELECT waiting.key, coalesce(number, 1), coalesce(period, 60), "
        f"coalesce(recent, '[]'), {sql.epoch}, "
        f"EXISTS (SELECT 1 FROM tom_nightshift_job WHERE {_RELEASED} AND rate_key = waiting.key) "
        f"FROM waiting {_ROW_OF_KEY}",
        [Hold.RATE],
    )
    for key, number, period, recent, now, is_under_way in rows:
        yield Pace(key, Window.read(number, period, recent, float(now)), float(now), bool(is_under_way))


def _anybody_waits(sql: Sql) -> bool:
    """On most sites nobody does, and this is all that it costs."""
    return bool(sql.rows(f"SELECT {ANYBODY_WAITS}")[0][0])


_ROW_OF_KEY = (
    "LEFT JOIN tom_nightshift_limit ON kind = %s AND tom_nightshift_limit.key = waiting.key "
    "WHERE waiting.key IS NOT NULL"
)


def _waiting_for(hold: Hold) -> str:
    """SQL for the keys of jobs that are held so: it leaps from key to key in their index, however many jobs
    each of them has.
    """
    column = f"{hold}_key"
    held = f"SELECT min({column}) FROM tom_nightshift_job WHERE state = 'waiting' AND hold = '{hold}'"
    return (
        f"WITH RECURSIVE waiting(key) AS ({held} UNION ALL SELECT ({held} AND {column} > waiting.key) "
        "FROM waiting WHERE waiting.key IS NOT NULL)"
    )


def _admit_to_slots(sql: Sql, one: Slots) -> int:
    rows = sql.rows(
        "UPDATE tom_nightshift_job SET hold = CASE WHEN rate_key > '' THEN 'rate' ELSE '' END "
        f"WHERE state = 'waiting' AND hold = 'limit' AND {NOT_PAUSED} "
        f"AND id {sql.among_free(_soonest(Hold.LIMIT))} RETURNING hold",
        [one.key, one.free],
    )
    return len([hold for (hold,) in rows if not hold])


def _let_go(sql: Sql, one: Pace, many: int) -> int:
    if many <= 0:
        return 0
    released = sql.run(
        "UPDATE tom_nightshift_job SET hold = '' "
        f"WHERE state = 'waiting' AND hold = 'rate' AND {NOT_PAUSED} "
        f"AND id {sql.among_free(_soonest(Hold.RATE))}",
        [one.key, many],
    )
    one.window.take(released, one.now)
    sql.run(
        "INSERT INTO tom_nightshift_limit (kind, key, template, number, period, recent, used_at) "
        f"VALUES ('rate', %s, '', %s, %s, %s, {sql.now}) "
        "ON CONFLICT (kind, key) DO UPDATE SET recent = excluded.recent, used_at = excluded.used_at",
        [one.key, one.window.number, one.window.period, one.window.written()],
    )
    return released


def _soonest(hold: Hold) -> str:
    return (
        f"SELECT id FROM tom_nightshift_job WHERE state = 'waiting' AND hold = '{hold}' "
        f"AND {hold}_key = %s AND {NOT_PAUSED} ORDER BY priority, ord, id LIMIT %s"
    )
