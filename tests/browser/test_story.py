"""The story that ``make demo`` prints, walked in its order in a real browser.

``NIGHTSHIFT_PICTURES=docs/pictures`` takes the README's pictures on the way.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ROOT, Demo, window

FILES = ROOT / "demo" / "files"
JOB_WITHIN = 300_000  # milliseconds


@pytest.fixture(scope="module")
def pi(chromium: Browser, demo: Demo) -> Page:
    return window(chromium, demo, "pi")


@pytest.fixture(scope="module")
def collab(chromium: Browser, demo: Demo) -> Page:
    return window(chromium, demo, "collab")


@pytest.mark.timeout(3600)
def test_the_story(demo: Demo, pi: Page, collab: Page) -> None:
    """One test: each step goes on where the one before ended."""
    what_is_there_at_log_in(demo, pi)
    job = step_1_and_2_upload_and_watch(demo, pi)
    step_3_kill_the_process(demo, pi)
    step_4_a_broken_file(demo, pi)
    finished(pi, job)
    step_5_the_collaborator(demo, collab, job)


def what_is_there_at_log_in(demo: Demo, pi: Page) -> None:
    pi.goto(f"{demo.url}/nightshift/")
    jobs = pi.locator(".nightshift-jobs")
    expect(jobs).to_contain_text("Find sources in m13.fits")
    expect(jobs).to_contain_text('notes.fits is not a FITS file: it starts with "hello"')
    picture(pi, "jobs")
    pi.get_by_role("link", name="Find sources in m13.fits").click()
    expect(pi.locator(".nightshift-summary")).to_contain_text("269 sources")
    image = pi.locator(".nightshift-figure img").first
    image.scroll_into_view_if_needed()
    pi.wait_for_function("image => image.complete && image.naturalWidth > 200", arg=image.element_handle())
    picture(pi, "m13")


def step_1_and_2_upload_and_watch(demo: Demo, pi: Page) -> str:
    began = time.monotonic()
    upload(demo, pi, "mosaic.fits.fz")
    watch = pi.get_by_role("link", name=re.compile("watch it"))
    expect(watch).to_be_visible()
    without = float(demo.wait_for(r"holds the page (\d+) s")[1])
    assert time.monotonic() - began < without / 2, "the page was not back in half the time"
    expect(pi.locator("#nightshift-badge")).to_have_text(re.compile("1"))
    watch.click()
    expect(pi.locator(".nightshift-stages")).to_contain_text("CCD 2 of 12")
    bar = pi.locator("#nightshift-progress [role=progressbar]")
    before = int(bar.get_attribute("aria-valuenow") or "0")
    expect(pi.locator(".nightshift-note")).to_contain_text(re.compile(r"sources", re.IGNORECASE))
    expect(pi.locator(".nightshift-log")).to_contain_text("CCD 3 of 12")
    assert int(bar.get_attribute("aria-valuenow") or "0") > before, "the bar did not move"
    picture(pi, "running")
    return pi.url


def step_3_kill_the_process(demo: Demo, pi: Page) -> None:
    printed = len(demo.printed)
    os.kill(int(demo.wait_for(r"kill -9 (\d+)")[1]), signal.SIGKILL)
    fresh = int(demo.wait_for(r"kill -9 (\d+)", after=printed, at_most=30)[1])
    os.kill(fresh, 0)
    expect(pi.locator("#nightshift-sentence")).to_contain_text("2nd try")
    expect(pi.locator("#nightshift-tries")).to_contain_text("1st try")
    it_goes_on_where_it_was(pi)


def it_goes_on_where_it_was(pi: Page) -> None:
    """At the CCD that was reached: CCD 1 is shown as done, with its time, and is not searched again."""
    log = pi.locator(".nightshift-log")
    expect(log).to_contain_text(re.compile(r"CCD 1 (and|to) \d+ were done by the 1st try"))
    first = pi.locator(".nightshift-stages li").first
    expect(first).to_have_class("nightshift-stage-done")
    expect(first).to_contain_text(re.compile(r"CCD 1 of 12.*\d s", re.DOTALL))
    searched = r"CCD (\d+) of 12: [\d,]+ sources"
    second = re.compile(f"2nd try.*{searched}", re.DOTALL)
    expect(log).to_contain_text(second)
    assert int(re.findall(searched, log.inner_text().split("2nd try")[1])[0]) > 3


def step_4_a_broken_file(demo: Demo, pi: Page) -> None:
    upload(demo, pi, "broken.fits")
    pi.get_by_role("link", name=re.compile("watch it")).click()
    expect(pi.locator(".nightshift-failed")).to_contain_text("broken.fits is cut short")
    picture(pi, "failed")
    first = pi.url
    pi.get_by_role("button", name="Run again").click()
    pi.wait_for_url(lambda address: address != first and "/nightshift/jobs/" in address)
    expect(pi.locator(".nightshift-failed")).to_contain_text("broken.fits is cut short")
    expect(pi.get_by_role("link", name="runs an earlier job again")).to_be_visible()


def finished(pi: Page, job: str) -> None:
    pi.goto(job)
    expect(pi.locator(".nightshift-summary")).to_contain_text(
        re.compile(r"[45]\d,\d{3} sources"), timeout=JOB_WITHIN
    )
    expect(pi.locator(".nightshift-figure img").first).to_be_visible()
    expect(pi.locator(".nightshift-table tbody tr").first).to_be_visible()
    assert page_weight(pi, job) <= 150_000


def step_5_the_collaborator(demo: Demo, collab: Page, job: str) -> None:
    collab.goto(job)
    expect(collab.locator(".nightshift-summary")).to_contain_text("sources")
    expect(collab.locator(".nightshift-log")).to_have_count(0)
    expect(collab.get_by_role("button", name="Run again")).to_have_count(0)
    collab.goto(f"{demo.url}/targets/1/?tab=jobs")
    expect(collab.locator(".nightshift-target .nightshift-jobs")).to_contain_text("mosaic.fits.fz")
    picture(collab, "target")
    assert "m92" not in collab.goto(f"{demo.url}/nightshift/targets/3/").text()


def upload(demo: Demo, page: Page, name: str) -> None:
    """By the form on the target's page, as a person does it."""
    page.goto(f"{demo.url}/targets/1/?tab=manage-data")
    form = page.locator("form[action*='dataproducts/data/upload']")
    form.locator("input[type=file]").set_input_files(FILES / name)
    form.get_by_label("FITS File").check()
    form.locator("[type=submit]").click()


def page_weight(page: Page, address: str) -> int:
    """Bytes of the page itself and of our own assets, without TOM's and without the job's picture."""
    own = [address, *page.eval_on_selector_all("link[href*=nightshift], script[src*=nightshift]", ASSETS)]
    return sum(len(page.request.get(one).body()) for one in own)


ASSETS = "elements => elements.map(element => element.href || element.src)"


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("NIGHTSHIFT_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
