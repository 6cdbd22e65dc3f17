"""Bare Dramatiq on Redis: its own middleware, its own command, no Django, no row, no log, no result."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks import record
from benchmarks.agreed import QUIET
from benchmarks.contender import Contender
from benchmarks.stage import Stage
from tools import servers

ADDRESS = "BENCHMARK_REDIS"
"""Environment variable with the address of Redis."""

LEFT = ("dramatiq:default", "dramatiq:default.DQ", "dramatiq:default.XQ")


class DramatiqRedis(Contender):
    """The rival."""

    name = "Dramatiq + Redis"
    sender = __name__
    ready = "Worker process is ready for action"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._redis = redis.Redis.from_url(stage.environment[ADDRESS])

    def fresh(self) -> None:
        for key in self._redis.scan_iter("dramatiq:*"):  # and nothing else: the server may not be ours alone
            self._redis.delete(key)

    def command(self, processes: int, threads: int) -> list[str]:
        shape = ["--processes", str(processes), "--threads", str(threads)]
        return ["-m", "dramatiq", f"{__name__}:broker", *shape]

    def server(self) -> list[int]:
        return [int(self._redis.info("server")["process_id"])]

    def waiting(self) -> int:
        return int(self._redis.llen(LEFT[0]))

    def open_jobs(self) -> int:
        waiting = self._redis.llen(LEFT[0]) + self._redis.llen(LEFT[1])
        running = sum(self._redis.scard(key) for key in self._redis.scan_iter("dramatiq:__acks__.*.default"))
        return int(waiting + running)

    def wrong(self, numbers: Collection[int]) -> str:
        """It keeps no state but of what failed for good."""
        dead = self._redis.zcard(LEFT[2])
        return f"{dead} jobs are among the dead" if dead else ""

    def statements_so_far(self) -> int:
        return int(self._redis.info("stats")["total_commands_processed"])

    def described(self) -> str:
        version = self._redis.info("server")["redis_version"]
        return f"Dramatiq {dramatiq.__version__}, Redis {version} (keeps nothing on disk)"


@contextmanager
def opened(folder: Path) -> Iterator[DramatiqRedis]:
    """The rival, with a Redis server."""
    (place := folder / "redis").mkdir(exist_ok=True)
    with servers.redis() as address:
        yield DramatiqRedis(Stage(place, {ADDRESS: address}))


def broker() -> RedisBroker:
    """What Dramatiq's command loads."""
    made = RedisBroker(url=os.environ[ADDRESS])  # type: ignore[no-untyped-call]
    dramatiq.set_broker(made)
    for name, queue in {"nothing": "default", **{name: name for name in QUIET}}.items():
        dramatiq.actor(actor_name=name, queue_name=queue)(_nothing)
    return made


def prepare() -> Callable[[int], None]:
    """The function that sends one number."""
    task = broker().get_actor("nothing")

    def send(number: int) -> None:
        task.send(number)

    return send


def _nothing(number: int) -> None:
    record.started(number)
