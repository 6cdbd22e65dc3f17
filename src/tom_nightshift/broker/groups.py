"""Dramatiq's ``GroupCallbacks``, counted in the transaction that ends each part of a group."""

from __future__ import annotations

from typing import Any

from dramatiq import Message
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import GroupCallbacks

from tom_nightshift.broker.rate_limits import DatabaseRates
from tom_nightshift.ledger import following
from tom_nightshift.ledger.enqueue import GROUP_PART


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
