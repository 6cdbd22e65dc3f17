"""The log of one attempt on its way to the database: bounded, with its beginning and its end kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tom_nightshift.ledger.secrets import NONE

LONGEST_HALF_LINE = 8_192
"""Characters after which a line that does not end is taken for one that has."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines to be written as one row; ``replaces`` says that the row with this ``seq`` may be there
    already.
    """

    seq: int
    text: str
    replaces: bool = False


class LogBuffer:
    """Collects lines from any thread; gives them out in pieces.

    Parameters:
        limit: bytes kept in all: the first half as it comes, then the last half as a tail that is rewritten.

    ``mask`` is given every line before it is kept.
    """

    def __init__(self, limit: int) -> None:
        self.mask: Callable[[str], str] = NONE.mask
        self.head_left = limit // 2
        self.tail_limit = limit - limit // 2
        self._lock = threading.Lock()
        self._fresh: list[str] = []
        self._seq = 0
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._tail_seq: int | None = None
        self._tail_changed = False
        self._half_line = ""

    def write(self, text: str, stamp: str) -> None:
        """Add text that need not end where a line does, as ``print`` writes it."""
        with self._lock:
            *lines, self._half_line = (self._half_line + text).split("\n")
            if len(self._half_line) > LONGEST_HALF_LINE:
                lines.append(self._half_line)
                self._half_line = ""
        for line in lines:
            shown = line.rstrip("\r").rpartition("\r")[2]  # a bar that redraws itself: its last state
            if shown.strip():
                self.add(f"{stamp} {shown}")

    def end_line(self, stamp: str) -> None:
        """Nothing more will follow: end a line that was begun by ``write``."""
        if self._half_line:
            self.write("\n", stamp)

    def add(self, line: str) -> None:
        """Add one line, without its line break."""
        line = self.mask(line) + "\n"
        size = len(line.encode("utf-8", "replace"))
        with self._lock:
            if self._tail_seq is None and size <= self.head_left:
                self.head_left -= size
                self._fresh.append(line)
            else:
                self._add_to_tail(line, size)

    def take(self) -> list[Piece]:
        """What has not been given out yet. After a failed write, ``give_back`` what was taken."""
        with self._lock:
            pieces = []
            if self._fresh:
                pieces.append(Piece(self._seq, "".join(self._fresh)))
                self._seq += 1
                self._fresh = []
            if self._tail_changed:
                pieces.append(self._tail_piece())
                self._tail_changed = False
            return pieces

    def rest(self) -> list[Piece]:
        """What has not been given out yet, which stays here: the transaction that writes it may fail."""
        with self._lock:
            fresh = [Piece(self._seq, "".join(self._fresh))] if self._fresh else []
            return [*fresh, self._tail_piece()] if self._tail_changed else fresh

    def give_back(self, pieces: list[Piece]) -> None:
        """Take back pieces that could not be written."""
        with self._lock:
            for piece in pieces:
                if piece.replaces:
                    self._tail_changed = True
                else:
                    self._fresh.insert(0, piece.text)
                    self._seq = piece.seq if self._tail_seq is None else self._seq

    def _add_to_tail(self, line: str, size: int) -> None:
        if size > self.tail_limit:
            line = line.encode("utf-8", "replace")[: self.tail_limit - 2].decode("utf-8", "ignore") + "…\n"
            size = len(line.encode("utf-8", "replace"))
        self._tail.append(line)
        self._tail_size += size
        while self._tail_size > self.tail_limit:
            self._tail_size -= len(self._tail.popleft().encode("utf-8", "replace"))
            self._dropped += 1
        if self._tail_seq is None:
            # The tail has a place of its own, far behind the head, so that the head may still be given back.
            self._tail_seq = 1_000_000
        self._tail_changed = True

    def _tail_piece(self) -> Piece:
        left_out = f"… {self._dropped} lines left out …\n" if self._dropped else ""
        return Piece(self._tail_seq or 0, left_out + "".join(self._tail), replaces=True)
