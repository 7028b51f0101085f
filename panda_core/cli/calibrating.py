"""``panda calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from panda_core.cli.console import ERR, PATH, device_option, json_option, model_option, print_json, progress
from panda_core.cli.results import thresholds


@click.command()
@click.argument("folder", type=PATH)
@model_option
@click.option("--out", type=PATH, required=True, help="Where the calibrated copy of the model goes.")
@click.option(
    "--anomalies",
    type=PATH,
    help="Folder of known anomalies and nothing else, e.g. DATA/test/scratch, for a labelled boundary.",
)
@click.option(
    "--boundary",
    type=click.Choice(["auto", "labelled", "synthetic", "tail"]),
    default="auto",
    show_default=True,
    help="labelled: known anomalies; synthetic: made from the normal images; tail: a false-alarm rate; auto: labelled "
    "with four anomalies or more, else synthetic, and the tail where that gives no boundary. The errors are weighed with the known or, "
    "with fewer than four, synthetic anomalies in any case.",
)
@click.option("--false-alarm-rate", type=float, help="Rate the tail boundary aims at, e.g. 0.01.")
@device_option
@json_option
def calibrate(
    folder: Path, model: str, out: Path, anomalies: Path | None, boundary: str, false_alarm_rate: float | None, device: str, as_json: bool
) -> None:
    """Calibrate MODEL anew on FOLDER, normal images it was not trained on, and save a copy.

    A model knows the files it was trained on, and leaves them out; one from before 28 November 2026 does not.

    Images lie in FOLDER itself, or in normal/ with known anomalies in anomalous/ beside it.

    Do this when the model meets another camera, light or product: its idea of "normal" stays, its numbers and
    the weights of its errors are refitted.
    """
    from panda_core.calibration import calibrate_anew
    from panda_core.card import find_model, read_card
    from panda_core.checkpoint import load_model, save_model
    from panda_core.data.folders import find_images, known_anomalies
    from panda_core.devices import pick_device
    from panda_core.errors import FolderError

    out = out.resolve()
    if out == Path.cwd():
        raise FolderError("--out is the folder you are in, which the model would replace. Name a folder inside it, e.g. --out calibrated.")
    if (out / "card.json").exists():
        raise FolderError(f"{out} already holds a model. Choose another --out folder.")
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise FolderError(f"{out} exists and is not an empty folder; saving there would replace it. Choose another --out folder.")
    if not next(place for place in out.absolute().parents if place.exists()).is_dir():
        raise FolderError(f"{out} lies below a file, where no folder can be made. Choose another --out folder.")
    loaded = load_model(find_model(model), device=pick_device(device))
    if (folder / "train").is_dir() or (folder / "test" / "good").is_dir():
        raise FolderError(
            f"{folder} is a whole data set. Name its folder of normal images the model has not seen, e.g. {folder}/test/good."
        )
    normal, known = find_images(folder)
    if anomalies:
        known = known_anomalies(anomalies)
    changed: dict[str, Any] = {"scoring.boundary": boundary}
    if false_alarm_rate is not None:
        changed["scoring.false_alarm_rate"] = false_alarm_rate
    config = loaded.config.override(**changed)
    with progress("Calibrating") as update:
        found = calibrate_anew(loaded, normal, anomalous_paths=known, name=out.name, config=config, on_progress=update)
    save_model(out, loaded)
    if found.count < len(normal):
        others = "the others cannot be read, are copies, or are known to the model from its training"
        ERR.print(f"{found.count} of {len(normal)} normal images were used; {others}.")
    if anomalies and found.source != "labelled":
        ERR.print(f"The anomalies in {anomalies} were not used: the boundary is not made from known ones.")
    if false_alarm_rate is not None and found.boundary.kind != "tail":
        ERR.print(f"--false-alarm-rate was not used: this boundary is {found.boundary.kind}. It counts with --boundary tail.")
    if as_json:
        used = {"normal": found.count, "unused": len(normal) - found.count}
        print_json({"name": loaded.name, "path": str(out), **used, **thresholds(read_card(out))})
    else:
        ERR.print(f"Saved to {out}. {found.boundary.reason}")
