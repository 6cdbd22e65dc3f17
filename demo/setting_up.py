"""Sets the demo up, step by step; what is done stays done until ``RESET=1``."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from browser import Browser, Page
from site_processes import Site, free_port

HERE = Path(__file__).parent
RUN = Path(os.environ.get("NIGHTSHIFT_DEMO_RUN", HERE / "run"))
FILES = HERE / "files"
M13, M92, PRIVATE = 1, 2, 3
JOB_PATIENCE = 120.0


@dataclass
class State:
    """What the demo remembers between two starts."""

    passwords: dict[str, str] = field(default_factory=dict)
    page_seconds: float = 0.0
    """How long the upload of the mosaic held the page without Nightshift."""

    done: list[str] = field(default_factory=list)

    @classmethod
    def load(cls) -> State:
        """Read it, or begin anew."""
        try:
            return cls(**json.loads((RUN / "state.json").read_text()))
        except FileNotFoundError:
            return cls(passwords={name: secrets.token_urlsafe(6) for name in ("pi", "collab")})

    def save(self) -> None:
        """Write it down."""
        (RUN / "state.json").write_text(json.dumps(asdict(self), indent=1))

    def step(self, words: str, work: Callable[[], object]) -> None:
        """Do a step once, and print how many seconds it took."""
        if words in self.done:
            return
        print(f"  {words} … ", end="", flush=True)
        began = time.monotonic()
        work()
        print(f"{time.monotonic() - began:.1f} s", flush=True)
        self.done.append(words)
        self.save()


def start_over() -> None:
    """Forget everything."""
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.rmtree(FILES, ignore_errors=True)


def set_up(state: State) -> None:
    """All that needs no running site; then the one measurement that must not see Nightshift at work."""
    RUN.mkdir(parents=True, exist_ok=True)
    FILES.mkdir(exist_ok=True)
    if not (RUN / "secret_key").exists():
        (RUN / "secret_key").write_text(secrets.token_urlsafe(50))
    state.step("making the TOM's database", lambda: manage("migrate", "--verbosity", "0"))
    state.step("two people and three targets", lambda: manage("seed_demo", *_passwords(state)))
    state.step("painting the mosaic, 12 x 2048 x 2048 pixels", paint)
    state.step("measuring the upload without Nightshift", lambda: measure_page(state))


def first_jobs(state: State, site: Site) -> None:
    """The jobs that are there at log-in, all made by the real worker from real uploads."""
    state.step("first jobs, by the worker", lambda: _first_jobs(state, site))


def manage(*arguments: str) -> None:
    """Run ``manage.py``."""
    done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def paint() -> None:
    """The demo's files."""
    import sky

    sky.write_m13(FILES / "m13.fits")
    sky.write_notes(FILES / "notes.fits")
    sky.write_broken(FILES / "broken.fits")
    sky.paint_mosaic(FILES / "mosaic.fits.fz", FILES / "mosaic_truth.ecsv")
    sky.paint_mosaic(FILES / "m92.fits.fz", FILES / "m92_truth.ecsv", ccds=1, side=512, sources=400, seed=92)


def measure_page(state: State) -> None:
    """Upload the mosaic to the same TOM with the background switched off, and clear it away again."""
    with Site(RUN, free_port(0), mode="off") as site:
        browser = Browser(site.port)
        browser.log_in("pi", state.passwords["pi"])
        answer = browser.upload(PRIVATE, FILES / "mosaic.fits.fz")
        if answer.status != 302:
            raise SystemExit(f"The upload without Nightshift failed: {answer.status} {answer.words[:500]}")
        state.page_seconds = answer.seconds
    manage("clear_demo")


def wait_for_job(browser: Browser, job: str, at_most: float = JOB_PATIENCE) -> str:
    """Watch a job's page until it is over; the page's words."""
    deadline = time.monotonic() + at_most
    while time.monotonic() < deadline:
        page = browser.get(job)
        if is_over(page):
            return page.words
        time.sleep(0.3)
    raise SystemExit(f"{job} was not over after {at_most:.0f} s. Its page:\n{page.words[:2000]}")


def is_over(page: Page) -> bool:
    """Whether a job's page says that nothing more will happen: it asks for nothing any more."""
    return '<section id="nightshift-progress">' in page.text


def watch_link(browser: Browser, path: str) -> str:
    """The address of the job that the message after an upload links to."""
    page = browser.get(path)
    links = page.links(r"/nightshift/jobs/\d+/$")
    if "watch it" not in page.words or not links:
        raise SystemExit(f"No link to a job after the upload. The page says:\n{page.words[:2000]}")
    return links[0]


def _first_jobs(state: State, site: Site) -> None:
    for person, target, file in (
        ("pi", M13, "m13.fits"),
        ("pi", M13, "notes.fits"),
        ("collab", M92, "m92.fits.fz"),
        ("pi", PRIVATE, "m92.fits.fz"),
    ):
        browser = Browser(site.port)
        browser.log_in(person, state.passwords[person])
        answer = browser.upload(target, FILES / file)
        wait_for_job(browser, watch_link(browser, answer.location))


def _passwords(state: State) -> tuple[str, str]:
    return state.passwords["pi"], state.passwords["collab"]
