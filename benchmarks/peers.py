"""Train and measure detectors of anomalib on this project's splits: one record a run, resumable.

    python -m benchmarks.peers --data ROOT --seeds 0 1 2 --out docs/results

anomalib's own networks, training steps and fitting (its Engine) see the training images of `data.folders.scan`, decoded and resized
as ours; its raw scores, never its normalised ones, go through our metrics. Nothing is downloaded. Needs requirements-peers.txt in an
environment of its own; docs/peers.md tells what differs from anomalib's defaults.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.peer_systems import PEERS, Material, Peer
from panda_core.card import versions
from panda_core.config import DataConfig
from panda_core.data.folders import LabelledImage, labelled_test, scan
from panda_core.data.images import read_image
from panda_core.data.masks import MAP_SIDE, true_mask
from panda_core.datasets import Prepared, data_root
from panda_core.datasets import prepare as prepare_dataset
from panda_core.devices import autocast_dtype
from panda_core.errors import FolderError, PandaError
from panda_core.reproduction.measuring import device_words, groups_of, labels_of, package_version, separation
from panda_core.reproduction.record import Record, record_path, write_record
from panda_core.reproduction.running import VIDEO
from panda_core.scoring.maps import resize_map
from panda_core.scoring.metrics import aupro, pixel_auroc

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
        others = others_than(dataset, arguments) if PEERS[system].compares else ()
        record = measure(system, dataset, category, prepared, seed, others)
    except PandaError as error:
        print(f"{system} {name} seed {seed}: {error}", flush=True)
        return
    write_record(arguments.out, record)
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(place | {"auroc": record.auroc, "train_seconds": record.train_seconds, "peak_memory_mb": memory}), flush=True)


def others_than(dataset: str, arguments: argparse.Namespace) -> list[Path]:
    """Normal training images of the other data sets in SETS that are there. Raises PandaError where there is none."""
    found: list[Path] = []
    for name, _, category in (other.partition("/") for other in SETS):
        if name != dataset:
            with suppress(PandaError):
                folder = prepare_dataset(name, category, root=data_root(arguments.data), place=arguments.place).folder
                found += scan(folder, data=DataConfig(), seed=0).train
    if not found:
        raise FolderError(f"This system compares with images of another data set than {dataset}, and there is none. Put one beside it.")
    return found


def measure(system: str, dataset: str, category: str, prepared: Prepared, seed: int, others: Sequence[Path] = ()) -> Record:
    """Train one system on the training normals of one set; then read its test split, once."""
    peer, started = PEERS[system], time.perf_counter()
    splits = scan(prepared.folder, data=DataConfig(size=peer.size), seed=seed)
    network = train(peer, Material(splits.train, splits.validation, others), seed)
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


def train(peer: Peer, material: Material, seed: int) -> nn.Module:
    """anomalib's network, fitted by its Engine to normal images, in evaluation mode. It writes no checkpoint and no log."""
    from anomalib.data import ImageBatch
    from anomalib.engine import Engine
    from lightning.pytorch import LightningDataModule, seed_everything

    seed_everything(seed, verbose=False)
    module = peer.build(peer.settings, material)
    loader = torch.utils.data.DataLoader(
        [peer.see(read_image(path)) for path in material.images],  # type: ignore[arg-type]  # a list is a data set
        batch_size=peer.batch,
        shuffle=True,
        collate_fn=lambda batch: ImageBatch(image=torch.stack(batch)),
    )

    class Images(LightningDataModule):
        """What anomalib asks of a data set."""

        name, category, train_batch_size = "images", "", peer.batch

        def train_dataloader(self) -> torch.utils.data.DataLoader[torch.Tensor]:
            return loader

    half = peer.half and autocast_dtype(torch.device("cpu")) is not None
    settings = {"accelerator": "cpu", "devices": 1, "precision": "bf16-mixed" if half else "32-true", "barebones": True}
    with tempfile.TemporaryDirectory() as workspace:
        Engine(default_root_dir=workspace, max_epochs=peer.epochs(len(material.images)), **settings).fit(module, datamodule=Images())
    peer.finish(module, peer, material)
    return module.model.eval()


@torch.inference_mode()
def look(network: nn.Module, peer: Peer, samples: list[LabelledImage]) -> Seen:
    """Raw scores and maps of the test images, one by one."""
    seen = Seen(samples)
    for sample in samples:
        image = read_image(sample.path)
        started = time.perf_counter()
        x = peer.see(image)[None]
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


if __name__ == "__main__":
    main()
