"""What web servers of the site under test do meanwhile."""

from __future__ import annotations

import time

from benchmarks.site.start import start

NOTE = "seen again\n"


def write(seconds: float, pause: float) -> list[float]:
    """Write as a request does, one row changed and one added in a transaction, again and again.

    Parameters:
        seconds: for how long.
        pause: seconds between two.

    Returns:
        milliseconds that each took.
    """
    start()
    from django.db import connection, transaction

    from benchmarks.site.models import Star

    star, took = Star.objects.create(name="Deneb"), []
    connection.ensure_connection()
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        time.sleep(pause)
        moment = time.perf_counter()
        with transaction.atomic():
            Star.objects.filter(pk=star.id).update(note=NOTE)
            Star.objects.create(name="Altair", note=NOTE)
        took.append((time.perf_counter() - moment) * 1000)
    return took


def list_pages(times: int) -> dict[str, list[float]]:
    """Ask for Ann's jobs, and for all that she may see, so often; milliseconds of each."""
    start()
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    browser.force_login(User.objects.get(username="ann"))
    # The first ones do not count: what Django loads then, it keeps.
    return {whose: [_page(browser, whose) for _ in range(times + 3)][3:] for whose in ("", "all")}


def _page(browser: object, whose: str) -> float:
    moment = time.perf_counter()
    response = browser.get("/nightshift/", {"whose": whose})  # type: ignore[attr-defined]
    took = (time.perf_counter() - moment) * 1000
    shown = response.content.count(b'href="/nightshift/jobs/')
    assert response.status_code == 200, response.status_code
    assert shown >= 25, f"{shown} links to jobs on the page"
    return took
