"""The Train tab: a folder of normal images in, a model out, in the background. The page asks by direct calls; the runs are on the disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from panda_core.batch.sources import inner_folder, open_uploads
from panda_core.card import find_model
from panda_core.data.folders import NORMAL_NAMES
from panda_core.errors import FolderError
from panda_core.jobs import Jobs
from panda_core.places import home
from panda_core.roots import open_place
from panda_core.ui.component import ASSETS, build_component, listener
from panda_core.ui.preparation import Preparation
from panda_core.ui.train_desk import TrainDesk
from panda_core.ui.uploads import field, said, uploaded_file
from panda_core.ui.work import Register

GONE = {"gone": True, "message": "This check is no longer kept here. Check the folder again."}


class TrainTab:
    """Component of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``.

    ``models_event`` fires when a finished training's model has joined the others, with its name: ``event._data["model"]``.
    """

    def __init__(self, jobs: Jobs, *, roots: Sequence[Path]) -> None:
        """``roots``: folders of this machine whose images may be trained on from the page; uploads are always possible."""
        self._roots = tuple(roots)
        self.preparations: Register[Preparation] = Register()
        html = (ASSETS / "train.html").read_text(encoding="utf-8")
        self.panel = build_component(
            {"folders": bool(self._roots), "example": str(self._roots[0]) if self._roots else ""},
            module="train",
            html=html,
            elem_id="train",
            server_functions=[said(function) for function in (*self._asked(), *self._done_to_runs(), *self._prepared())],
        )
        self.desk = TrainDesk(jobs, self.panel.move_resource_to_block_cache)

    @property
    def models_event(self) -> Any:
        """Listener: ``tab.models_event(handler, inputs, outputs, ...)``."""
        return listener(self.panel, "models")

    def _asked(self) -> list[Callable[[Any], dict[str, Any]]]:
        def runs(data: Any) -> dict[str, Any]:
            return {"runs": self.desk.runs()}

        def look(data: Any) -> dict[str, Any]:
            known = field(data, "known")
            return self.desk.look(str(field(data, "id")), known if isinstance(known, int) else 0)

        def form(data: Any) -> dict[str, Any]:
            return self.desk.form()

        def problems(data: Any) -> dict[str, Any]:
            return {"problems": self.desk.problems(field(data, "form"))}

        return [runs, look, form, problems]

    def _done_to_runs(self) -> list[Callable[[Any], dict[str, Any]]]:
        jobs = self.desk_jobs

        def start(data: Any) -> dict[str, Any]:
            return {"id": self.desk.start(self._folder(data), field(data, "form"))}

        def cancel(data: Any) -> dict[str, Any]:
            jobs().cancel(str(field(data, "id")))
            return {}

        def resume(data: Any) -> dict[str, Any]:
            jobs().resume(str(field(data, "id")))
            return {}

        def discard(data: Any) -> dict[str, Any]:
            jobs().discard(str(field(data, "id")))
            return {}

        def restore(data: Any) -> dict[str, Any]:
            jobs().restore(str(field(data, "id")))
            return {}

        def accept(data: Any) -> dict[str, Any]:
            return {"model": self.desk.accept(str(field(data, "id")), str(field(data, "name") or ""))}

        return [start, cancel, resume, discard, restore, accept]

    def _prepared(self) -> list[Callable[[Any], dict[str, Any]]]:
        def check(data: Any) -> dict[str, Any]:
            config, _ = self.desk.configuration(field(data, "form"))
            made = self._prepare(data)
            made.check(self._folder(data), config.data, _hashes(field(data, "exclude")))
            return made.message()

        def estimate(data: Any) -> dict[str, Any]:
            form = field(data, "form")
            self.desk.configuration(form)
            made = self._prepare(data)
            made.estimate(estimate_arguments(self._folder(data), form))
            return made.message()

        def prepared(data: Any) -> dict[str, Any]:
            found = self.preparations.find(field(data, "id"))
            return GONE if found is None else found.message()

        def stop(data: Any) -> dict[str, Any]:
            found = self.preparations.find(field(data, "id"))
            if found is not None:
                found.cancel()
            return {}

        def keep(data: Any) -> dict[str, Any]:
            files = field(data, "files")
            return {"folder": str(keep_uploads(files if isinstance(files, list) else []))}

        return [check, estimate, prepared, stop, keep]

    def desk_jobs(self) -> Jobs:
        """The trainings."""
        return self.desk.jobs

    def _prepare(self, data: Any) -> Preparation:
        made = Preparation(self.panel.move_resource_to_block_cache)
        person = str(field(data, "tab"))[:64]
        self.preparations.enter(person, made)
        self.preparations.leave(person)  # kept as long as somebody asks for it
        return made

    def _folder(self, data: Any) -> Path:
        text = str(field(data, "folder") or "")
        return open_place(text, (*self._roots, home() / "datasets"), wanted="a folder with normal images", error=FolderError)


def estimate_arguments(folder: Path, form: Any) -> list[str]:
    """What to type after ``panda estimate`` for a form that has been checked."""
    parent = field(form, "parent")
    arguments = [str(folder), *(["--from", str(find_model(parent))] if parent else ["--preset", str(field(form, "preset") or "best")])]
    for name, value in (field(form, "changes") or {}).items():
        arguments += ["--set", f"{name}={json.dumps(value)}"]
    return arguments


def keep_uploads(files: Sequence[Any]) -> Path:
    """Uploaded images or zips as a folder of a person's own; it appears whole. Raises PandaError."""
    place = home() / "datasets"
    given = [uploaded_file(str(path)) for path in files]
    if not given:
        raise FolderError("Nothing was uploaded. Choose images, or a zip file with images.")
    number = 1 + max((int(path.name) for path in place.iterdir() if path.name.isdigit()), default=0) if place.is_dir() else 1
    staging = place / f".{number}.partial"
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        open_uploads(given, staging)
        images = _only_layout(staging)
        images.rename(place / str(number))
    except OSError as error:
        raise FolderError(f"The images cannot be kept in {place} ({error.strerror}). Look for free space.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return place / str(number)


def _only_layout(staging: Path) -> Path:
    """One zip file: the folder in it that holds something, with its layout. Else all images in one folder, names made unique."""
    parts = sorted(staging.iterdir())
    if len(parts) == 1:
        return inner_folder(parts[0], ("train", *NORMAL_NAMES))
    flat = staging / "images"
    flat.mkdir()
    for path in [path for part in parts for path in sorted(part.rglob("*")) if path.is_file()]:
        path.rename(flat / (path.name if not (flat / path.name).exists() else f"{path.parent.name}_{path.name}"))
    return flat


def _hashes(values: Any) -> list[str]:
    return [value for value in values or () if isinstance(value, str) and len(value) == 64] if isinstance(values, list) else []
