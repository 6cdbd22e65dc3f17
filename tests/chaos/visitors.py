"""People on the pages of a TOM: they log in, look around, change a target, and leave, until they are told."""

from __future__ import annotations

import threading
from html.parser import HTMLParser
from typing import Any

import requests

PAGES = ["/", "/targets/", "/nightshift/"]
EDIT = "/targets/1/update/"
ROUNDS = 5
PATIENCE = 60


class Visitor(threading.Thread):
    """One person.

    Parameters:
        site: the address of the TOM.
        number: of this person; seen in what is written.
    """

    def __init__(self, site: str, number: int) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.number = number
        self.edits = 0
        self.problem = ""
        self._leaving = threading.Event()

    def run(self) -> None:
        try:
            while not self._leaving.is_set():
                self._visit()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.problem = f"{type(error).__name__}: {error}"

    def leave(self) -> None:
        """End after this visit, and wait for that."""
        self._leaving.set()
        self.join(PATIENCE)

    def _visit(self) -> None:
        """From log-in to log-out. Nobody may log in more than thirty times a minute."""
        with requests.Session() as browser:
            self._submit(browser, "/accounts/login/", {"login": "boss", "password": "pw"})
            for _ in range(ROUNDS):
                for page in PAGES:
                    self._get(browser, page)
                self._submit(browser, EDIT, {"ra": f"{self.number}.{self.edits % 1000}"})
                self.edits += 1

    def _get(self, browser: requests.Session, page: str) -> requests.Response:
        answer = browser.get(self.site + page, timeout=PATIENCE)
        assert answer.status_code == 200, f"{page} answers {answer.status_code}"
        return answer

    def _submit(self, browser: requests.Session, page: str, values: dict[str, str]) -> None:
        filled = form_with(self._get(browser, page).text, next(iter(values))) | values
        sent = browser.post(self.site + page, filled, timeout=PATIENCE, allow_redirects=False)
        assert sent.status_code == 302, f"{page} refuses with {sent.status_code}"


def form_with(page: str, field: str) -> dict[str, str]:
    """The fields of that form on a page in which this field stands, as a browser would send them back."""
    forms = Forms()
    forms.feed(page)
    found = [form for form in forms.found if field in form]
    assert found, f"no form asks for {field}: {forms.found}"
    return found[0]


class Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        it: dict[str, Any] = dict(attributes)
        if tag == "form":
            self.found.append({})
        elif tag == "input" and it.get("name") and self.found:
            if it.get("type") not in ("checkbox", "radio", "submit", "file") or "checked" in it:
                self.found[-1][it["name"]] = it.get("value") or ""
        elif tag == "select":
            self._select = it.get("name") or ""
        elif tag == "option" and self._select and self.found:
            value = it.get("value") or ""
            self.found[-1].setdefault(self._select, value)  # a browser sends the first if none is chosen
            if "selected" in it:
                self.found[-1][self._select] = value
