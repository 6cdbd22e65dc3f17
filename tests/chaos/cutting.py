"""A way to PostgreSQL on which the line is cut when the server has committed and not yet been heard."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

COMMITTED = b"COMMIT\0"
"""PostgreSQL's answer to a COMMIT ends so (CommandComplete)."""


class Cutter:
    """Passes everything on between a port of its own and a server, but cuts connections as it is told.

    Parameters:
        server: host and port.
        cuts: asked at each answer to a COMMIT whether it is to be lost.
    """

    def __init__(self, server: tuple[str, int], cuts: Callable[[], bool]) -> None:
        self.server = server
        self.cuts = cuts
        self.count = 0
        """Connections cut so far."""

        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Cutter:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for end in list(self._open):
            self._close(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: that is the end
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.server)
                self._open |= {client, server}
                for target, ends in ((self._ask, (client, server)), (self._answer, (server, client))):
                    threading.Thread(target=target, args=ends, daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        self._pass_on(client, server, lambda heard: False)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        self._pass_on(server, client, lambda heard: COMMITTED in heard and self.cuts())

    def _pass_on(self, source: socket.socket, target: socket.socket, is_cut: Callable[[bytes], bool]) -> None:
        with contextlib.suppress(OSError):  # the other direction closed it
            while heard := source.recv(65536):
                if is_cut(heard):
                    self.count += 1
                    break
                target.sendall(heard)
        self._close(source)
        self._close(target)

    def _close(self, end: socket.socket) -> None:
        self._open.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
