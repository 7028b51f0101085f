"""``panda train`` and ``panda pretext``."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from panda_core.cli.console import ERR, PATH, by_default, device_option, json_option, print_json, progress
from panda_core.presets import PRESETS
from panda_core.presets import preset as find_preset

if TYPE_CHECKING:
    from panda_core.config import Config
    from panda_core.runs import RunDir

FIRST_SECONDS = 120
"""How long a further process waits for the first one to make the run."""
preset_option = click.option("--preset", default="best", show_default=True, help=f"One of: {', '.join(PRESETS)}.")
from_option = click.option(
    "--from", "parent", metavar="MODEL", help="Fine-tune this model instead of starting from scratch; --preset is then not used."
)
set_option = click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change one field, e.g. --set data.size=96 (repeatable)."
)
exclude_option = click.option(
    "--exclude",
    type=PATH,
    multiple=True,
    metavar="IMAGE",
    help="An image of DATA to leave out, or its SHA-256 (repeatable).",
)


@click.command()
@click.argument("data", type=PATH, required=False)
@click.option("--run", "run_path", type=PATH, required=True, help="Folder of this training: checkpoints, log, model.")
@preset_option
@from_option
@set_option
@click.option("--name", help="Name of the model; the run folder's name by default.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of --run.")
@exclude_option
@click.option("--low-priority", is_flag=True, help="Let other programs on this machine go first.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Devices to train on in parallel.")
@click.option(
    "--machines",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Machines that train together: the same command on each, with $NODE_RANK 0, 1, ..., and $MASTER_ADDR and $MASTER_PORT of the "
    "first. DATA and RUN lie where all of them see them.",
)
@device_option
@json_option
def train(
    data: Path | None,
    run_path: Path,
    preset: str,
    parent: str | None,
    changes: tuple[str, ...],
    name: str | None,
    resume: bool,
    exclude: tuple[Path, ...],
    low_priority: bool,
    devices: int,
    machines: int,
    device: str,
    as_json: bool,
) -> None:
    """Train a model on DATA, a folder of normal images.

    DATA is a flat folder, or MVTec layout (train/good), or normal/ beside anomalous/. Some normal images are held out to
    calibrate with; known anomalies, if any, place the boundary. The model appears in RUN/model when it is finished.
    Ctrl-C stops after the current step and keeps a checkpoint; --resume goes on with it, on the same device.
    Where another training is at work on this device, this one waits.

    \b
    Example:  panda train good_parts/ --run runs/parts --set data.augment=none
              panda train --run runs/parts --resume
              panda train new_light/ --run runs/parts-2 --from runs/parts/model
    """
    from panda_core.cli.results import outcome_document, results
    from panda_core.runs import RunDir, resuming
    from panda_core.worker import is_helper_process, work

    follows = devices * machines > 1 and is_helper_process()
    if resume:
        if data or changes or exclude or parent or name or not by_default("preset"):
            raise click.UsageError(
                "--resume takes data and settings from the run; leave out DATA, --preset, --name, --set, --from and --exclude."
            )
        run = RunDir.open(run_path)
        run.require_unfinished()
        if by_default("device"):
            device = run.device
        if not run.alive() and run.status().state != "created":
            run.clear_cancel()  # left behind by a stop that became a kill; before it began, a request to stop is meant
    elif data is None:
        raise click.UsageError("Name the folder of normal images: panda train FOLDER --run RUN. To go on with a run, add --resume.")
    elif follows:
        run = _made_by_the_first(run_path)
    else:
        base, model = starting_point(preset, parent)
        _refuse_among_images(run_path, data)
        run = RunDir.create(
            run_path,
            base.override(**dict(map(parse_change, changes))),
            data,
            name=name,
            parent=model,
            exclude=hashes(exclude),
            device=device,
            low_priority=low_priority,
        )
    with _watch(run):
        outcome = work(run, device=device, devices=devices, machines=machines, low_priority=low_priority)
    if follows:
        return  # the first process speaks for all
    if as_json:
        print_json(outcome_document(run))
    elif outcome == "done":
        lines = (
            f"Done. {run.status().detail}",
            *results(run),
            f"Inspect with it: panda inspect IMAGE --model {shlex.quote(str(run.model_path))}",
        )
        ERR.print("\n".join(lines))
    else:
        ERR.print(f"{run.status().detail} Go on with: {resuming(run.path)}")


def _refuse_among_images(run: Path, data: Path) -> None:
    """Raises click.UsageError where a run would lie among the images that it is trained on."""
    from panda_core.data.folders import ANOMALOUS_NAMES, NORMAL_NAMES

    run, data = run.resolve(), data.resolve()
    inside = run.relative_to(data).parts if run.is_relative_to(data) else None
    if inside is not None and (not inside or inside[0] in ("train", *NORMAL_NAMES, *ANOMALOUS_NAMES)):
        place = data.joinpath(*inside[:1])
        raise click.UsageError(
            f"The images in {place} are trained on, and the pictures that a run makes would be taken for some of them. Choose another "
            f"folder than {run} for the run."
        )


def starting_point(preset: str, parent: str | None) -> tuple[Config, Path | None]:
    """The configuration to begin with, and the folder of the model to fine-tune. Raises ConfigError, ModelError."""
    if parent is None:
        return find_preset(preset), None
    from panda_core.card import find_model, tuned_from

    folder = find_model(parent)
    return tuned_from(folder), folder


def hashes(images: tuple[Path, ...]) -> list[str]:
    """SHA-256 of image files; what is written as one already is taken for it. Raises ImageError."""
    from panda_core.data.images import content_hash

    return [str(path) if re.fullmatch("[0-9a-f]{64}", str(path)) else content_hash(path) for path in images]


def _made_by_the_first(path: Path) -> RunDir:
    """The run that the first process of a data-parallel training makes; waits for it a while. Raises TrainingError."""
    from panda_core.runs import RunDir

    until = time.monotonic() + FIRST_SECONDS
    while not (path / "config.json").exists() and time.monotonic() < until:
        time.sleep(0.2)
    return RunDir.open(path)


def parse_change(text: str) -> tuple[str, Any]:
    """ "train.seed=3" -> ("train.seed", 3); values are JSON where they parse, words otherwise. Raises click.UsageError."""
    field, sign, value = text.partition("=")
    if not sign or not field:
        raise click.UsageError(f"--set {text}: write FIELD=VALUE, e.g. --set train.seed=3.")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value


@contextmanager
def _watch(run: RunDir) -> Iterator[None]:
    """A progress bar that reads the run's status, as any other viewer would."""
    over = threading.Event()
    with progress("Training") as update:

        def follow() -> None:
            while not over.wait(0.5):
                status = run.status()
                if status.total:
                    update(status.step, status.total)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@click.command()
@click.argument("data", type=PATH)
@click.option("--out", type=PATH, required=True, help="File for the weights (.safetensors).")
@click.option("--steps", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--task", type=click.Choice(["rotation", "jigsaw"]), default="rotation", show_default=True)
@click.option("--size", type=int, default=128, show_default=True, help="Side of the images in pixels.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@device_option
def pretext(data: Path, out: Path, steps: int, task: str, size: int, seed: int, device: str) -> None:
    """Pre-train VGG19, self-supervised, on the normal images of DATA: the paper's problem-specific perceptual network.

    ``panda train --set loss.reconstruction=perceptual-specific`` does this as a stage of its own; use this command to make the
    weights once and look at them. Take jigsaw for things without an upright (leaves), rotation for the rest.
    """
    from panda_core.config import DataConfig
    from panda_core.data.folders import scan
    from panda_core.devices import pick_device
    from panda_core.errors import FolderError
    from panda_core.pretext import pretrain_vgg19, save

    if not out.resolve().parent.is_dir():
        raise FolderError(f"{out.parent} is not a folder. Make it first, or choose another --out.")
    if out.exists():
        raise FolderError(f"{out} exists. Choose another file with --out, or delete it first.")
    splits = scan(data, data=DataConfig(size=size), seed=seed)
    last = 0.0
    with progress("Pre-training") as update:

        def on_step(step: int, loss: float, accuracy: float) -> None:
            nonlocal last
            last = accuracy
            update(step, steps)

        state = pretrain_vgg19(
            splits.train,
            size=size,
            steps=steps,
            task="rotation" if task == "rotation" else "jigsaw",
            seed=seed,
            device=pick_device(device),
            on_step=on_step,
        )
    if state is not None:
        save(out, state)
        ERR.print(f"Saved to {out}. Accuracy of the last batch: {last:.0%}.")
