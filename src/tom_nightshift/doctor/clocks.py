"""The clock of this host against the database's, by which all stored times go."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tom_nightshift.doctor.findings import Finding, fine, warning
from tom_nightshift.ledger.session import Sql

TOLERATED = 5.0
"""Seconds."""


def agree(sql: Sql) -> Iterator[Finding]:
    """They agree, but for the time that the question takes."""
    before = time.time()
    theirs = float(sql.rows(f"SELECT {_epoch(sql)}")[0][0])
    after = time.time()
    ahead = theirs - (before + after) / 2
    if abs(ahead) > TOLERATED + (after - before):
        words = "ahead of" if ahead > 0 else "behind"
        yield warning(
            "clock-differs",
            f"the database's clock is {abs(ahead):,.0f} s {words} this host's: delays and max_age are off by "
            "as much.",
            "Have both keep their time by NTP.",
        )
    else:
        yield fine(f"the database's agrees with this host's to {TOLERATED:g} s.")


def _epoch(sql: Sql) -> str:
    if sql.vendor == "sqlite":
        return f"(julianday({sql.now}) - 2440587.5) * 86400.0"
    return f"extract(epoch from {sql.now})"
