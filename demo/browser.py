"""A small browser for the demo's own checks: keeps cookies, fills in forms, follows nothing by itself."""

from __future__ import annotations

import html
import http.client
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from urllib.parse import urlencode


@dataclass
class Page:
    """What the server answered."""

    status: int
    text: str
    location: str
    seconds: float

    @property
    def words(self) -> str:
        """The text of the page without its tags, on one line."""
        bare = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]+>", " ", self.text)
        return re.sub(r"\s+", " ", html.unescape(bare))

    def links(self, pattern: str) -> list[str]:
        """Addresses of links that match a regular expression."""
        return [
            html.unescape(href)
            for href in re.findall(r'href="([^"]*)"', self.text)
            if re.search(pattern, href)
        ]


@dataclass
class Browser:
    """One person's browser.

    Parameters:
        port: the demo's port on the loopback address.
    """

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    timeout: float = 600.0

    def get(self, path: str) -> Page:
        """GET a page."""
        return self._ask("GET", path, None, {})

    def post(self, path: str, fields: dict[str, str]) -> Page:
        """POST a form."""
        body = urlencode({"csrfmiddlewaretoken": self.cookies.get("csrftoken", ""), **fields}).encode()
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def log_in(self, username: str, password: str) -> None:
        """Log in by the TOM's own form."""
        self.get("/accounts/login/")
        page = self.post("/accounts/login/", {"login": username, "password": password})
        if page.status != 302 or "sessionid" not in self.cookies:
            raise RuntimeError(f"{username} could not log in: {page.status} {page.words[:300]}")

    def upload(self, target_id: int, file: Path, kind: str = "fits_file") -> Page:
        """Upload a data product by the form on a target's page; the seconds are those of the POST alone."""
        form = self.get(f"/targets/{target_id}/")
        if "csrftoken" not in self.cookies or "upload_dataproduct_form" not in form.text:
            raise RuntimeError(f"no upload form on target {target_id}: {form.status} {form.words[:300]}")
        fields = {
            "csrfmiddlewaretoken": self.cookies["csrftoken"],
            "target": str(target_id),
            "observation_record": "",
            "data_product_type": kind,
            "referrer": f"/targets/{target_id}/?tab=manage-data",
        }
        return self._ask("POST", "/dataproducts/data/upload/", *_multipart(fields, file))

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Page:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        began = monotonic()
        connection.request(method, path, body, {**headers, "Cookie": cookie})
        answer = connection.getresponse()
        content = answer.read()
        seconds = monotonic() - began
        connection.close()
        for header in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = header.split(";", 1)[0].partition("=")
            self.cookies[name] = value
        return Page(
            answer.status, content.decode("utf-8", "replace"), answer.getheader("Location") or "", seconds
        )


def _multipart(fields: dict[str, str], file: Path) -> tuple[bytes, dict[str, str]]:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{file.name}"\r\n'
    parts += [head.encode(), b"Content-Type: application/octet-stream\r\n\r\n", file.read_bytes()]
    parts += [f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), {"Content-Type": f"multipart/form-data; boundary={boundary}"}
