"""Dramatiq's ``GroupCallbacks``, counted in the transaction that ends each part of a group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dramatiq
from dramatiq import Message
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import GroupCallbacks

from tom_nightshift.broker.rate_limits import DatabaseRates
from tom_nightshift.ledger import eventloop, following, wholes
from tom_nightshift.ledger.enqueue import GROUP_PART


class group(dramatiq.group):  # noqa: N801 - as Dramatiq writes it
    """Dramatiq's group, shown on pages as one whole, and asked for as a whole or not at all.

    Parameters:
        children: messages, pipelines or groups.
        title: what the whole is called on pages.
    """

    def __init__(self, children: Iterable[Any], *, broker: Any = None, title: str = "") -> None:
        super().__init__(children, broker=broker)  # type: ignore[no-untyped-call]
        self.title = title

    def run(self, *, delay: int | None = None) -> group:
        """Ask for all of them, in one transaction.

        Parameters:
            delay: milliseconds until they may begin.
        """
        eventloop.outside_loop(lambda: self._run_gathered(delay))
        return self

    def _run_gathered(self, delay: int | None) -> None:
        with wholes.gathered(_number_of_parts(self), self.title):
            super().run(delay=delay)  # type: ignore[no-untyped-call]


def _number_of_parts(whole: dramatiq.group) -> int:
    parts = whole.children
    return sum(_number_of_parts(part) if isinstance(part, dramatiq.group) else 1 for part in parts)


class JobGroups(GroupCallbacks):
    """Asks for the callbacks of a group with the end of its last part.

    Dramatiq's own counts a part down before its end is written: a process that dies in between makes it
    count twice.
    """

    def __init__(self) -> None:
        super().__init__(DatabaseRates(), barrier_ttl=int(following.GROUP_SECONDS * 1000))

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        group = message.options.get("group_completion_uuid")
        callbacks = message.options.get("group_completion_callbacks")
        if exception is None and group and callbacks:
            messages: list[Message[Any]] = [Message(**callback) for callback in callbacks]
            following.keep_for_group(
                group,
                message.options.get(GROUP_PART) or message.message_id,
                [(callback, _actor(broker, callback.actor_name)) for callback in messages],
            )


def _actor(broker: Any, name: str) -> Any:
    try:
        return broker.get_actor(name)
    except ActorNotFound:
        return None
