"""What the demo prints."""

from __future__ import annotations

from importlib.metadata import version

from setting_up import State


def tell(state: State, port: int, pid: int) -> None:
    """The story, step by step."""
    print(
        f"""
Nightshift demo: a real TOM (tomtoolkit {version("tomtoolkit")}), its own SQLite file, one worker. No Redis.
  http://127.0.0.1:{port}/targets/1/?tab=manage-data
  log in as  pi / {state.passwords["pi"]}        second window:  collab / {state.passwords["collab"]}
  from your own computer:  ssh -L {port}:127.0.0.1:{port} this-machine
 1  Upload demo/files/mosaic.fits.fz as "FITS File".  {without(state)}
 2  The page is back. Follow "Being read in the background: watch it": CCD 3 of 12, log, sources so far.
 3  In another terminal:  kill -9 {pid}  (the process that is doing it). It goes on at the CCD it had reached.
 4  Upload demo/files/broken.fits, read what it says, press Run again.
 5  As collab: what you see of it, and what you do not.
 Aladin and JS9 are off (no internet needed). Ctrl-C stops both. RESET=1 starts over.
""",
        flush=True,
    )


def new_process(pid: int) -> None:
    """The worker process has been replaced."""
    print(f"  (the process that does the jobs is now {pid}:  kill -9 {pid})", flush=True)


def without(state: State) -> str:
    """How long the same upload takes without Nightshift."""
    return (
        f"Without Nightshift this upload holds the page {state.page_seconds:.0f} s (measured here at set-up)."
    )
