"""``panda datasets`` and ``panda datasets prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from panda_core.cli.console import ERR, OUT, PATH, json_option, print_json
from panda_core.datasets import DATASETS, Dataset, Prepared, data_root, prepare
from panda_core.datasets.downloading import download as fetch
from panda_core.datasets.layout import Source
from panda_core.datasets.preparing import dataset_of, find
from panda_core.errors import FolderError

data_option = click.option(
    "--data",
    type=PATH,
    metavar="ROOT",
    help="Folder of all data sets; without it $PANDA_DATA, else shared/datasets beside the repository.",
)


@click.group(invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def datasets(context: click.Context, data: Path | None, as_json: bool) -> None:
    """List the public data sets that are known here: which lie below ROOT, how many images, which licence.

    Nothing is downloaded unasked, and no data set comes with this program: their licences are theirs. See docs/datasets.md.
    """
    if context.invoked_subcommand is not None:
        return
    root = _root_if_any(data)
    rows = [(dataset, _found(dataset, root)) for dataset in DATASETS.values()]
    if as_json:
        print_json([_document(dataset, found) for dataset, found in rows])
        return
    table = Table("name", "what", "found", "images", "licence")
    for dataset, found in rows:
        table.add_row(dataset.name, dataset.title, _categories(dataset, found), _amount(found), dataset.licence)
    OUT.print(table)


@datasets.command("prepare")
@click.argument("name")
@click.argument("category", required=False)
@data_option
@click.option("--out", type=PATH, required=True, help="Folder in which OUT/NAME/CATEGORY is built.")
@click.option("--limit", type=click.IntRange(1), help="At most that many training images of each class, and half as many for testing.")
@click.option("--download", is_flag=True, help="Fetch mnist or cifar10 into ROOT where it is missing.")
@json_option
def prepare_(name: str, category: str | None, data: Path | None, out: Path, limit: int | None, download: bool, as_json: bool) -> None:
    """Bring the data set NAME into MVTec layout, for `panda train` and `panda evaluate`; all categories that are there, or one.

    What lies in that layout already stays where it is. Leave-one-out sets have one folder for each class that plays the anomaly.

    \b
    Example:  panda datasets prepare mnist 3 --data ~/data --out prepared --limit 200
              panda train prepared/mnist/3-200 --run runs/without-3
    """
    root = data_root(data)
    dataset = dataset_of(name)
    if download and not _found(dataset, root):
        fetch(name, root)
    wanted = [category] if category else list(_found(dataset, root)) or [dataset.categories[0]]
    made = {each: prepare(name, each, root=root, place=out, limit=limit) for each in wanted}
    if as_json:
        print_json([{"name": name, "category": each, **_result(prepared)} for each, prepared in made.items()])
        return
    for each, prepared in made.items():
        OUT.print(f"{name}/{each}: {prepared.folder} (--set data.augment={prepared.augment})")
    ERR.print(f"Licence: {dataset.licence}. Cite: {dataset.cite}.")


def _root_if_any(data: Path | None) -> Path | None:
    """The list is worth reading without a root too: it says where to get the sets."""
    try:
        return data_root(data)
    except FolderError as error:
        if data is not None:
            raise
        ERR.print(str(error))
        return None


def _found(dataset: Dataset, root: Path | None) -> dict[str, Source]:
    sources = {category: find(dataset.name, category, root) for category in dataset.categories} if root else {}
    return {category: source for category, source in sources.items() if source is not None}


def _categories(dataset: Dataset, found: dict[str, Source]) -> str:
    if not found:
        return "not found"
    return "all" if len(found) == len(dataset.categories) else f"{', '.join(found)} ({len(found)} of {len(dataset.categories)})"


def _amount(found: dict[str, Source]) -> str:
    counts = [source.images for source in found.values()]
    if None not in counts:
        return f"{sum(filter(None, counts)):,}" if counts else ""
    files = {path for source in found.values() for path in source.files}
    return f"arrays in {len(files)} file{'s' if len(files) > 1 else ''}"


def _document(dataset: Dataset, found: dict[str, Source]) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "categories": list(dataset.categories),
        "found": {category: source.images for category, source in found.items()},
        "where": dataset.where,
        "licence": dataset.licence,
        "cite": dataset.cite,
    }


def _result(prepared: Prepared) -> dict[str, Any]:
    return {
        "folder": str(prepared.folder),
        "augment": prepared.augment,
        "groups": dict(prepared.groups),
        "fingerprint": prepared.fingerprint,
    }
