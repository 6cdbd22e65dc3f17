"""What was run, how it went, how long it took, and what was not tested and why."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

WIDTH = 100


@dataclass(frozen=True)
class Outcome:
    """One step that was run."""

    title: str
    code: int
    seconds: float

    @property
    def passed(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        return f"{'ok' if self.passed else 'FAILED':8}{self.title:74}{self.seconds:5.0f} s"


@dataclass
class Report:
    """Collects outcomes and gaps; its last lines name every gap, so that none is overlooked.

    Several threads may report at once.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    _speaking: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, title: str) -> None:
        """Say that a step has begun."""
        self._say(f"begun   {title}")

    def add(self, outcome: Outcome, printed: str) -> bool:
        """Show all that a step has printed, and how it went; whether it passed."""
        self.outcomes.append(outcome)
        self._say(f"{heading(outcome.title)}\n{printed.rstrip()}\n{outcome}")
        return outcome.passed

    def _say(self, words: str) -> None:
        with self._speaking:
            print(words, flush=True)

    def not_tested(self, what: str, why: str) -> None:
        self.gaps[what] = why

    def finish(self, gaps_fail: bool, seconds: float) -> int:
        """Print the summary; answer the exit code."""
        failed = [outcome for outcome in self.outcomes if not outcome.passed]
        print(heading("Summary"))
        print(*self.outcomes, sep="\n")
        print(f"{len(self.outcomes)} steps, {len(failed)} failed, {seconds:.0f} s in all")
        self._print_gaps(gaps_fail)
        return 1 if failed or (self.gaps and gaps_fail) else 0

    def _print_gaps(self, gaps_fail: bool) -> None:
        if not self.gaps:
            return
        print("\nNOT TESTED" + (", which fails because CI=true:" if gaps_fail else ":"))
        for what, why in self.gaps.items():
            print(f"  {what}: {why}")


def heading(title: str) -> str:
    return f"\n== {title} {'=' * (WIDTH - len(title) - 4)}"
