"""Redis as a carrier, through Dramatiq's own ``RedisBroker``."""

from __future__ import annotations

import uuid
from typing import Any

import redis
from dramatiq.brokers.redis import RedisBroker

from tom_nightshift.broker.carrier import Carrier

POLL = 50
"""Milliseconds: Dramatiq's own second would be what a click waits for."""

HEARTBEAT_TIMEOUT = 15_000
"""Milliseconds after which a dead worker's messages are given to others; Dramatiq's own: a minute."""

MANY = 5_000
"""Messages. Of a longer line it is not looked at each: it is not empty."""

MAINTENANCE_CHANCE = 20_000
"""Of a million commands, those that look for dead workers; Dramatiq's own: 1,000."""


class RedisCarrier(Carrier):
    """Doorbells in the lists of Dramatiq's Redis broker."""

    name = "Redis"
    poll = POLL
    errors = (*Carrier.errors, redis.RedisError)

    def begin(self) -> None:
        """Messages are acknowledged by the broker's id: two processes are not to share it."""
        self.broker.broker_id = str(uuid.uuid4())

    def epoch(self) -> str:
        key = self._key("nightshift:epoch")
        with self._answering():
            known = self.broker.client.get(key)
            if known is None:
                self.broker.client.set(key, uuid.uuid4().hex, nx=True)
                known = self.broker.client.get(key)
        return known.decode() if isinstance(known, bytes) else str(known)

    def is_empty(self, queue: str) -> bool:
        """Dramatiq's broker keeps a queue in several keys, and Redis may drop any of them: a message is left
        if it is there, and in line or with a worker.
        """
        with self._answering():
            if self.broker.client.llen(self._key(queue)) > MANY:
                return False
            return not self._messages(queue) & (self._in_line(queue) | self._with_workers(queue))

    def allow_one(self, consumer: Any) -> None:
        consumer.prefetch = consumer.outstanding_message_count + 1

    def give_back(self, consumer: Any, message: Any) -> None:
        consumer.requeue([message])
        consumer.queued_message_ids.discard(message.message_id)

    def _messages(self, queue: str) -> set[bytes]:
        return set(self.broker.client.hkeys(f"{self._key(queue)}.msgs"))

    def _in_line(self, queue: str) -> set[bytes]:
        return set(self.broker.client.lrange(self._key(queue), 0, -1))

    def _with_workers(self, queue: str) -> set[bytes]:
        client, acks = self.broker.client, self._key("__acks__")
        workers = client.zrange(self._key("__heartbeats__"), 0, -1)
        return set().union(*(client.smembers(f"{acks}.{worker.decode()}.{queue}") for worker in workers))

    def _key(self, name: str) -> str:
        return f"{self.broker.namespace}:{name}"


CARRIER = RedisCarrier


def make(url: str) -> RedisBroker:
    """Dramatiq's broker for a URL, which goes to the client library as it is; without any middleware."""
    return RedisBroker(  # type: ignore[no-untyped-call]
        url=url,
        middleware=[],
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        maintenance_chance=MAINTENANCE_CHANCE,
    )
