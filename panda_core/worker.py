"""The process that trains: its priority, its turn at the device, and a sentence for every way in which it can end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Literal

from panda_core.errors import BrokenOffError, PandaError
from panda_core.runs import RunDir
from panda_core.stopping import stop_signals
from panda_core.turns import device_turn


def is_helper_process() -> bool:
    """Whether this is a further process of a data-parallel training, on this machine or another: the first one makes the run and writes."""
    return any(int(os.environ.get(name, "0")) > 0 for name in ("LOCAL_RANK", "NODE_RANK"))


def work(
    run: RunDir, *, device: str = "auto", devices: int = 1, machines: int = 1, low_priority: bool = False
) -> Literal["done", "stopped"]:
    """Train a run from where it stands; waits for the device first, and imports torch only then.

    SIGTERM and SIGINT stop it while it waits and loads, too: "stopped"; several processes together only once they train.

    Every error is written to the run's status before it is raised: a PandaError with its own sentence, anything else as a
    BrokenOffError that says what is known, with the traceback on stderr. A run that is done is refused and left as it is.
    """
    if low_priority:
        step_back()
    if devices * machines > 1 and is_helper_process():
        return _train(run, device, devices, machines)
    alone = devices * machines == 1  # a process of several that stopped by itself would leave the others waiting for it
    with run.hold():
        run.require_unfinished()  # before anything is written down: another process may just have ended it
        with stop_signals(run.cancel) if alone else nullcontext(), _said(run), device_turn(run, device, run.cancelled) as free:
            if not free:
                run.write_status("stopped", detail="Stopped before it began. Start it with Resume.")
                return "stopped"
            # Importing torch takes seconds in which a person wants to see that something happens.
            run.write_status("running", detail="Loading the networks.", stage="load")
            return _train(run, device, devices, machines)


def _train(run: RunDir, device: str, devices: int, machines: int) -> Literal["done", "stopped"]:
    from panda_core.trainer import run_training

    return run_training(run, device=device, devices=devices, machines=machines)


@contextmanager
def _said(run: RunDir) -> Iterator[None]:
    try:
        yield
    except PandaError as error:
        _write_failure(run, str(error))
        raise
    except Exception as error:
        sentence = _sentence(run, error)
        _write_failure(run, sentence)
        import traceback

        traceback.print_exc(file=sys.stderr)
        raise BrokenOffError(sentence) from error


def _write_failure(run: RunDir, sentence: str) -> None:
    # On a full disk the status cannot be written either; the lock, free from now on, then says that the run was interrupted.
    with suppress(OSError):
        run.write_status("failed", detail=sentence)


def _sentence(run: RunDir, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({run.path}). Make room, then resume: the last checkpoint is intact."
    # On a CPU torch says it in the words of a RuntimeError.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error):
        return "The memory was not enough. Lower data.size, train.batch or train.adversarial_batch, or close other programs."
    if isinstance(error, OSError):
        where = error.filename or run.path
        return f"A file could not be read or written: {error.strerror or error} ({where}). Look at the disk and its permissions."
    what = f"{type(error).__name__}: {error}"
    return f"Something is wrong in the program ({what}). log.txt, or the lines above, show where; the last checkpoint is intact."


def step_back() -> None:
    """Let everything else on this machine go first; a process that was started with a lower priority still keeps it."""
    import psutil

    with suppress(psutil.Error, OSError):
        process = psutil.Process()
        lower = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", None)
        process.nice(max(10, process.nice()) if lower is None else lower)
