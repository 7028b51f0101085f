"""``panda inspect``: files in, verdicts out."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from panda_core.cli.console import OUT, device_option, json_option, model_option, print_json, progress
from panda_core.errors import FolderError, ImageError, PandaError
from panda_core.inspection import Decision, Inspection

COLUMNS = ("path", "score", "gauge", "verdict", "boundary", "boundary_kind", "regions", "error")


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@model_option
@json_option
@click.option("--out", type=click.Path(path_type=Path), help="Write results.csv, overlays/ and masks/ into this folder.")
@click.option("--boundary", type=float, help="Call images above this score anomalous, instead of the model's own boundary.")
@click.option("--pixel-threshold", type=float, help="Threshold of the map, in standard deviations of normal images.")
@click.option("--batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Images the network sees at once.")
@device_option
def inspect(
    path: Path,
    model: str,
    as_json: bool,
    out: Path | None,
    boundary: float | None,
    pixel_threshold: float | None,
    batch: int,
    device: str,
) -> None:
    """Inspect PATH, an image or a folder of images.

    Prints score, verdict and the regions that look strange. A file that cannot be read is an error; inside a folder it is
    listed with its reason and the others go on.

    \b
    Example:  panda inspect photos/ --model leaf --out results/
    """
    from panda_core.data.images import list_images
    from panda_core.inspector import Inspector
    from panda_core.scoring.decision import decide

    folder = path.is_dir()
    paths = list_images(path) if folder else [path]
    if folder and not paths:
        raise FolderError(f"{path} holds no images. JPEG, PNG, WebP, BMP, TIFF and DICOM files are read.")
    inspector = Inspector.load(model, device=device)
    sink = _Sink(out) if out else None
    records: list[dict[str, Any]] = []
    with progress("Inspecting") as update:
        for source, result in zip(paths, inspector.inspect_many(paths, batch=batch), strict=True):
            if isinstance(result, ImageError):
                if not folder:
                    raise result
                records.append({"path": str(source), "error": result.reason})
            else:
                decision = decide(result, boundary=boundary, pixel_threshold=pixel_threshold)
                records.append(record(result, decision))
                if sink:
                    sink.pictures(source, result, decision)
            update(len(records), len(paths))
    if sink:
        sink.table(records)
    if as_json:
        print_json(records if folder else records[0])
    else:
        OUT.print(_table(records))


def record(inspection: Inspection, decision: Decision) -> dict[str, Any]:
    """The JSON object of one inspection."""
    return {
        "path": inspection.source,
        "score": inspection.score,
        "gauge": inspection.gauge,
        "verdict": decision.verdict,
        "boundary": decision.boundary.value,
        "boundary_kind": decision.boundary.kind,
        "errors": dict(inspection.errors),
        "regions": [{"area": r.area, "box": list(r.box), "peak": r.peak, "mean": r.mean} for r in decision.regions],
    }


def _table(records: list[dict[str, Any]]) -> Table:
    table = Table("image", "verdict", "score", "boundary", "regions")
    for entry in records:
        if "error" in entry:
            table.add_row(entry["path"], "not read", entry["error"], "", "")
        else:
            boundary = f"{entry['boundary']:.3f} ({entry['boundary_kind']})"
            table.add_row(entry["path"], entry["verdict"], f"{entry['score']:.3f}", boundary, str(len(entry["regions"])))
    return table


class _Sink:
    """Writes results.csv, overlays/ and masks/; every file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: set[str] = set()
        try:
            for part in ("overlays", "masks"):
                (folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PandaError(f"{folder} cannot be written: {error.strerror}. Choose another --out folder.") from error

    def pictures(self, source: Path, inspection: Inspection, decision: Decision) -> None:
        """Overlay and mask of one image, as PNG."""
        from panda_core.rendering import mask_picture, overlay

        name = self._name(source.stem)
        self._png(f"overlays/{name}.png", overlay(inspection, decision))
        self._png(f"masks/{name}.png", mask_picture(decision))

    def table(self, records: list[dict[str, Any]]) -> None:
        """results.csv, one line an image; regions as their count."""
        text = io.StringIO()
        errors = sorted({name for entry in records for name in entry.get("errors", {})})
        writer = csv.DictWriter(text, [*COLUMNS, *errors], extrasaction="ignore")
        writer.writeheader()
        for entry in records:
            writer.writerow({**entry, **entry.get("errors", {}), "regions": len(entry.get("regions", []))})
        self._write("results.csv", text.getvalue().encode())

    def _name(self, stem: str) -> str:
        name, number = stem, 2
        while name in self.taken:
            name, number = f"{stem}_{number}", number + 1
        self.taken.add(name)
        return name

    def _png(self, name: str, picture: np.ndarray) -> None:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        self._write(name, buffer.getvalue())

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        temporary = path.with_name(f".{path.name}.partial")
        temporary.write_bytes(content)
        os.replace(temporary, path)
