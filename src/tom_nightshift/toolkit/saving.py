"""What a job saves of an upload, and the rights on it, are one piece: saved whole or not at all.

To read a file may take minutes, and a transaction held meanwhile would keep the whole site from writing
(SQLite). So it begins when TOM Toolkit's code has the processor's data in hand and is about to save them:
the class that stands in for the TOM's processor says when.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import router, transaction
from tom_dataproducts.models import DataProduct
from tom_targets.models import PersistentShare

from tom_nightshift.ledger.speaking import checkpoint


@contextmanager
def all_or_nothing(product: Any) -> Iterator[None]:
    """What ``run_data_processor`` saves, and what the block saves after it, is one piece.

    Where new data of the target are shared with other sites as they come there is no transaction: those
    sites may be slow to answer, and what they were sent cannot be taken back.

    Raises:
        StopRequested: the job was asked to stop before anything was saved, or while it failed: in both cases
            nothing has been.
    """
    piece = _Piece(is_sent_on=PersistentShare.objects.filter(target=product.target_id).exists())
    token = _piece.set(piece)
    try:
        with piece.transaction:
            yield
    except Exception:
        if not piece.is_sent_on:
            checkpoint()
        raise
    finally:
        _piece.reset(token)


def begin() -> None:
    """The file has been read, and what is in it will be saved now: the last moment for a stop.

    Raises:
        StopRequested: the job was asked to stop.
    """
    piece = _piece.get()
    if piece is None:
        return
    checkpoint()
    if not piece.is_sent_on:
        piece.transaction.enter_context(transaction.atomic(using=router.db_for_write(DataProduct)))


@dataclass(frozen=True)
class _Piece:
    """What is being saved of one product."""

    is_sent_on: bool
    transaction: ExitStack = field(default_factory=ExitStack)


_piece: ContextVar[_Piece | None] = ContextVar("nightshift_piece", default=None)
