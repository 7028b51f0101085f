"""The self-supervised VGG19: its two puzzles can be solved in principle, and its weights fit the perceptual loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from panda_core.data.images import list_images
from panda_core.nets.perceptual import build_features
from panda_core.pretext import ARRANGEMENTS, pretrain_vgg19, save, shuffle_quadrants, turn
from panda_core.pretrained import load_specific, read_tensors


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


def test_a_stopped_pretraining_gives_nothing(toy_folder: Path) -> None:
    paths = list_images(toy_folder / "train" / "good")
    assert pretrain_vgg19(paths, size=32, steps=2, batch=4, task="jigsaw", should_stop=lambda: True) is None
