"""A sender of the site under test: each job in a transaction of its own, with owner and subject."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.site.start import start


def prepare() -> Callable[[int], None]:
    """The function that sends one number to the task ``nothing``."""
    start()
    from django.contrib.auth.models import User
    from django.db import transaction

    from benchmarks.site.models import Star
    from benchmarks.site.tasks import nothing

    owner, star = User.objects.get(username="ann"), Star.objects.get(name="Vega")

    def send(number: int) -> None:
        with transaction.atomic():
            nothing.send_with_options(args=(number,), owner=owner, subject=star)

    return send


def tidy(count: int) -> int:
    """Send ``tidy`` so often."""
    start()
    from benchmarks.site.tasks import tidy as task

    for number in range(count):
        task.send(number)
    return count


def observe(first: int, count: int, pause: float) -> float:
    """Send ``observe`` so often, one every ``pause`` seconds, as near as that goes; seconds that took."""
    start()
    from django.contrib.auth.models import User
    from django.db import transaction

    from benchmarks.site.models import Star
    from benchmarks.site.tasks import observe as task

    owner, star = User.objects.get(username="ann"), Star.objects.get(name="Vega")
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number * pause - time.monotonic()))
        with transaction.atomic():
            task.send_with_options(args=(first + number, star.id), owner=owner, subject=star)
    return time.monotonic() - began


def many(count: int) -> dict[str, float]:
    """Send ``nothing`` so often in one call; seconds, and seconds of CPU time, that took."""
    start()
    from django.contrib.auth.models import User
    from django.db import transaction

    import tom_nightshift
    from benchmarks.site.models import Star
    from benchmarks.site.tasks import nothing

    owner, star = User.objects.get(username="ann"), Star.objects.get(name="Vega")
    clock, cpu = time.perf_counter(), time.process_time()
    with transaction.atomic():
        tom_nightshift.enqueue_many(
            [
                nothing.message_with_options(args=(number,), owner=owner, subject=star)
                for number in range(count)
            ]
        )
    return {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu}
