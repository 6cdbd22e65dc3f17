"""What tests and benchmarks need besides Python: PostgreSQL, PgBouncer, Redis and a Chromium.

Each is taken from its variable if that is set; else found on this machine (a server is started for us
alone, on a free port, in a temporary folder); else, as root on Debian or Ubuntu, installed with apt-get.
Where all that fails, `Missing` says in a sentence what the person can do.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from tools import processes

POSTGRES = "NIGHTSHIFT_TEST_POSTGRES"
REDIS = "NIGHTSHIFT_TEST_REDIS"
CHROMIUM = "NIGHTSHIFT_TEST_CHROMIUM"
UNPRIVILEGED = ("postgres", "nobody")
THROWN_AWAY = ("-F",)
"""Options of a PostgreSQL whose data nobody needs once it has ended: it waits for no disk."""

REDIS_ORDERS = 'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
"""Of a Redis of our own: it keeps nothing on disk, and its neighbours do not know the password."""

POOLER_ORDERS = """[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 3
"""
"""Of a PgBouncer: fewer sessions than have connections to it."""

_installing = threading.Lock()


class Missing(Exception):
    """Something that the tests need is not here and could not be brought; the message says why."""


# --- PostgreSQL ------------------------------------------------------------------------------------


@contextmanager
def postgres(options: Sequence[str] = THROWN_AWAY) -> Iterator[str]:
    """The address of a PostgreSQL server; a private one is started with these options, and ends with the
    block.
    """
    if given := os.environ.get(POSTGRES):
        yield given
        return
    with private_postgres(options) as server:
        yield server.address


@contextmanager
def private_postgres(options: Sequence[str] = THROWN_AWAY) -> Iterator[Server]:
    """A PostgreSQL server of our own, which may be crashed; it ends with the block."""
    programs = _found_or_installed(_postgres_programs, ["postgresql"], f"or set {POSTGRES}=postgres://…")
    with _private_folder() as folder:
        password, port = secrets.token_hex(16), _free_port()
        _make_cluster(programs, folder, password)
        address = f"postgres://nightshift:{password}@127.0.0.1:{port}/postgres"
        server = Server(address, _postgres_command(programs, folder, port, options), folder, port)
        try:
            server.start()
            yield server
        finally:
            server.end()


def _postgres_programs() -> Path | None:
    """The folder with initdb and postgres: the newest that is installed, else from PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    whole = (place for place in [*reversed(installed), *on_path] if (place / "initdb").exists())
    return next((place for place in whole if (place / "postgres").exists()), None)


def _make_cluster(programs: Path, folder: Path, password: str) -> None:
    secret = folder / "password"
    secret.write_text(password)
    shutil.chown(secret, *_owner())
    user = [
        f"--pgdata={folder / 'data'}",
        "--username=nightshift",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
    ]
    options = [*user, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    with (folder / "log").open("wb") as log:
        failed = _start([programs / "initdb", *options], folder, log).wait()
    secret.unlink()
    if failed:
        raise Missing(f"PostgreSQL's initdb failed: {_last_words(folder / 'log')}")


def _postgres_command(programs: Path, folder: Path, port: int, options: Sequence[str]) -> list[str | Path]:
    loopback = ["-h", "127.0.0.1", "-p", str(port), "-k", ""]
    return [programs / "postgres", "-D", folder / "data", *loopback, *options]


@contextmanager
def pgbouncer(server: str) -> Iterator[str]:
    """The address of the same database by way of a PgBouncer that gives each transaction another session."""
    program = _found_or_installed(_pgbouncer_program, ["pgbouncer"], "or leave its test out")
    behind, port = urlsplit(server), _free_port()
    with _private_folder() as folder:
        users, orders = folder / "users", folder / "pgbouncer.ini"
        users.write_text(f'"{unquote(behind.username or "")}" "{unquote(behind.password or "")}"\n')
        orders.write_text(
            POOLER_ORDERS.format(host=behind.hostname, port=behind.port or 5432, own=port, users=users)
        )
        for file in (users, orders):
            file.chmod(0o600)
            shutil.chown(file, *_owner())
        pooler = Server("", [program, orders], folder, port)
        try:
            pooler.start()
            yield behind._replace(netloc=f"{behind.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
        finally:
            pooler.end()


def _pgbouncer_program() -> Path | None:
    found = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    return Path(found) if found else None


# --- Redis -----------------------------------------------------------------------------------------


@contextmanager
def redis() -> Iterator[str]:
    """The address of a Redis server; a private one, which keeps nothing on disk, ends with the block."""
    if given := os.environ.get(REDIS):
        yield given
        return
    with private_redis() as server:
        yield server.address


@contextmanager
def private_redis() -> Iterator[Server]:
    """A Redis server of our own, which may be crashed; it keeps nothing on disk, and ends with the block."""
    program = _found_or_installed(_redis_program, ["redis-server"], f"or set {REDIS}=redis://…")
    with _private_folder() as folder:
        password, port = secrets.token_hex(16), _free_port()
        orders = folder / "redis.conf"
        orders.write_text(REDIS_ORDERS.format(port=port, password=password))
        shutil.chown(orders, *_owner())
        server = Server(f"redis://:{password}@127.0.0.1:{port}/0", [program, orders], folder, port)
        try:
            server.start()
            yield server
        finally:
            server.end()


def _redis_program() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


# --- Chromium --------------------------------------------------------------------------------------


def chromium() -> str:
    """The path of a Chromium that a test can drive."""
    if given := os.environ.get(CHROMIUM):
        return given
    return str(_found_or_installed(_chromium_program, ["chromium"], f"or set {CHROMIUM}=/path/of/chromium"))


def _chromium_program() -> Path | None:
    names = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
    return next((Path(found) for found in map(shutil.which, names) if found), None)


# --- Any server ------------------------------------------------------------------------------------


@contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nightshift-server-"))
    shutil.chown(folder, *_owner())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A server that was started for us alone."""

    def __init__(self, address: str, command: Sequence[str | Path], folder: Path, port: int) -> None:
        self.address = address
        self._command, self._folder, self._port = command, folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; its last words are told if it does not come up."""
        with (self._folder / "log").open("ab") as log:
            self._process = _start(self._command, self._folder, log)
        _wait_for(self._process, self._port, self._folder / "log")

    def crash(self) -> None:
        """End it at once, in the middle of whatever it does (PostgreSQL: an immediate shutdown)."""
        assert self._process is not None
        processes.end(self._process, signal.SIGQUIT)

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            processes.end(self._process)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path, patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(port):
            return
        time.sleep(0.05)
    raise Missing(f"{process.args!r} did not come up on port {port}: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])


def _start(command: Sequence[str | Path], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a program as its owner, in a group of its own, so that Ctrl-C reaches the tests before it."""
    user, group = _owner() if os.geteuid() == 0 else (None, None)
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def _owner() -> tuple[int, int]:
    """Who a server runs as: ourselves, or, since PostgreSQL refuses root, somebody without rights."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next((names[name] for name in UNPRIVILEGED if name in names), None)
    if user is None:
        raise Missing(f"a server cannot run as root, and there is no user {' or '.join(UNPRIVILEGED)}")
    return user.pw_uid, user.pw_gid


# --- Packages --------------------------------------------------------------------------------------


def _found_or_installed(find: Callable[[], Path | None], packages: Sequence[str], otherwise: str) -> Path:
    with _installing:  # one at a time, and who waited finds what the other brought
        if found := find():
            return found
        _install(packages, otherwise)
        if found := find():
            return found
    raise Missing(f"apt-get installed {' '.join(packages)}, and its programs are not where they should be")


def _install(packages: Sequence[str], otherwise: str) -> None:
    wanted = f"apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"not installed; as root: {wanted}; {otherwise}")
    print(f"{wanted} …", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=False)
    command = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{wanted} failed ({reason}); {otherwise}")
