"""Training throughput and peak memory of `balanced`: this machine's fast path against fp32 in contiguous layout, in one run.

    python benchmarks/throughput.py --size 128
    python benchmarks/throughput.py --size 128 --device cuda --steps 30

The two ways alternate, so that a machine that slows down meanwhile slows both. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from panda_core.data.batches import Batches
from panda_core.data.images import list_images
from panda_core.detectors import build_detector
from panda_core.devices import autocast_dtype, pick_device
from panda_core.memory import keep_freed_memory
from panda_core.presets import preset
from panda_core.procedural.dataset import write_dataset
from panda_core.reproduction.measuring import device_words
from panda_core.training import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=4, help="how often the two ways take turns in each phase")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of each way in a round; one before them is not timed")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    arguments = parser.parse_args()
    keep_freed_memory()  # as a training does
    device = pick_device(arguments.device)
    half = autocast_dtype(device) is not None
    ways = {"fast": ("bf16-mixed" if half else "32-true", True), "plain": ("32-true", False)}
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "leaves", kind="leaf", count=32, seed=0, size=arguments.size)
        paths = list_images(Path(folder) / "leaves" / "train" / "good")
        result: dict[str, Any] = {}
        for phase, warm in (("warmup", 10_000), ("game", 0)):
            times: dict[str, list[float]] = {way: [] for way in ways}
            with ExitStack() as stack:
                trainings = {way: _training(stack, paths, device, arguments.size, warm, *setting) for way, setting in ways.items()}
                for _ in range(arguments.rounds):
                    for way, train in trainings.items():
                        times[way] += train(1 + arguments.steps)[1:]
            medians = {way: float(np.median(values)) for way, values in times.items()}
            result[phase] = {
                **{f"{way}_s": round(value, 3) for way, value in medians.items()},
                "ratio": round(medians["plain"] / medians["fast"], 2),
            }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = {"peak_memory_mb": round(peak)}
    if device.type == "cuda":
        memory["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    print(json.dumps({**result, "bf16": half, "size": arguments.size, **memory, "device": device_words(device)}))


def _training(
    stack: ExitStack, paths: list[Path], device: torch.device, size: int, warmup: int, precision: Any, channels_last: bool
) -> Callable[[int], list[float]]:
    """A function that takes the next steps of a training, as many as it is told, and returns the seconds of each."""
    changes = {"data.size": size, "train.warmup_steps": warmup, "train.adversarial_steps": 10_000, "train.channels_last": channels_last}
    # The cap would let the critic skip steps in one way and not in the other.
    config = preset("balanced").override(**changes, **{"loss.critic_accuracy_cap": 1.0})
    torch.manual_seed(0)
    fabric = Fabric(accelerator=device.type, devices=1, precision=precision)
    trainer = Trainer(build_detector(config, pretrained=True), config=config.train, fabric=fabric)
    batches = stack.enter_context(Batches(paths, size=size, augment="flip-rotate", batch=config.train.batch, seed=0))

    def train(steps: int) -> list[float]:
        seconds: list[float] = []
        trainer.fit(batches, on_step=lambda progress: seconds.append(progress.seconds), should_stop=lambda: len(seconds) == steps)
        return seconds

    return train


if __name__ == "__main__":
    main()
