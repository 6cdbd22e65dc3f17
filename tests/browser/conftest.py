"""A running demo, and a browser in which no other host ever answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

ROOT = Path(__file__).parents[2]
SET_UP_WITHIN = 1800.0
SHOWN_WITHIN = 60_000  # milliseconds: the worker, the site and the browser share what cores there are
QUIET_CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


expect.set_options(timeout=SHOWN_WITHIN)


@dataclass
class Demo:
    """What ``make demo`` has printed so far."""

    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.news:
                self.printed.append(line)
                self.news.notify_all()

    def wait_for(self, pattern: str, after: int = 0, at_most: float = SET_UP_WITHIN) -> re.Match[str]:
        """The first match in what is printed from this line on."""
        with self.news:
            seen = self.news.wait_for(
                lambda: re.search(pattern, "".join(self.printed[after:])) or self.process.poll() is not None,
                at_most,
            )
            found = re.search(pattern, "".join(self.printed[after:]))
            assert found, f"{pattern!r} was not printed ({seen=}):\n{''.join(self.printed)}"
            return found

    @property
    def url(self) -> str:
        return self.wait_for(r"(http://127\.0\.0\.1:\d+)/targets/1/")[1]

    @property
    def passwords(self) -> dict[str, str]:
        found = self.wait_for(r"pi / (\S+) .*collab / (\S+)")
        return {"pi": found[1], "collab": found[2]}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """``make demo``, with a state of its own, until the test run is over."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "NIGHTSHIFT"))
    }
    environment["NIGHTSHIFT_DEMO_RUN"] = str(tmp_path_factory.mktemp("demo"))
    process = subprocess.Popen(
        [sys.executable, "demo/up.py"], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    running = Demo(process)
    listener = threading.Thread(target=running.listen, daemon=True)
    listener.start()
    try:
        running.wait_for(r"RESET=1 starts over")
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        listener.join(10)
        process.stdout.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["NIGHTSHIFT_TEST_CHROMIUM"], args=QUIET_CHROMIUM
        )
        yield browser
        browser.close()


def never_answer(route: Route) -> None:
    """A network that swallows packets: neither an answer nor a refusal."""


def window(chromium: Browser, demo: Demo, person: str) -> Page:
    """A person's window, logged in."""
    page = chromium.new_context(viewport={"width": 1200, "height": 900}).new_page()
    page.route(lambda address: not address.startswith(demo.url), never_answer)
    page.goto(f"{demo.url}/accounts/login/")
    page.fill("input[name=login]", person)
    page.fill("input[name=password]", demo.passwords[person])
    page.click("form[action*=login] [type=submit]")
    page.wait_for_url(lambda address: "/accounts/login" not in address)
    return page
