"""The checkpoint of a training that can go on: one safetensors file, its step in the header."""

from __future__ import annotations

import errno
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from panda_core.durable import replacing
from panda_core.errors import TrainingError
from panda_core.training import TrainState


def save_state(path: Path, state: TrainState) -> None:
    """Write a checkpoint as safetensors: temporary file, fsync, rename. Raises OSError, as other writing does."""
    temporary = path.with_suffix(".partial")
    with replacing(path, temporary, durable=True):
        _save(temporary, state)


def _save(path: Path, state: TrainState) -> None:
    try:
        save_file({name: value.contiguous() for name, value in state.tensors.items()}, path, metadata={"step": str(state.step)})
    except SafetensorError as error:
        # safetensors writes in Rust and says only in words that the disk is full (28 on Unix, 112 on Windows).
        full = "os error 28)" in str(error) or "os error 112)" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path)) from error


def load_state(path: Path) -> TrainState | None:
    """The checkpoint, None where there is none. Raises TrainingError when it is damaged."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            step = int((file.metadata() or {})["step"])
        return TrainState(step, load_file(path))
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise TrainingError(f"{path} is damaged and cannot be resumed. Delete it to train from the start.") from error
