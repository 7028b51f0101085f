"""Fine-tuning: a training that begins with the networks of a finished model instead of chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.numpy import save_file
from torch import nn

from panda_core.card import CARD_FILE, TENSOR_FILE, Card, read_card
from panda_core.checkpoint import load_model
from panda_core.config import Config
from panda_core.detectors import Detector
from panda_core.durable import replace_text, written_aside
from panda_core.errors import ConfigError, ModelError, TrainingError
from panda_core.origins import Origins, read_origins

FIXED = (
    *("detector", "data.size", "generator", "critic", "baseline.width", "baseline.latent"),
    *("loss.reconstruction", "loss.backbone", "loss.layer"),
)
"""What the parent's networks have decided: other values would not fit its tensors."""


def check_tuning(parent: Card, config: Config) -> None:
    """Raises ConfigError, naming the field, where ``config`` asks for other networks than the parent has."""
    for field in FIXED:
        theirs, ours = _value(parent.config.to_dict(), field), _value(config.to_dict(), field)
        if theirs != ours:
            name = next((f"{field}.{key}" for key in ours if ours[key] != theirs[key]), field) if isinstance(ours, dict) else field
            raise ConfigError(
                f"{name} cannot be changed when a model is fine-tuned: “{parent.name}” was built with another value. Leave it as it is, or "
                "train from scratch without --from."
            )


def keep_parent(parent: Card, images: Origins, place: Path) -> None:
    """Write into ``place`` what a resumed training asks of its parent: card and images, not the networks.

    Whoever renames or deletes the parent meanwhile does not end its children's trainings. Raises OSError.
    """
    place.mkdir(exist_ok=True)
    with written_aside(place / TENSOR_FILE, durable=False) as temporary:
        save_file(images.to_arrays(), temporary)
    replace_text(place / CARD_FILE, parent.to_json(), durable=False)


def read_parent(folder: Path) -> tuple[Card, Origins]:
    """The card of the model to fine-tune, and its images. Raises TrainingError that says what to do where it is gone or damaged."""
    try:
        return read_card(folder), read_origins(folder)
    except ModelError as error:
        raise TrainingError(f"The model to fine-tune cannot be used: {error}") from error


def take_over(detector: Detector, parent: Path) -> None:
    """Give a fresh detector the networks of a model. Raises TrainingError where they cannot be read.

    The re-encoders E^1 are not part of a model (they exist in training only): they begin as copies of the encoders, which have
    the same architecture and the same task, with another input.
    """
    try:
        detector.load_inference_state(load_model(parent).detector.inference_state())
    except ModelError as error:
        raise TrainingError(f"The model to fine-tune cannot be used: {error}") from error
    generator, reencoders = getattr(detector, "generator", None), getattr(detector, "reencoders", None)
    for level in ("low", "high"):
        encoder, copy = (getattr(part, name, None) for part, name in ((generator, f"encode_{level}"), (reencoders, level)))
        if isinstance(encoder, nn.Module) and isinstance(copy, nn.Module):
            copy.load_state_dict(encoder.state_dict())


def _value(values: dict[str, Any], field: str) -> Any:
    for part in field.split("."):
        values = values[part]
    return values
