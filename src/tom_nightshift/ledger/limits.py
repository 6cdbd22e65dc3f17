"""``limit`` and ``rate``: what tasks declare, and the rows that say what was declared last.

| declared                        | means                                                      |
|---------------------------------|------------------------------------------------------------|
| ``limit=2``                     | at most 2 jobs of this task at a time, on all machines     |
| ``limit=("ATLAS", 2)``          | at most 2 of all tasks that name ATLAS                     |
| ``rate="10/m"``                 | at most 10 begin in any minute (``s``, ``m``, ``h``, ``d``) |
| ``rate=("ATLAS-{site}", "5/s")`` | of each key that the arguments make                        |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dramatiq import Actor

from tom_nightshift.exceptions import OptionRefused
from tom_nightshift.ledger import keys
from tom_nightshift.ledger.session import Sql
from tom_nightshift.states import Hold

PERIODS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
"""Seconds."""

MOST = 1_000_000

Declarations = Mapping["Declared", str]
"""What a job falls under, and its key."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A limit or a rate, as a task declares it."""

    kind: Hold
    template: str
    """Makes the key."""

    number: int
    """Jobs at a time, or in a period."""

    period: float = 0.0
    """Seconds; 0: no rate."""

    @property
    def numbers(self) -> tuple[int, float]:
        """As its row has them."""
        return self.number, self.period

    @property
    def pace(self) -> float:
        """The lower, the stricter."""
        return self.number / (self.period or 1.0)


def settle(actor: Actor[Any, Any]) -> None:
    """Check what a task declares.

    Raises:
        OptionRefused: a value cannot be used, or names an argument that the task does not have.
    """
    for one in declared(actor):
        keys.check_template(actor, str(one.kind), one.template)


def declared(actor: Actor[Any, Any]) -> Iterator[Declared]:
    """What a task declares.

    Raises:
        OptionRefused: a value cannot be used.
    """
    limit, rate = actor.options.get("limit"), actor.options.get("rate")
    if limit is not None:
        template, slots = _pair(actor, "limit", limit, "('ATLAS', 2), or 2")
        yield Declared(Hold.LIMIT, template, _slots(actor.actor_name, slots))
    if rate is not None:
        template, text = _pair(actor, "rate", rate, "('ATLAS', '10/m'), or '10/m'")
        yield Declared(Hold.RATE, template, *_rate(actor.actor_name, text))


def of_call(actor: Actor[Any, Any] | None, arguments: Mapping[str, Any]) -> Declarations:
    """What one call of a task falls under.

    Parameters:
        actor: the task, where this process knows it.
        arguments: those of the call, by name.

    Raises:
        ArgumentsRefused: the arguments make no key.
    """
    if actor is None:
        return {}
    return {one: keys.filled(actor, str(one.kind), one.template, arguments) for one in declared(actor)}


def columns(declarations: Declarations) -> dict[str, str]:
    """The columns of the job's row."""
    return {"limit_key": "", "rate_key": ""} | {f"{one.kind}_key": key for one, key in declarations.items()}


def note(sql: Sql, declarations: Declarations) -> None:
    """See that each key has its row, in the transaction that writes the job. What is there stays: it belongs
    to the workers, and a caller's transaction must not keep them from it.
    """
    for one, key in declarations.items():
        sql.run(
            "INSERT INTO tom_nightshift_limit (kind, key, template, number, period, recent, used_at) "
            f"VALUES (%s, %s, %s, %s, %s, '[]', {sql.now}) ON CONFLICT DO NOTHING",
            [one.kind, key, one.template, one.number, one.period],
        )


def renew(sql: Sql, all_declared: Iterable[Declared]) -> int:
    """A worker that starts says what its tasks declare, and from now on that holds; where they differ, the
    strictest. How many times a row said otherwise.
    """
    loosest_first = sorted(all_declared, key=lambda one: one.pace, reverse=True)
    return sum(
        sql.run(
            "UPDATE tom_nightshift_limit SET number = %s, period = %s "
            "WHERE kind = %s AND template = %s AND (number <> %s OR period <> %s)",
            [one.number, one.period, one.kind, one.template, one.number, one.period],
        )
        for one in loosest_first
    )


UNUSED = 90 * 86_400.0
"""Seconds after which a key that nobody uses is forgotten: keys may have arguments in them."""


def forget_unused(sql: Sql) -> int:
    """Remove the rows of keys that no open job has and that nobody has used for long. How many."""
    return sql.run(
        f"DELETE FROM tom_nightshift_limit WHERE used_at < {sql.after(-UNUSED)} AND NOT EXISTS "
        "(SELECT 1 FROM tom_nightshift_job WHERE state IN ('waiting', 'running') AND "
        "(limit_key = tom_nightshift_limit.key OR rate_key = tom_nightshift_limit.key))"
    )


def _pair(actor: Actor[Any, Any], option: str, value: Any, form: str) -> tuple[str, Any]:
    """The template and what is said of it; without one, the task's own name."""
    if not isinstance(value, tuple | list):
        return _literal(actor.actor_name), value
    if len(value) == 2 and isinstance(value[0], str) and 0 < len(value[0]) <= keys.LONGEST:
        return value[0], value[1]
    raise OptionRefused(
        f"{actor.actor_name}: {option} is {value!r}: it takes {form}; the name has 1 to {keys.LONGEST} "
        "characters."
    )


def _literal(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")


def _slots(task: str, slots: Any) -> int:
    if isinstance(slots, int) and not isinstance(slots, bool) and 1 <= slots <= MOST:
        return slots
    raise OptionRefused(
        f"{task}: limit is {slots!r}: it takes the number of jobs at a time, 1 or more, as in ('ATLAS', 2)."
    )


def _rate(task: str, text: Any) -> tuple[int, float]:
    """How many, in how many seconds."""
    match = re.fullmatch(r"(\d+)/([smhd])", text) if isinstance(text, str) else None
    if match and 1 <= int(match[1]) <= MOST:
        return int(match[1]), PERIODS[match[2]]
    meant = _meant(text)
    raise OptionRefused(
        f"{task}: rate is {text!r}: it takes a whole number, 1 or more, and s, m, h or d (a second, minute, "
        f"hour, day){f': you mean {meant!r}' if meant else ', as in 10/m'}."
    )


def _meant(text: Any) -> str:
    """The right form that is nearest; empty if there is none."""
    match = re.match(r"\s*0*([1-9]\d*)\D{0,20}?\b([smhd])[a-z]*\.?\s*$", str(text).lower())
    return f"{match[1]}/{match[2]}" if match else ""
