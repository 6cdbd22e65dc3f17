"""``raise Later(…)``, and whatever else ends an attempt and not its job.

Where the task's function is called (``guard``) the job is put back, and Dramatiq is told that the message was
skipped. So its Retries, Callbacks, Pipelines and Results do not take it for a failure.
"""

from __future__ import annotations

import time

from tom_nightshift.exceptions import Later
from tom_nightshift.ledger.attempt import Attempt

LONGEST = 3_650 * 86_400.0
"""Most seconds that a job is put off: beyond, databases run out of years."""


def put_back(attempt: Attempt, why: BaseException) -> None:
    """The end of this attempt is not the end of its job; comes before SkipMessage is raised."""
    attempt.put_back = why
    if isinstance(why, Later):
        attempt.traceback = ""
    if attempt.message is not None:
        # Dramatiq's Results would keep None for a message that was skipped. The row keeps the message as it
        # was, so that the job's real end is kept.
        attempt.message.options["store_results"] = False


def seconds_until(later: Later) -> float:
    """Seconds from now until the job is to be looked at again."""
    seconds = later.seconds or 0.0 if later.until is None else later.until.timestamp() - time.time()
    return min(max(0.0, seconds), LONGEST)
