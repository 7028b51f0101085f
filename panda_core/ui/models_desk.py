"""What the Models tab does, without Gradio: the list with its cards, and what a person does to a model."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panda_core import model_archive, own_models
from panda_core.card import Card, find_listed, list_models, read_card
from panda_core.data.depth import range_said
from panda_core.errors import ModelError

LONGEST_EXPORT = 900
"""Seconds that writing an ONNX file may take."""
REGION_IGNORED = "The region of interest drawn for it is not in the file: it judges whole images."
Publish = Callable[[Path], str | None]


class ModelsDesk:
    """One for the whole program; the models are on the disk."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._writing = threading.Lock()

    def models(self) -> dict[str, Any]:
        """Every model of this machine, the damaged ones with their problem, and what was deleted and can be brought back."""
        deleted = [{"token": one.token, "name": one.name, "when": one.when} for one in own_models.deleted_models()]
        entries = [entry for folder in list_models() if (entry := _entry(folder)) is not None]
        return {"models": entries, "default": own_models.default_model(), "deleted": deleted}

    def export(self, model: str, place: Path, *, onnx: bool = False) -> dict[str, Any]:
        """The model as one file for download, a zip or ONNX, written into ``place``. Raises ModelError."""
        file = place / f"{find_listed(model).name}.{'onnx' if onnx else 'zip'}"
        note = self._write_onnx(find_listed(model), file) if onnx else ""
        if not onnx:
            model_archive.export_model(model, file)
        return {"download": self._publish(file), "name": file.name, "note": note}

    def _write_onnx(self, folder: Path, file: Path) -> str:
        """By the command, as a process of its own, for the exporter keeps Python busy for a minute; returns what is to be said of it."""
        if not self._writing.acquire(blocking=False):
            raise ModelError("Another model is being written as ONNX. Try again when that is done, in a minute or two.")
        try:
            said = _run("models", "export", os.fspath(folder), "--out", os.fspath(file), "--json")
        finally:
            self._writing.release()
        return REGION_IGNORED if json.loads(said)["region_ignored"] else ""

    def act(self, what: str, model: str, name: str) -> dict[str, Any]:
        """Do one of rename, copy, delete, restore (whose ``model`` is the token of a deleted one), default. Raises PandaError."""
        if what != "restore":
            find_listed(model)  # and no other folder of this machine
        if what == "rename":
            return {"model": own_models.rename_model(model, name).name}
        if what == "copy":
            return {"model": own_models.copy_model(model, name).name}
        if what == "delete":
            return {"token": own_models.delete_model(model)}
        if what == "restore":
            return {"model": own_models.restore_model(model).name}
        if what == "default":
            own_models.set_default(model)
            return {"model": model}
        raise ModelError("Something else was asked for than this page offers. Load it again.")


def _run(*arguments: str) -> str:
    """What a command of ours prints, which ends with this program. Raises ModelError with its last line where it fails."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "panda_core", *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, errors="replace"
    ) as process:
        atexit.register(process.kill)
        try:
            printed, complaint = process.communicate(timeout=LONGEST_EXPORT)
        except subprocess.TimeoutExpired as error:
            process.kill()
            minutes = LONGEST_EXPORT // 60
            raise ModelError(f"The ONNX file was not written within {minutes} minutes. Try the command: panda models export") from error
        finally:
            atexit.unregister(process.kill)
    if process.returncode:
        lines = complaint.strip().splitlines() or ["The ONNX file could not be written; the process was ended."]
        raise ModelError(lines[-1].removeprefix("Error: "))
    return printed


def _entry(folder: Path) -> dict[str, Any] | None:
    """None where the model is deleted or renamed just now."""
    try:
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except FileNotFoundError:
        return None
    entry: dict[str, Any] = {"id": folder.name, "own": own_models.is_own(folder), "folder": str(folder), "size": size}
    try:
        return entry | _words(read_card(folder))
    except ModelError as error:
        return entry | {"title": folder.name, "problem": str(error)}


def _words(card: Card) -> dict[str, Any]:
    areas = [metric.auroc for metric in card.metrics]
    boundary, point = card.calibration.get("boundary"), card.operating_point
    return {
        "title": card.title,
        "problem": "" if card.calibration else "It is not calibrated, so it has no boundary.",
        "created": card.created,
        "parent": card.parent,
        "data": card.data.description,
        "licence": card.data.licence,
        "images": card.data.train,
        "heldOut": card.data.validation,
        "preset": card.config.preset,
        "detector": card.config.detector,
        "side": card.config.data.size,
        "deep": range_said(card.config.data),
        "loss": card.config.loss.reconstruction,
        "boundary": "manual" if point else boundary["kind"] if isinstance(boundary, dict) else "",
        "moved": f"{point.who}, {point.when[:10]}: {point.why}" if point else "",
        "auroc": [min(areas), max(areas)] if areas else None,
        "metrics": card.to_dict()["metrics"],
        "limits": list(card.limits),
        "versions": card.versions,
    }
