"""How many jobs of a rate may begin now, so that in no period of time too many do.

The moments at which the last ones began are kept (a sliding log), so the whole number may begin at once, and
still no period has more. To stay small the log is kept in slices of a hundredth of the period, and each
counts as if it lay at its end: a little late, and never too many.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

SLICES = 100


@dataclass(slots=True)
class Window:
    """The rate of one key.

    Parameters:
        number: so many may begin in a period.
        period: seconds.
        taken: moment (seconds) → how many began by then.
    """

    number: int
    period: float
    taken: dict[float, int] = field(default_factory=dict)

    @classmethod
    def read(cls, number: int, period: float, recent: str, now: float) -> Window:
        """As its row has it, at this moment: what is longer ago than a period counts no more.

        A clock that was put back counts what has not come yet as of now: or nothing could begin for long.
        """
        taken: dict[float, int] = {}
        latest = _end_of_slice(now, period)
        for moment, many in json.loads(recent):
            if moment > now - period:
                when = min(moment, latest)
                taken[when] = taken.get(when, 0) + many
        return cls(number, period, taken)

    def room(self) -> int:
        """How many may begin now."""
        return max(0, self.number - sum(self.taken.values()))

    def take(self, many: int, now: float) -> None:
        """So many begin now."""
        if many:
            when = _end_of_slice(now, self.period)
            self.taken[when] = self.taken.get(when, 0) + many

    def opens_at(self) -> float:
        """The moment at which one more may begin."""
        over = sum(self.taken.values()) - self.number
        when = -math.inf
        for moment in sorted(self.taken):
            if over < 0:
                break
            over, when = over - self.taken[moment], moment + self.period
        return when

    def written(self) -> str:
        """As its row keeps it."""
        return json.dumps(sorted(self.taken.items()))


def _end_of_slice(now: float, period: float) -> float:
    length = period / SLICES
    return math.ceil(now / length) * length
