"""Configuration: frozen, nested, strict, JSON-serialisable. Presets are data too: `panda_core.presets`.

What the paper (arXiv 2104.13702) leaves open is marked *(open)*: the value here is our choice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from panda_core.config.judging import Fusion, PerceptConfig, ScoringConfig
from panda_core.config.learning import Augment, Backbone, DataConfig, LossConfig, Precision, Reconstruction, TrainConfig
from panda_core.config.networks import BaselineConfig, Combine, CriticConfig, GeneratorConfig, Norm
from panda_core.errors import ConfigError
from panda_core.strict import build, dotted_names, nearest

__all__ = [
    "Augment",
    "Backbone",
    "BaselineConfig",
    "Combine",
    "Config",
    "CriticConfig",
    "DataConfig",
    "Fusion",
    "GeneratorConfig",
    "LossConfig",
    "Norm",
    "PerceptConfig",
    "Precision",
    "Reconstruction",
    "ScoringConfig",
    "TrainConfig",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that defines a training, nested by part."""

    preset: str = "best"
    """The preset this configuration began as; a note, it decides nothing."""
    detector: str = "panda"
    """Which system learns: ``panda``, or one of those it is compared with (``panda_core/detectors``)."""
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    percept: PerceptConfig = field(default_factory=PerceptConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """A nested dict of JSON types; ``Config.from_dict`` gives back an equal configuration."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Strict inverse of ``to_dict``; missing fields take their defaults.

        Raises ConfigError on an unknown field (with the nearest name), a wrong type or a value out of range.
        """
        return build(cls, values, "config")

    def override(self, **changes: Any) -> Config:
        """A copy with dotted fields replaced, e.g. ``override(**{"train.seed": 3})``. Raises ConfigError."""
        nested = self.to_dict()
        if changes.get("preset", self.preset) != self.preset:
            raise ConfigError(
                f"preset {changes['preset']!r} would be a name without its values. Begin with it: --preset {changes['preset']}."
            )
        for dotted, value in changes.items():
            part = nested
            *path, last = dotted.split(".")
            for name in path:
                part = part.get(name, {}) if isinstance(part.get(name), dict) else {}
            if last not in part:
                raise ConfigError(f"No field '{dotted}'.{nearest(dotted, dotted_names(self.to_dict()))}")
            part[last] = value
        return Config.from_dict(nested)
