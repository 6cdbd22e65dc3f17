"""``make demo CHECK=1``: drives the story over HTTP as a browser would; says whether all of it is true."""

from __future__ import annotations

import re
import time

from browser import Browser
from setting_up import FILES, M13, PRIVATE, State, is_over, wait_for_job, watch_link
from site_processes import Site

UNREADABLE = "broken.fits"


class Verdict:
    """Collects what was seen; prints each line as it comes."""

    def __init__(self) -> None:
        self.all_true = True

    def says(self, words: str, truth: object) -> None:
        """One claim, and whether it holds."""
        self.all_true = self.all_true and bool(truth)
        print(f"  {'yes' if truth else 'NO '}  {words}", flush=True)


def check(state: State, site: Site) -> int:
    """Walk steps 1, 2, 4 and 5. The exit code: 0 only if all is true."""
    verdict = Verdict()
    pi, collab = Browser(site.port), Browser(site.port)
    pi.log_in("pi", state.passwords["pi"])
    collab.log_in("collab", state.passwords["collab"])
    _what_is_there(verdict, pi, collab)
    job = _mosaic(verdict, pi, state)
    _broken(verdict, pi)
    _collaborator(verdict, collab, job)
    print("all true" if verdict.all_true else "NOT all true", flush=True)
    return 0 if verdict.all_true else 1


def _what_is_there(verdict: Verdict, pi: Browser, collab: Browser) -> None:
    mine, theirs = pi.get("/nightshift/").words, collab.get("/nightshift/").words
    verdict.says("at log-in: a finished M13 job", "Find sources in m13.fits" in mine)
    failed = 'notes.fits is not a FITS file: it starts with "hello"'
    verdict.says(f"at log-in: a failed job that reads: {failed}", failed in mine)
    verdict.says("the collaborator has a job of their own", "m92.fits" in theirs)
    target = collab.get(f"/nightshift/targets/{PRIVATE}/")
    verdict.says("the collaborator does not see the private target's jobs", "m92.fits" not in target.words)


def _mosaic(verdict: Verdict, pi: Browser, state: State) -> str:
    """Steps 1 and 2."""
    began = time.monotonic()
    posted = pi.upload(M13, FILES / "mosaic.fits.fz")
    followed = time.monotonic()
    job = watch_link(pi, posted.location)
    page_loaded = posted.seconds + time.monotonic() - followed
    seen, last = _watch_stages(pi, job)
    job_seconds = time.monotonic() - began
    sources = re.search(r"([\d,]+) sources", last)
    verdict.says("the page showed the stages: " + ", ".join(sorted(seen, key=_number)), len(seen) >= 3)
    verdict.says(f"the job found {sources[0] if sources else 'nothing'}", sources and _many(sources[1]))
    verdict.says(
        "the finished page has its picture",
        re.search(r"/nightshift/jobs/\d+/pictures/\d+/", pi.get(job).text),
    )
    print(f"  the upload POST                            {posted.seconds:7.2f} s")
    print(f"  until the following page had loaded        {page_loaded:7.2f} s")
    print(f"  the job                                    {job_seconds:7.2f} s")
    print(f"  the same upload with background off        {state.page_seconds:7.2f} s", flush=True)
    verdict.says(
        "the page is back at least ten times sooner than without", page_loaded < state.page_seconds / 10
    )
    return job


def _watch_stages(pi: Browser, job: str) -> tuple[set[str], str]:
    """The stages that the page showed while the job ran, and its last words."""
    seen: set[str] = set()
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        page = pi.get(job)
        seen |= set(re.findall(r"CCD \d+ of 12", page.words))
        if is_over(page):
            return seen, page.words
        time.sleep(0.5)
    raise SystemExit(f"the mosaic's job was not over in time:\n{page.words[:2000]}")


def _broken(verdict: Verdict, pi: Browser) -> None:
    """Step 4."""
    job = watch_link(pi, pi.upload(M13, FILES / UNREADABLE).location)
    words = wait_for_job(pi, job)
    said = re.search(r"broken\.fits is cut short: .*? again", words)
    verdict.says(f"broken.fits says: {said[0] if said else words[:200]}", said)
    again = pi.post(f"{job}again/", {})
    verdict.says("Run again makes a new job", again.status == 302 and again.location != job)
    wait_for_job(pi, again.location)
    verdict.says("the upload is still there", UNREADABLE.split(".")[0] in pi.get(f"/targets/{M13}/").text)


def _collaborator(verdict: Verdict, collab: Browser, job: str) -> None:
    """Step 5."""
    page = collab.get(job)
    verdict.says(
        "the collaborator sees the job on the shared target", page.status == 200 and "sources" in page.words
    )
    verdict.says("but not its log, nor Run again", "/log.txt" not in page.text and "/again/" not in page.text)


def _many(count: str) -> bool:
    return int(count.replace(",", "")) > 20_000


def _number(stage: str) -> int:
    return int(stage.split()[1])
