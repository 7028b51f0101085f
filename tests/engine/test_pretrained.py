"""Where pre-trained weights are found, and what is said when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from panda_core import pretrained
from panda_core.errors import WeightsError
from panda_core.nets.perceptual import Vgg19Features, build_features
from panda_core.pretrained import efficientnet_lite0_state, load_imagenet, load_specific, read_tensors, resolve_backbone, torchvision_state


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, and no download cache."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(pretrained, "WEIGHTS_FOLDER", folder)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return folder


@pytest.fixture(scope="module")
def vgg() -> Vgg19Features:
    features = build_features("vgg19")
    assert isinstance(features, Vgg19Features)
    return features


def random_state(features: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(value.shape, generator=generator) for name, value in features.state_dict().items()}


def test_absent_weights_say_which_file_where_and_the_command(weights: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        torchvision_state("vgg19")
    for part in ("vgg19-dcbb9e9d.pth", str(weights), "python -c", "efficientnet-lite0"):
        assert part in str(caught.value)


def test_a_safetensors_file_in_the_weights_folder_is_found_and_loaded(weights: Path, vgg: Vgg19Features) -> None:
    state = random_state(vgg, 1)
    save_file({**state, "classifier.0.weight": torch.zeros(2, 2)}, weights / "vgg19.safetensors")
    load_imagenet(vgg, "vgg19")
    assert all(torch.equal(value, state[name]) for name, value in vgg.state_dict().items())


def test_torchs_download_cache_is_found_but_the_weights_folder_wins(weights: Path) -> None:
    cache = weights.parent / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save({"a": torch.ones(1)}, cache / "vgg19-dcbb9e9d.pth")
    assert torchvision_state("vgg19")["a"] == 1
    torch.save({"a": torch.zeros(1)}, weights / "vgg19-dcbb9e9d.pth")
    assert torchvision_state("vgg19")["a"] == 0


def test_auto_takes_vgg19_only_where_it_is(weights: Path) -> None:
    assert resolve_backbone("auto") == "efficientnet-lite0"
    (weights / "vgg19.safetensors").touch()
    assert resolve_backbone("auto") == "vgg19"
    assert resolve_backbone("efficientnet-lite0") == "efficientnet-lite0"


@pytest.mark.parametrize("name", ["vgg19.safetensors", "vgg19-dcbb9e9d.pth"])
def test_a_damaged_file_is_named(weights: Path, name: str) -> None:
    (weights / name).write_bytes(b"half a download")
    with pytest.raises(WeightsError, match=rf"{name}.*fetch it again"):
        torchvision_state("vgg19")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.ones(2)], ids=["list", "numbers", "tensor"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="not a table of tensors"):
        read_tensors(tmp_path / "odd.pth")


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path: Path) -> None:
    torch.save({"a": Bomb(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_tensors(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("change", ["missing", "misshapen"])
def test_weights_that_do_not_fit_are_refused(vgg: Vgg19Features, change: str) -> None:
    state = random_state(vgg, 2)
    name = next(iter(state))
    if change == "missing":
        del state[name]
    else:
        state[name] = state[name][:1]
    with pytest.raises(WeightsError, match="1 tensors missing" if change == "missing" else "1 of another shape"):
        load_specific(vgg, state)


def test_efficientnet_weights_reach_every_layer_in_their_order() -> None:
    features, untouched = (build_features("efficientnet-lite0") for _ in range(2))
    load_imagenet(features, "efficientnet-lite0")
    file = efficientnet_lite0_state()
    loaded, fresh = features.state_dict(), untouched.state_dict()
    assert torch.equal(loaded["body.conv_stem.weight"], next(iter(file.values())))
    kept = {name: value for name, value in loaded.items() if not name.endswith("num_batches_tracked")}
    assert all(not torch.equal(value, fresh[name]) for name, value in kept.items()), "every layer of the network was filled"
    in_file = [value for name, value in file.items() if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(value, in_file[place]) for place, value in enumerate(kept.values())), "a prefix of the file, in its order"
    assert all(bool((value >= 0).all()) for name, value in kept.items() if name.endswith("running_var"))
