"""Secrets stay out of what is stored and shown: passwords, tokens and keys that a task was called with.

A name is secret if it has one of the words of ``SECRET_NAMES`` in it. Masked are the values of such arguments
wherever a task says them, and what stands beside such a name in a text (``token=…``, ``"token": "…"``,
``Authorization: Bearer …``, the password in an address). The job's message keeps them: the task needs them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import storable

MASK = "••••••"

SHORTEST = 4
"""Characters. A shorter value is masked beside its name only: everywhere, it would mangle every text."""

NAMES = 4096
"""So many are remembered with their answers: those of arguments and in results come again and again."""

NAME_LENGTH = 100
"""A longer one is not remembered."""

_ALWAYS = ("://", "bearer ")
_NUMBERS = (int, float, bool)


class Secrets:
    """The secrets of one job.

    Parameters:
        values: what is masked wherever it appears, on top of what stands beside a secret name.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        longest_first = sorted(forms, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def mask(self, text: object) -> str:
        """The text without the secrets in it. To be called before it is cut: half a secret is not found."""
        masked = str(text)
        if self._values is not None:
            masked = self._values.sub(MASK, masked)
        return _beside_names(masked)

    def mask_all(self, value: Any, name: str = "") -> Any:
        """A value of JSON's kind without the secrets in it, at any depth.

        Parameters:
            name: what the value is called; all of it is masked if that is a secret name.
        """
        if name and is_secret(name):
            return MASK
        if isinstance(value, Mapping):
            return {self._mask_name(key): self.mask_all(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_all(inner) for inner in value]
        return self.mask(value) if isinstance(value, str) else value

    def _mask_name(self, name: object) -> str:
        if self._values is None and isinstance(name, str) and len(name) <= NAME_LENGTH:
            return _name_alone(get_settings().secret_names, name)
        return self.mask(name)


def of_arguments(arguments: Mapping[str, Any]) -> Secrets:
    """The secrets among the arguments of a call: all that is called by a secret name, at any depth, and what
    an address has in it.
    """
    found = list(_found_in(arguments))
    return Secrets(found) if found else NONE


def is_secret(name: str) -> bool:
    """Whether what is called so is a secret."""
    ask = _is_secret if len(name) <= NAME_LENGTH else _is_secret.__wrapped__
    return ask(get_settings().secret_names, name)


@lru_cache(maxsize=NAMES)
def _is_secret(names: tuple[str, ...], name: str) -> bool:
    return _is_any_in(_words(names), name.lower())


@lru_cache(maxsize=NAMES)
def _name_alone(names: tuple[str, ...], name: str) -> str:
    """What a name that stands by itself is shown as."""
    return _beside_names(name)


def _found_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _in_addresses(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner) if is_secret(str(name)) else _found_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            if type(inner) not in _NUMBERS:  # of ten thousand numbers none costs a call
                yield from _found_in(inner)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _in_addresses(text: str) -> Iterator[str]:
    """What an address has of secrets in it, as it is written there and as it is meant."""
    if "://" in text:
        for pattern in _patterns(get_settings().secret_names):
            for match in pattern.finditer(text):
                yield from {match["value"], unquote(match["value"])}


def _forms(value: str) -> Iterator[str]:
    """A value as texts show it: as it is, line by line, and as Python, JSON and addresses write it."""
    yield value
    yield storable.text(value)
    yield from (line.strip() for line in value.splitlines())
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    encodable = value.encode("utf-8", "replace")
    yield quote(encodable, safe="")
    yield quote(encodable)
    yield quote_plus(encodable)


def _beside_names(text: str) -> str:
    if _is_worth_a_look(text):
        for pattern in _patterns(get_settings().secret_names):
            text = pattern.sub(_without_value, text)
    return text


def _without_value(match: re.Match[str]) -> str:
    return match["before"] + MASK


def _is_worth_a_look(text: str) -> bool:
    """Whether there is any such word in it: cheap, since most lines of a log have none."""
    return _is_any_in(_worth_a_look(get_settings().secret_names), text.lower())


def _is_any_in(words: tuple[str, ...], text: str) -> bool:
    for word in words:  # noqa: SIM110 - any() takes twice as long, and every line of every log comes here
        if word in text:
            return True
    return False


@cache
def _worth_a_look(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*_ALWAYS, *_words(names))


@cache
def _words(names: tuple[str, ...]) -> tuple[str, ...]:
    """The words as they are written: ``api_key``, ``api-key`` (a header), ``api key``, ``apiKey``."""
    ways = (name.lower().replace("_", gap) for name in names for gap in ("_", "-", " ", ""))
    return tuple(dict.fromkeys(ways))


@cache
def _patterns(names: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Each has the groups ``before`` and ``value``. None begins with a repetition, and every repetition in
    front of the value has a limit: a line of a megabyte is read once.
    """
    sources = [r"""(?P<before>://[^\s/:@"']{0,200}:)(?P<value>[^\s/@"']{1,500})(?=@)""", _BEARER]
    if names:
        word = "|".join(map(re.escape, _words(names)))
        name = rf"""(?:{word})(?!\w{{0,40}}(?:error|exception|warning)\b)[\w-]{{0,40}}(?:\\?["'])?\]?"""
        annotation = r"(?::\s{0,3}[\w.\[\]|]{1,40}\s{0,3}(?==))?"
        named = rf"{name}\s{{0,3}}{annotation}(?:=>|=(?!=)|:)\s{{0,3}}"
        sources += [
            rf"""(?P<before>{named}[bru]{{0,2}}(?P<quote>\\?["']))(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\n]))+)""",
            rf"""(?P<before>{named}(?![bru]{{0,2}}\\?["'])(?:{_SCHEME}\s{{1,3}})?)(?P<value>[^\s"'&,;)\]}}<>]+)""",
            rf"""(?P<before>--[a-z-]{{0,30}}(?:{word})[\w-]{{0,40}}\s{{1,3}})(?P<value>[^\s-]\S*)""",
        ]
    return tuple(re.compile(source, re.IGNORECASE) for source in sources)


_SCHEME = "(?:bearer|basic|digest|token)"

_BEARER = r"(?P<before>\bbearer\s{1,3})(?P<value>(?=\S{0,500}\d)[\w.~+/-]{8,}=*)"
"""With a digit in it: "the bearer certificates" is no secret."""

NONE = Secrets()
"""Of a job that was called with none."""
