"""The checkpoint of a training that can go on: one safetensors file, its step in the header."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from panda_core.errors import TrainingError
from panda_core.training import TrainState


def save_state(path: Path, state: TrainState) -> None:
    """Write a checkpoint as safetensors: temporary file, fsync, rename."""
    temporary = path.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in state.tensors.items()}, temporary, metadata={"step": str(state.step)})
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


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
