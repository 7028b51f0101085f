"""Every registered detector keeps the promises of `detectors.base.Detector`. A new one is tested by being registered."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from panda_core.detectors import DETECTORS, build_detector
from panda_core.errors import ModelError
from panda_core.presets import PRESETS, preset
from panda_core.rivals import unread

VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"detector": name} for name in DETECTORS},
    "panda without the high level": {"generator.high_level": False, "generator.reencode_high": False},
    "panda without re-encoders": {"generator.reencode_high": False, "generator.reencode_low": False},
    "panda with the DCGAN critic": {"critic.kind": "dcgan"},
    "panda without crop and drop": {"critic.crop": False, "critic.drop": False},
    "panda, perceptual loss": {"loss.reconstruction": "perceptual-general", "loss.pixel_weight": 1.0},
}


@pytest.fixture(params=VARIANTS, ids=lambda name: name.replace(" ", "-"))
def detector(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return build_detector(preset("tiny").override(**VARIANTS[request.param]), pretrained=True)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_examination_has_the_promised_shapes_and_is_finite(detector: Any, x: torch.Tensor) -> None:
    seen = detector.examine(x)
    assert seen.reconstruction.shape == x.shape and seen.residual.shape == (4, 1, 32, 32)
    assert tuple(seen.errors) == detector.error_names
    assert all(values.shape == (4,) and torch.isfinite(values).all() for values in seen.errors.values())
    assert seen.residual.min() >= 0


def test_examination_repeats_to_the_bit(detector: Any, x: torch.Tensor) -> None:
    first, second = detector.examine(x), detector.examine(x)
    assert all(torch.equal(first.errors[name], second.errors[name]) for name in first.errors)
    assert torch.equal(first.residual, second.residual)


def test_a_batch_equals_its_singles(detector: Any, x: torch.Tensor) -> None:
    together = detector.examine(x).errors
    singles = [detector.examine(x[i : i + 1]).errors for i in range(len(x))]
    for name, values in together.items():
        torch.testing.assert_close(values, torch.cat([one[name] for one in singles]), atol=1e-5, rtol=1e-5)


def test_every_phase_reaches_exactly_its_own_modules(detector: Any, x: torch.Tensor) -> None:
    detector.train()
    for phase in detector.phases():
        mine = {id(p) for p in phase.parameters()}
        trained = [p for other in detector.phases() for p in other.parameters()]
        for parameter in trained:
            parameter.requires_grad_(id(parameter) in mine)
        detector.zero_grad(set_to_none=True)
        terms = detector.loss(phase.name, x, phase.start)
        torch.stack([value for name, value in terms.items() if not name.startswith("_")]).sum().backward()
        touched = {id(p) for p in detector.parameters() if p.grad is not None}
        assert touched and touched <= mine


class Sealed:
    """A part of a configuration that must not be read."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was read")


@pytest.mark.parametrize("name", DETECTORS)
def test_parts_of_the_configuration_that_are_called_unread_are_not_read(name: str, x: torch.Tensor) -> None:
    config = copy.copy(preset("tiny").override(detector=name, **{"baseline.inversion_steps": 2}))
    for part in unread(name):
        object.__setattr__(config, part, Sealed())
    detector = build_detector(config, pretrained=True)
    for phase in detector.phases():
        assert detector.train().loss(phase.name, x, phase.start)
    detector.after_step(0)
    assert detector.examine(x).errors


@pytest.mark.parametrize("name", PRESETS)
def test_every_step_moves_something_and_every_phase_has_its_turn(name: str) -> None:
    config = preset(name).override(**{"data.size": 32})
    phases = build_detector(config, pretrained=True).phases()
    steps = range(config.train.warmup_steps + config.train.adversarial_steps)
    assert [step for step in steps if not any(phase.active(step) for phase in phases)] == []
    assert all(any(phase.active(step) for step in steps) for phase in phases if not (phase.name == "warmup" and phase.stop == 0))


def test_inference_state_carries_the_scores_to_a_fresh_detector(detector: Any, x: torch.Tensor) -> None:
    state = {name: value.clone() for name, value in detector.inference_state().items()}
    assert not any("reencoder" in name for name in state)
    torch.manual_seed(99)
    fresh = build_detector(detector.config, pretrained=False)
    fresh.load_inference_state(state)
    for name, values in detector.examine(x).errors.items():
        torch.testing.assert_close(fresh.examine(x).errors[name], values)


def test_foreign_tensors_are_refused(detector: Any) -> None:
    state = dict(detector.inference_state())
    with pytest.raises(ModelError, match="unknown"):
        detector.load_inference_state({**state, "intruder": torch.zeros(1)})
    state.pop(next(iter(state)))
    with pytest.raises(ModelError, match="missing"):
        detector.load_inference_state(state)
