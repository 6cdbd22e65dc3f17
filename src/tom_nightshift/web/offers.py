"""What a target's Jobs tab offers to do: a list of things to choose from, and a button."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that the offer can be taken up for."""

    key: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something that can be asked for on a target's page."""

    slug: str
    """Its name in addresses."""

    label: str
    """What stands on the button."""

    help_text: str
    """What happens when it is pressed, in a sentence."""

    choices: Callable[[int, Any], Sequence[Choice]]
    """(target, user) → what it can be taken up for: only what this user may use so."""

    ask: Callable[[int, Any], int]
    """(key of a choice, user) → the id of the job that was asked for."""

    title_none: str
    """The sentence that stands there while there is nothing to choose from."""

    def find(self, target_id: int, user: Any, key: str) -> Choice | None:
        """The choice with this key, if it is one of those offered to this user."""
        return next((choice for choice in self.choices(target_id, user) if str(choice.key) == key), None)


_offers: dict[str, Offer] = {}


def offer(new: Offer) -> None:
    """Offer this on every target's Jobs tab from now on; one with the same slug is replaced."""
    _offers[new.slug] = new


def offers() -> list[Offer]:
    """Everything that is offered, in the order in which it was registered."""
    return list(_offers.values())


def find_offer(slug: str) -> Offer | None:
    """The offer with this slug."""
    return _offers.get(slug)
