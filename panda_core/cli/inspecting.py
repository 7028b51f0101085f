"""``panda inspect``: files in, verdicts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from panda_core.cli.console import OUT, device_option, json_option, model_option, print_json, progress, region, roi_option
from panda_core.errors import FolderError, ImageError, PandaError
from panda_core.inspection import Decision, Inspection

if TYPE_CHECKING:
    from panda_core.report.pictures import PictureFolder


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@model_option
@json_option
@click.option("--out", type=click.Path(path_type=Path), help="Write results.csv, overlays/ and masks/ into this folder.")
@click.option("--boundary", type=float, help="Call images above this score anomalous, instead of the model's own boundary.")
@click.option("--pixel-threshold", type=float, help="Threshold of the map, in standard deviations of normal images.")
@click.option("--batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Images the network sees at once.")
@roi_option
@device_option
def inspect(
    path: Path,
    model: str,
    as_json: bool,
    out: Path | None,
    boundary: float | None,
    pixel_threshold: float | None,
    batch: int,
    roi: bool,
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
    from panda_core.report.tables import write_csv
    from panda_core.scoring.decision import decide

    folder = path.is_dir()
    paths = list_images(path) if folder else [path]
    if out and folder:  # what an earlier run wrote there is no photo
        paths = [one for one in paths if out.resolve() not in one.resolve().parents]
    if folder and not paths:
        raise FolderError(f"{path} holds no images. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.")
    within = region(model, roi)
    inspector = Inspector.load(model, device=device)
    pictures = _open_pictures(out) if out else None
    records: list[dict[str, Any]] = []
    with progress("Inspecting") as update:
        for source, result in zip(paths, inspector.inspect_many(paths, batch=batch, roi=within), strict=True):
            if isinstance(result, ImageError):
                if not folder:
                    raise result
                records.append({"path": str(source), "error": result.reason})
            else:
                decision = decide(result, boundary=boundary, pixel_threshold=pixel_threshold)
                records.append(record(result, decision))
                if pictures:
                    pictures.add(source, result, decision)
            update(len(records), len(paths))
    if out:
        write_csv(out / "results.csv", records)
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
        "p_value": inspection.p_value,
        "errors": dict(inspection.errors),
        "regions": [one.to_dict() for one in decision.regions],
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


def _open_pictures(folder: Path) -> PictureFolder:
    from panda_core.report.pictures import PictureFolder

    try:
        return PictureFolder(folder)
    except OSError as error:
        raise PandaError(f"{folder} cannot be written: {error.strerror}. Choose another --out folder.") from error
