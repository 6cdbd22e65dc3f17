"""How many statements a job costs whoever asks for it."""

from __future__ import annotations

from benchmarks.site import sending, start, watching


def statements() -> dict[str, float]:
    """Of one job in a transaction that has nothing else to do, on all connections of the process."""
    seen: list[str] = []
    start.start()
    watching.watch(seen.append)
    send = sending.prepare()
    send(0)  # once before: what Django looks up then, it keeps
    seen.clear()
    send(1)
    return {"statements": len(seen)}
