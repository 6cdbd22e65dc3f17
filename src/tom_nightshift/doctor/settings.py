"""Settings that are each right and make no sense together; and what ``manage.py check`` says."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks

from tom_nightshift.conf import get_settings
from tom_nightshift.doctor.findings import Finding, fault, fine, warning


def make_sense_together() -> Iterator[Finding]:
    """No setting defeats another."""
    found = list(_contradictions())
    yield from found
    if not found:
        yield fine("they make sense together.")


def pass_the_checks() -> Iterator[Finding]:
    """Django's own check of Nightshift passes."""
    messages = checks.run_checks(tags=["nightshift"])
    for message in messages:
        say = fault if message.level >= checks.ERROR else warning
        yield say("check", f"{message.msg} ({message.id})", str(message.hint or ""))
    if not messages:
        yield fine("manage.py check has nothing to say of Nightshift.")


def _contradictions() -> Iterator[Finding]:
    ours = get_settings()
    if ours.lease <= ours.heartbeat:
        yield fault(
            "lease-below-heartbeat",
            f"LEASE ({ours.lease:g} s) is not above HEARTBEAT ({ours.heartbeat:g} s): living workers on "
            "other machines are taken for dead, and their jobs run twice.",
            "Set LEASE to at least three times HEARTBEAT.",
        )
    elif ours.lease < 3 * ours.heartbeat:
        yield warning(
            "lease-short",
            f"LEASE ({ours.lease:g} s) is below three times HEARTBEAT ({ours.heartbeat:g} s): one beat that "
            "comes late makes a living worker look dead.",
            "Set LEASE to at least three times HEARTBEAT.",
        )
    if ours.grace > ours.timeout:
        yield warning(
            "grace-above-timeout",
            f"GRACE ({ours.grace:g} s) is above TIMEOUT ({ours.timeout:g} s): a worker that is told to end "
            "waits longer than any job may take.",
            "Set GRACE below TIMEOUT.",
        )
    if ours.keep_failed_days < ours.keep_days:
        yield warning(
            "failed-kept-shorter",
            f"KEEP_FAILED_DAYS ({ours.keep_failed_days:g}) is below KEEP_DAYS ({ours.keep_days:g}): what "
            "went wrong goes before what went well.",
            "Set KEEP_FAILED_DAYS to at least KEEP_DAYS.",
        )
