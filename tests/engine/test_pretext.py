"""The self-supervised VGG19: its two puzzles can be solved in principle, and its weights fit the perceptual loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from panda_core.checkpoint import load_model
from panda_core.data.folders import scan
from panda_core.data.images import list_images
from panda_core.errors import ConfigError, TrainingError
from panda_core.estimate import estimate
from panda_core.nets.perceptual import build_features
from panda_core.presets import preset
from panda_core.pretext import ARRANGEMENTS, PretextNetwork, needs_pretext, pretrain_vgg19, save, shuffle_quadrants, turn
from panda_core.pretrained import load_specific, read_tensors
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.training import TrainState


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def labels(value: int, count: int = 3) -> Tensor:
    return torch.full((count,), value)


@pytest.mark.parametrize("make", [turn, shuffle_quadrants])
def test_label_zero_leaves_the_image_as_it_is(x: Tensor, make: object) -> None:
    assert torch.equal(make(x, labels(0)), x)  # type: ignore[operator]


def test_four_quarter_turns_are_none(x: Tensor) -> None:
    turned = x
    for _ in range(4):
        turned = turn(turned, labels(1))
        assert turned.shape == x.shape
    assert torch.equal(turned, x)


def test_turns_add_up(x: Tensor) -> None:
    assert torch.equal(turn(turn(x, labels(1)), labels(2)), turn(x, labels(3)))


@pytest.mark.parametrize(("make", "classes"), [(turn, 4), (shuffle_quadrants, len(ARRANGEMENTS))])
def test_every_class_looks_different_and_keeps_all_pixels(x: Tensor, make: object, classes: int) -> None:
    seen = [make(x[:1], labels(k, 1)) for k in range(classes)]  # type: ignore[operator]
    for one in range(classes):
        assert torch.equal(seen[one].flatten().sort().values, x[:1].flatten().sort().values)
        assert not any(torch.equal(seen[one], seen[other]) for other in range(one))


def test_each_image_follows_its_own_label(x: Tensor) -> None:
    for make, mixed in ((turn, torch.tensor([0, 2, 3])), (shuffle_quadrants, torch.tensor([7, 0, 4]))):
        together = make(x, mixed)
        for index in range(3):
            assert torch.equal(together[index : index + 1], make(x[index : index + 1], mixed[index : index + 1]))


def test_arrangements_are_orders_of_four_quadrants() -> None:
    assert all(sorted(order) == [0, 1, 2, 3] for order in ARRANGEMENTS) and len(set(ARRANGEMENTS)) == len(ARRANGEMENTS)


def test_pretraining_repeats_by_seed_and_gives_weights_the_loss_accepts(toy_folder: Path, tmp_path: Path) -> None:
    paths = list_images(toy_folder / "train" / "good")
    said: list[tuple[int, float, float]] = []
    state, again = (pretrain_vgg19(paths, size=32, steps=2, batch=4, seed=5, on_step=lambda *step: said.append(step)) for _ in range(2))
    assert state is not None and again is not None
    assert all(torch.equal(value, again[name]) for name, value in state.items())
    assert said[:2] == said[2:] and [step for step, _, _ in said[:2]] == [1, 2]
    save(tmp_path / "pretext.safetensors", state)
    assert [path.name for path in tmp_path.iterdir()] == ["pretext.safetensors"]
    features = build_features("vgg19")
    load_specific(features, read_tensors(tmp_path / "pretext.safetensors"))
    assert all(torch.equal(value, state[name]) for name, value in features.state_dict().items())


def test_bf16_moves_the_weights_by_rounding_only_and_keeps_them_in_fp32(toy_folder: Path) -> None:
    paths = list_images(toy_folder / "train" / "good")
    full, half = (pretrain_vgg19(paths, size=32, steps=2, batch=4, precision=precision) for precision in ("fp32", "bf16"))
    assert full is not None and half is not None
    assert {value.dtype for value in half.values()} == {torch.float32}
    assert any(not torch.equal(value, half[name]) for name, value in full.items())
    assert all(torch.allclose(value, half[name], atol=1e-3) for name, value in full.items())


def test_a_stopped_pretraining_goes_on_to_the_same_bits(toy_folder: Path) -> None:
    paths, kept, done = list_images(toy_folder / "train" / "good"), list[TrainState](), list[int]()

    def make(**kwargs: Any) -> dict[str, Tensor] | None:
        return pretrain_vgg19(paths, size=32, steps=3, batch=4, task="jigsaw", **kwargs)

    assert make(on_step=lambda step, *_: done.append(step), on_checkpoint=kept.append, should_stop=lambda: len(done) == 2) is None
    assert [state.step for state in kept] == [2]
    resumed, whole = make(state=kept[0], on_step=lambda step, *_: done.append(step)), make()
    assert done == [1, 2, 3] and resumed is not None and whole is not None
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_checkpoints_come_in_between_and_none_before_the_first_step(toy_folder: Path) -> None:
    paths, kept = list_images(toy_folder / "train" / "good"), list[TrainState]()
    assert pretrain_vgg19(paths, size=32, steps=2, batch=4, on_checkpoint=kept.append, checkpoint_every=1) is not None
    assert [state.step for state in kept] == [1]
    assert pretrain_vgg19(paths, size=32, steps=2, batch=4, on_checkpoint=kept.append, should_stop=lambda: True) is None
    assert len(kept) == 1


def test_a_checkpoint_of_the_other_puzzle_is_refused(toy_folder: Path) -> None:
    paths, kept = list_images(toy_folder / "train" / "good"), list[TrainState]()
    pretrain_vgg19(paths, size=32, steps=2, batch=4, task="jigsaw", on_checkpoint=kept.append, checkpoint_every=1)
    with pytest.raises(TrainingError, match="another task"):
        pretrain_vgg19(paths, size=32, steps=2, batch=4, task="rotation", state=kept[0])


def test_the_network_learns_on_the_scale_on_which_the_loss_uses_it(x: Tensor) -> None:
    network, features = PretextNetwork(4), build_features("vgg19")
    load_specific(features, {f"features.{name}": value for name, value in network.features.state_dict().items()})
    seen: list[Tensor] = []
    for part in (network, features):
        part.features[0].register_forward_hook(lambda layer, given, made: seen.append(given[0]))
        part(x.repeat(1, 1, 4, 4) * 2 - 1)
    assert torch.equal(seen[0], seen[1])


def test_a_training_makes_its_specific_network_once_and_a_stop_in_between_loses_nothing(toy_folder: Path, tmp_path: Path) -> None:
    changes = {
        "loss.reconstruction": "perceptual-specific",
        "train.pretext_steps": 2,
        "train.precision": "fp32",
        "data.augment": "flip-rotate",
    }
    run = RunDir.create(tmp_path / "run", preset("tiny").override(**changes), toy_folder)
    record, said = run.record, list[int]()

    def cancel_after_the_first_step(event: dict[str, Any]) -> None:
        record(event)
        if event["event"] == "pretext":
            said.append(event["step"])
            if len(said) == 1:
                run.cancel()

    run.record = cancel_after_the_first_step  # type: ignore[method-assign]
    assert run_training(run, device="cpu") == "stopped"
    assert (run.path / "pretext-state.safetensors").exists() and not (run.path / "pretext.safetensors").exists()
    assert run_training(run, device="cpu") == "done"
    assert said == [1, 2] and not (run.path / "pretext-state.safetensors").exists()

    made = read_tensors(run.path / "pretext.safetensors")
    images = scan(toy_folder, data=run.config.data, seed=run.config.train.seed).train
    wanted = pretrain_vgg19(images, size=32, steps=2, task="jigsaw", batch=run.config.train.batch, precision="fp32")
    used = load_model(run.model_path).detector.inference_state()
    assert wanted is not None and all(torch.equal(value, made[name]) for name, value in wanted.items())

    child = RunDir.create(tmp_path / "child", run.config, toy_folder, parent=run.model_path)
    assert run_training(child, device="cpu") == "done" and not (child.path / "pretext.safetensors").exists()
    theirs = load_model(child.model_path).detector.inference_state()
    assert all(torch.equal(value, theirs[name]) for name, value in used.items() if name.startswith("features."))

    learned = {name.removeprefix("features."): value.float() for name, value in used.items() if name.startswith("features.features.")}
    assert "features.0.weight" in learned  # and as far up as the loss looks
    for name, value in learned.items():
        torch.testing.assert_close(value, wanted[name], atol=1e-2, rtol=1e-2)


def test_any_seed_of_the_configuration_will_do(toy_folder: Path) -> None:
    paths = list_images(toy_folder / "train" / "good")
    assert pretrain_vgg19(paths, size=32, steps=1, batch=4, seed=2**63 - 1) is not None


def test_only_a_training_from_scratch_of_panda_makes_the_network() -> None:
    specific = {"loss.reconstruction": "perceptual-specific"}
    assert needs_pretext(preset("balanced").override(**specific), tuned=False)
    assert not needs_pretext(preset("balanced").override(**specific), tuned=True)
    assert not needs_pretext(preset("balanced"), tuned=False)
    assert not needs_pretext(preset("vae").override(**specific), tuned=False)


def test_it_is_in_the_estimate(toy_folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = preset("tiny").override(**{"loss.reconstruction": "perceptual-specific", "train.pretext_steps": 50})
    with pytest.raises(ConfigError, match=r"loss\.reconstruction cannot be changed"):
        estimate(config, toy_folder, device="cpu", parent=tiny_model)
    monkeypatch.setattr("panda_core.estimate.check_tuning", lambda parent, config: None)
    scratch, tuned = (estimate(config, toy_folder, device="cpu", parent=parent) for parent in (None, tiny_model))
    assert scratch.pretext_step > 0 and scratch.seconds > 50 * scratch.pretext_step and tuned.pretext_step == 0


def test_a_network_that_was_not_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        save(tmp_path / "taken", {"features.0.weight": torch.zeros(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
