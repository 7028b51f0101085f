"""One training at a time on a device: the others wait, in the order in which they were asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from panda_core.errors import PandaError
from panda_core.places import home
from panda_core.runs import RunDir

POLL_SECONDS = 0.5


@contextmanager
def device_turn(run: RunDir, device: str, should_stop: Callable[[], bool]) -> Iterator[bool]:
    """Wait until the device is free and nobody older waits for it; yields False where asked to stop before.

    The caller holds the run. While it waits the run is "queued". The kernel ends the turn however the process ends. Where the home
    folder cannot be written nobody can wait for another, and the turn is at once.
    """
    lock = _lock_of(device)
    if lock is None:
        yield not should_stop()
        return
    said = False
    while not should_stop():
        if not _someone_older_waits(run, device) and _taken(lock):
            try:
                yield True
            finally:
                lock.release()
            return
        if not said:
            run.write_status("queued", detail="Waits until the training before it is done.")
            said = True
        time.sleep(POLL_SECONDS)
    yield False


def _lock_of(device: str) -> FileLock | None:
    place = home() / "locks"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return FileLock(place / f"device-{device_name(device)}.lock") if os.access(place, os.W_OK) else None


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0.05)
    except Timeout:
        return False
    except OSError:  # another person's, which may not be opened: nobody can wait for it
        return True
    return True


def device_name(device: str) -> str:
    """What shares one lock. Without torch nobody knows what ``auto`` will be, so only a further GPU named by its number is another device.

    "auto", "cpu", "mps", "cuda", "cuda:0" -> "0"; "cuda:1" -> "1".
    """
    kind, _, number = device.partition(":")
    return number if kind == "cuda" and number.isdigit() else "0"


def _someone_older_waits(run: RunDir, device: str) -> bool:
    try:
        beside = tuple(run.path.parent.iterdir())
    except OSError:
        return False  # a folder may be entered and not be listed
    for path in beside:
        try:
            other = RunDir.open(path)
            older = other.created < run.created and device_name(other.device) == device_name(device)
            if older and other.status().state == "queued":
                return True
        except (PandaError, OSError, RuntimeError):  # the last for a link that leads to itself
            continue  # not a run, or one that cannot be read: it waits for nothing
    return False
