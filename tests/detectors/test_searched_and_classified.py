"""What the rivals promise beyond the contract of all detectors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from panda_core.config import Config
from panda_core.detectors import build_detector
from panda_core.detectors.csi import MEMORY, Csi
from panda_core.detectors.dadugt import Dadugt
from panda_core.detectors.egbad import Egbad
from panda_core.presets import preset
from panda_core.rivals import RIVALS
from panda_core.training import Progress, Trainer


class Noise:
    """Batches of noise in the place of images."""

    def at(self, step: int, *, rank: int = 0, world: int = 1) -> np.ndarray:
        return np.random.default_rng(step).uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)


def tiny(detector: str, **changes: Any) -> Config:
    return preset("tiny").override(detector=detector, **changes)


def built(detector: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return build_detector(tiny(detector, **changes), pretrained=False)


def trained(detector: Any, on_step: Any = lambda progress: None) -> Any:
    fabric = Fabric(accelerator="cpu", devices=1)
    Trainer(detector, config=detector.config.train, fabric=fabric).fit(Noise(), on_step=on_step)  # type: ignore[arg-type]
    return detector


@pytest.fixture
def x() -> torch.Tensor:
    return torch.from_numpy(Noise().at(99))


@pytest.mark.parametrize("name", RIVALS)
def test_a_rivals_preset_is_its_own_system_without_our_additions(name: str) -> None:
    config = RIVALS[name]
    assert config.detector == name and config.train.warmup_steps == 0
    assert not config.percept.enabled and config.scoring.fusion != "weighted" and config.train.ema == 0


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("name", RIVALS)
def test_losses_and_scores_are_finite_in_half_precision_and_channels_last(name: str, size: int) -> None:
    detector = built(name, **{"data.size": size, "baseline.inversion_steps": 2}).to(memory_format=torch.channels_last)
    x = (torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(memory_format=torch.channels_last)
    detector.train()
    for phase in detector.phases():
        with torch.autocast("cpu", torch.bfloat16):
            terms = detector.loss(phase.name, x, phase.start)
        torch.stack([value for term, value in terms.items() if not term.startswith("_")]).sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in phase.parameters())
    detector.after_step(0)
    with torch.autocast("cpu", torch.bfloat16):
        seen = detector.examine(x)
    assert all(values.dtype == torch.float32 and torch.isfinite(values).all() for values in seen.errors.values())


def test_anogans_search_lowers_its_loss_for_every_image(x: torch.Tensor) -> None:
    detector = trained(built("anogan"))
    scores = []
    for steps in (1, 30):
        detector.config = tiny("anogan", **{"baseline.inversion_steps": steps})
        scores.append(detector.examine(x).errors["score"])
    assert (scores[1] < scores[0]).all()


def test_anogans_search_is_the_same_in_half_precision_and_without_gradients(x: torch.Tensor) -> None:
    detector = trained(built("anogan"))
    plain = detector.examine(x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        other = detector.examine(x)
    assert torch.equal(plain.errors["score"], other.errors["score"]) and torch.equal(plain.reconstruction, other.reconstruction)
    assert not plain.reconstruction.requires_grad


def test_f_anogans_generator_and_critic_rest_while_the_encoder_learns() -> None:
    detector = built("f-anogan", **{"baseline.generator_every": 2})
    turn = detector.phases()[0].stop
    states: list[dict[str, dict[str, torch.Tensor]]] = []

    def remember(progress: Progress) -> None:
        parts = ("generator", "critic", "encoder")
        states.append({part: {n: v.clone() for n, v in getattr(detector, part).state_dict().items()} for part in parts})

    def moved(part: str) -> Iterator[bool]:
        weights = [name for name, _ in getattr(detector, part).named_parameters()]
        for before, after in pairwise(states):
            yield any(not torch.equal(before[part][name], after[part][name]) for name in weights)

    trained(detector, remember)
    total = len(states)
    assert list(moved("encoder")) == [step >= turn for step in range(1, total)]
    assert list(moved("critic")) == [step < turn for step in range(1, total)]
    assert list(moved("generator")) == [step < turn and step % 2 == 0 for step in range(1, total)]
    for name, value in states[-1]["generator"].items():  # running averages, too
        assert torch.equal(value, states[turn - 1]["generator"][name])


def test_egbad_pairs_images_with_their_encodings_and_samples_with_their_origin(x: torch.Tensor) -> None:
    detector: Egbad = built("egbad").eval()
    (image, encoded), (made, z) = detector.pairs(x)
    assert torch.equal(image, x) and torch.equal(encoded, detector.encoder(x))
    assert torch.equal(made, detector.generator(z)) and not torch.equal(z[0], z[1])


def test_a_perfect_reconstruction_scores_zero(x: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("egbad", "f-anogan"):
        detector = built(name)
        monkeypatch.setattr(detector.generator, "forward", lambda z: x)
        seen = detector.examine(x)
        assert seen.errors["score"].abs().max() == 0 and seen.residual.max() == 0


@pytest.mark.parametrize("name", ["dadugt", "csi"])
def test_who_reconstructs_nothing_says_so(name: str, x: torch.Tensor) -> None:
    seen = built(name).examine(x)
    assert torch.equal(seen.reconstruction, x) and seen.residual.max() == 0


def test_dirichlets_are_fitted_once_after_the_last_step() -> None:
    detector: Dadugt = built("dadugt")
    start, changed = detector.dirichlets.concentration.clone(), []
    trained(detector, lambda progress: changed.append(not torch.equal(start, detector.dirichlets.concentration)))
    assert changed == [False] * (len(changed) - 1) + [True]
    assert (detector.dirichlets.concentration > 0).all()


def test_csi_remembers_the_last_images_of_its_training() -> None:
    detector: Csi = built("csi", **{"train.adversarial_steps": MEMORY // 4})
    filled: list[int] = []
    trained(detector, lambda progress: filled.append(int(detector.memory.filled)))
    steps = len(filled)
    assert filled == [max(0, MEMORY - 4 * left) for left in reversed(range(steps))]
    kept = detector.memory.features
    assert torch.equal(kept[:, -4:], detector._features(torch.from_numpy(Noise().at(steps - 1)))[0])


def test_a_remembered_image_is_more_familiar_than_its_opposite() -> None:
    memory = Csi(tiny("csi"), None).memory
    features, logits = torch.randn(4, 5, 128, generator=torch.Generator().manual_seed(0)), torch.ones(4, 5)
    memory.keep(features, logits)
    assert (memory.familiarity(features, logits) > memory.familiarity(-features, logits)).all()
