"""``make demo``: set the demo up, start it, print the story, stop it on Ctrl-C.

Environment: ``RESET=1`` starts over, ``CHECK=1`` drives the story without a browser and exits 0 only if all
of it is true, ``ONLINE=1`` lets pages load Aladin and JS9 from the internet.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import check
import setting_up
import story
from site_processes import Site, free_port


def main() -> int:
    """Run the demo. The exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs behind it with SIGINT ignored
        signal.signal(number, _as_ctrl_c)
    if os.environ.get("RESET"):
        setting_up.start_over()
    state = setting_up.State.load()
    began = time.monotonic()
    setting_up.set_up(state)
    pids: list[int] = []
    try:
        with Site(setting_up.RUN, free_port(), on_worker=pids.append) as site:
            print(f"  started in {time.monotonic() - began:.1f} s", flush=True)
            setting_up.first_jobs(state, site)
            if os.environ.get("CHECK"):
                return check.check(state, site)
            story.tell(state, site.port, pids[-1])
            return _watch(site, pids)
    except KeyboardInterrupt:
        print("\nThe demo has stopped. make demo starts it again, as it was.", flush=True)
        return 0


def _watch(site: Site, pids: list[int]) -> int:
    """Until Ctrl-C: say the new process id after a restart, and say so if one of the two processes ends."""
    said = pids[-1]
    while site.ended() is None:
        if pids[-1] != said:
            said = pids[-1]
            story.new_process(said)
        time.sleep(0.2)
    ended = site.ended()
    print(
        f"A process of the demo has ended. The end of its log:\n{ended.last_words() if ended else ''}",
        flush=True,
    )
    return 1


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
