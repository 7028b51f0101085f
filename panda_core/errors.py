"""The errors a person can cause or meet. Each message says what, where and what to do.

PandaError                 base class: the CLI and the app show its sentence, without a traceback
├── ConfigError            a configuration field is unknown, out of range or contradicts another
├── ImageError             a file is not an image we can read (.path, .reason)
├── FolderError            a data folder is missing, empty or holds too few usable images
├── ModelError             a model folder is missing, damaged, foreign or of another version
├── WeightsError           pre-trained weights a network needs are not on this machine
├── TrainingError          training cannot start or go on (not finite, no checkpoint to resume)
│   └── BrokenOffError     the machine or the program ended it: a full disk, too little memory, a defect
└── CalibrationError       calibration images do not allow a statement (too few, all alike)
"""

from __future__ import annotations

from pathlib import Path


class PandaError(Exception):
    """Base of all errors whose message is written for the person who caused them."""


class ConfigError(PandaError):
    """A configuration field is unknown, out of range or contradicts another field."""


class ImageError(PandaError):
    """The file is not an image we can read; ``path`` and ``reason`` say which and why."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(self.path, reason)  # what another process makes it from again

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class FolderError(PandaError):
    """A data folder is missing, empty or holds too few usable images."""


class ModelError(PandaError):
    """A model folder is missing, damaged, not ours or written by another version."""


class WeightsError(PandaError):
    """Pre-trained weights that a network needs are not on this machine."""


class TrainingError(PandaError):
    """Training cannot start or go on: a value is not finite, or there is nothing to resume."""


class BrokenOffError(TrainingError):
    """The machine or the program ended a training, and not what a person asked for: a full disk, too little memory, a defect."""


class CalibrationError(PandaError):
    """The calibration images do not allow a statement: too few, or all alike."""
