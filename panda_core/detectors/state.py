"""Parts of a detector <-> one flat dictionary of tensors, and the detectors that are no more than named parts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from panda_core.config import Config
from panda_core.errors import ModelError
from panda_core.nets.perceptual import FrozenFeatures


def parts_state(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """{"part.name": tensor} of all parts, detached."""
    return {f"{part}.{name}": value.detach() for part, module in parts.items() for name, value in module.state_dict().items()}


def load_parts(parts: Mapping[str, nn.Module], state: Mapping[str, Tensor]) -> None:
    """Inverse of ``parts_state``. Raises ModelError on missing, foreign or misshapen tensors."""
    wanted = parts_state(parts)
    missing, foreign = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    wrong = sorted(name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape)
    if missing or foreign or wrong:
        example = (missing + foreign + wrong)[0]
        raise ModelError(
            f"The weights do not fit the configured network: {len(missing)} tensors missing, {len(foreign)} unknown, "
            f"{len(wrong)} of another shape (e.g. {example}). The model file and its card do not belong together."
        )
    for part, module in parts.items():
        module.load_state_dict({name: state[f"{part}.{name}"] for name in module.state_dict()})


class DetectorOfParts(nn.Module):
    """What the systems PANDA is compared with share: a configuration, no perceptual network, and parts by name of which some are kept."""

    error_names: tuple[str, ...] = ("score",)
    kept: tuple[str, ...]
    """Names of the parts that inference needs; an exported model holds no others."""

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        """``features``, the network of the perceptual loss, is not used."""
        super().__init__()
        self.config = config

    def after_step(self, step: int) -> None:
        """Nothing moves between steps."""

    def inference_state(self) -> dict[str, Tensor]:
        """The tensors of the ``kept`` parts."""
        return parts_state({name: self.get_submodule(name) for name in self.kept})

    def load_inference_state(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of ``inference_state``. Raises ModelError."""
        load_parts({name: self.get_submodule(name) for name in self.kept}, state)
