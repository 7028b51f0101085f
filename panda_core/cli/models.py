"""``panda models`` and what can be done with a model: rename, copy, delete, restore, export, import, default."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from panda_core import model_archive, own_models
from panda_core.card import list_models, read_card
from panda_core.cli.console import ERR, OUT, PATH, json_option, print_json
from panda_core.errors import ModelError
from panda_core.places import NO_MODELS


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List shipped models and your own, or change your own.

    A model is a folder of ~/.panda/models, of $PANDA_MODELS, or of weights/ beside the program. Those in ~/.panda/models are yours:
    they can be renamed and deleted. The others stay as they are; a copy is yours. A training leaves its model in RUN/model; a copy of that
    joins the list.

    \b
    Example:  panda models
              panda models copy leaf "my leaf"
              panda models copy runs/first/model "my parts"
              panda models export "my leaf" --out my-leaf.zip
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The same as `panda models`: every model with what was measured on it, worst figures included."""
    _list(as_json)


@models.command()
@click.argument("model")
@click.argument("name")
@json_option
def rename(model: str, name: str, as_json: bool) -> None:
    """Give one of your own models (MODEL) another NAME. Its region of interest goes along; it stays the default if it was.

    \b
    Example:  panda models rename "leaf 2" "garden leaves"
    """
    _tell(as_json, "Renamed to", own_models.rename_model(model, name))


@models.command()
@click.argument("model")
@click.argument("name")
@json_option
def copy(model: str, name: str, as_json: bool) -> None:
    """Make a second MODEL of the same content under NAME; the copy is yours to rename, recalibrate or delete.

    \b
    Example:  panda models copy leaf "my leaf"
    """
    _tell(as_json, "Copied to", own_models.copy_model(model, name))


@models.command()
@click.argument("model")
@json_option
def delete(model: str, as_json: bool) -> None:
    """Delete one of your own models. It can be brought back for 30 days: panda models restore.

    \b
    Example:  panda models delete "my leaf"
    """
    token = own_models.delete_model(model)
    if as_json:
        print_json({"deleted": model, "token": token})
    else:
        ERR.print(f"Deleted “{model}”. To bring it back: panda models restore {token}")


@models.command()
@click.argument("model", required=False)
@json_option
def restore(model: str | None, as_json: bool) -> None:
    """Bring a deleted MODEL back: its name, or the token that `delete` printed. Without MODEL, list what can be brought back.

    Of several of one name the one that was deleted last comes back.

    \b
    Example:  panda models restore "my leaf"
    """
    deleted = own_models.deleted_models()
    if model is None:
        _list_deleted(deleted, as_json)
        return
    named = next((one.token for one in deleted if one.name == model), model)
    _tell(as_json, "Brought back:", own_models.restore_model(named))


@models.command()
@click.argument("model")
@click.option("--out", type=PATH, help="The file, .zip or .onnx; MODEL.zip in this folder where it is not given.")
@json_option
def export(model: str, out: Path | None, as_json: bool) -> None:
    """Write MODEL as one zip file, for another computer: panda models import FILE. A file that exists is not replaced.

    With a FILE that ends in .onnx, write it for programs without PANDA Inspector instead: pixels in, score and anomaly map out. The file
    is kept only if it answers like the model itself. It needs pip install -r requirements-onnx.txt, and takes a minute or two.

    \b
    Example:  panda models export leaf --out leaf.zip
              panda models export leaf --out leaf.onnx
    """
    file = out or Path(f"{Path(model).name}.zip")
    if file.exists():
        raise ModelError(f"{file} exists. Choose another file with --out, or delete it first.")
    if file.suffix.lower() == ".onnx":
        _export_onnx(model, file, as_json)
        return
    model_archive.export_model(model, file)
    _tell(as_json, "Wrote", file)


def _export_onnx(model: str, file: Path, as_json: bool) -> None:
    from panda_core.portable.onnx_file import export_onnx

    found = export_onnx(model, file)
    if as_json:
        deviation = {"score_deviation": found.score, "map_deviation": found.anomaly_map, "region_ignored": found.region_ignored}
        print_json({"name": file.name, "path": str(file.resolve()), **deviation})
        return
    _tell(False, "Wrote", file)
    ERR.print(f"On {found.images} drawn pictures its scores are within {found.score:.2g} of the model's own.")
    if found.region_ignored:
        ERR.print("The region of interest that was drawn for it is not in the file: it judges whole images.")


@models.command("import")
@click.argument("file", type=PATH)
@click.option("--name", help="Name of the model here; the one it was exported with where it is not given, with a number if that is taken.")
@json_option
def import_(file: Path, name: str | None, as_json: bool) -> None:
    """Add the model in FILE, which `export` wrote. It is checked in full, and nothing in it is executed.

    \b
    Example:  panda models import leaf.zip --name "their leaf"
    """
    _tell(as_json, "Added", model_archive.import_model(file, name=name))


@models.command()
@click.argument("model", required=False)
@json_option
def default(model: str | None, as_json: bool) -> None:
    """Let the page begin with MODEL from now on. Without MODEL, say which one it begins with.

    \b
    Example:  panda models default "my leaf"
    """
    if model is not None:
        own_models.set_default(model)
    chosen = own_models.default_model()
    if as_json:
        print_json({"default": chosen})
    else:
        OUT.print(chosen or "None was chosen: the page begins with the first model of the list.")


def _tell(as_json: bool, said: str, place: Path) -> None:
    if as_json:
        print_json({"name": place.name, "path": str(place.resolve())})
    else:
        ERR.print(f"{said} {place}")


def _list(as_json: bool) -> None:
    rows = [_row(folder) for folder in list_models()]
    if as_json:
        print_json(rows)
        return
    table = Table("name", "what", "licence", "measured AUROC (95 % interval)")
    for row in rows:
        measured = "\n".join(
            f"{m['data']}: {m['auroc']:.2f} ({'–'.join(f'{end:.2f}' for end in m['auroc_ci'])})" for m in row.get("metrics", ())
        )
        table.add_row(row["name"], str(row.get("title", row.get("error"))), str(row.get("licence", "")), measured)
    OUT.print(table if rows else NO_MODELS)


def _row(folder: Path) -> dict[str, Any]:
    try:
        card = read_card(folder)
    except ModelError as error:
        return {"name": folder.name, "folder": str(folder), "error": str(error)}
    measured = [{"data": m.data, "auroc": m.auroc, "auroc_ci": list(m.auroc_ci)} for m in card.metrics]
    return {"name": folder.name, "title": card.title, "folder": str(folder), "licence": card.data.licence, "metrics": measured}


def _list_deleted(deleted: tuple[own_models.Deleted, ...], as_json: bool) -> None:
    if as_json:
        print_json([{"name": one.name, "token": one.token, "deleted": one.when} for one in deleted])
        return
    table = Table("name", "deleted", "token")
    for one in deleted:
        table.add_row(one.name, time.strftime("%Y-%m-%d %H:%M", time.localtime(one.when)), one.token)
    OUT.print(table if deleted else "No deleted model can be brought back.")
