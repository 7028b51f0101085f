"""The Train tab: a folder of normal images in, a model out, in the background. The page asks by direct calls; the runs are on the disk."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from panda_core.batch.sources import inner_folder, open_uploads
from panda_core.data.folders import ANOMALOUS_NAMES, NORMAL_NAMES
from panda_core.errors import FolderError
from panda_core.jobs import Jobs
from panda_core.places import home
from panda_core.report.files import Names
from panda_core.roots import open_place
from panda_core.searches import Searches
from panda_core.ui import search_form, train_form
from panda_core.ui.component import ASSETS, build_component, listener
from panda_core.ui.preparation import Preparation
from panda_core.ui.search_desk import SearchDesk
from panda_core.ui.train_desk import TrainDesk, hashes
from panda_core.ui.uploads import KINDS_OR_ZIP, field, said, uploaded_file
from panda_core.ui.work import Register

ABANDONED = 86_400.0
"""Seconds after which an upload that was never finished is deleted."""
GONE = {"gone": True, "message": "This check is no longer kept here. Check the folder again."}


class TrainTab:
    """Component of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``.

    ``models_event`` fires when a finished training's model has joined the others, with its name: ``event._data["model"]``.
    """

    def __init__(self, jobs: Jobs, *, roots: Sequence[Path], searches: Searches | None = None) -> None:
        """``roots``: folders of this machine whose images may be trained on from the page; uploads are always possible.

        ``searches``: where grid searches are kept; None: in the person's home.
        """
        self._jobs, self._roots = jobs, tuple(roots)
        self.preparations: Register[Preparation] = Register(connected=False)
        self.searches = SearchDesk(searches or Searches())
        html = (ASSETS / "train.html").read_text(encoding="utf-8").replace("KINDS", KINDS_OR_ZIP)
        self.panel = build_component(
            {"folders": bool(self._roots), "example": str(self._roots[0]) if self._roots else ""},
            module="train",
            html=html,
            elem_id="train",
            server_functions=[said(function) for function in (*self._asked(), *self._done_to_runs(), *self._searched(), *self._prepared())],
        )
        self.desk = TrainDesk(jobs, self.panel.move_resource_to_block_cache)

    @property
    def models_event(self) -> Any:
        """Listener: ``tab.models_event(handler, inputs, outputs, ...)``."""
        return listener(self.panel, "models")

    def _asked(self) -> list[Callable[[Any], dict[str, Any]]]:
        def look(data: Any) -> dict[str, Any]:
            found: dict[str, Any] = {"runs": self.desk.runs(), "searches": self.searches.list()}
            id, known, log = (field(data, name) for name in ("id", "known", "log"))
            if any(run["id"] == id for run in found["runs"]):
                found["shown"] = self.desk.look(id, known if isinstance(known, int) else 0, log if isinstance(log, int) else 0)
            search = field(data, "search")
            if any(one["id"] == search and one["state"] != "damaged" for one in found["searches"]):
                found["search"] = self.searches.look(search, known if isinstance(known, int) else 0)
            return found

        def changed(data: Any) -> dict[str, Any]:
            return {"images": self.desk.changed(str(field(data, "id")))}

        def form(data: Any) -> dict[str, Any]:
            return train_form.offer()

        def filled(data: Any) -> dict[str, Any]:
            return train_form.refill(self._jobs.find(str(field(data, "id"))))

        def problems(data: Any) -> dict[str, Any]:
            return {"problems": train_form.problems(field(data, "form"))}

        return [look, changed, form, filled, problems]

    def _done_to_runs(self) -> list[Callable[[Any], dict[str, Any]]]:
        def start(data: Any) -> dict[str, Any]:
            return {"id": self.desk.start(self._folder(data), field(data, "form"))}

        def cancel(data: Any) -> dict[str, Any]:
            self._jobs.cancel(str(field(data, "id")))
            return {}

        def resume(data: Any) -> dict[str, Any]:
            self._jobs.resume(str(field(data, "id")))
            return {}

        def discard(data: Any) -> dict[str, Any]:
            self._jobs.discard(str(field(data, "id")))
            return {}

        def restore(data: Any) -> dict[str, Any]:
            self._jobs.restore(str(field(data, "id")))
            return {}

        def accept(data: Any) -> dict[str, Any]:
            return {"model": self.desk.accept(str(field(data, "id")), str(field(data, "name") or ""))}

        return [start, cancel, resume, discard, restore, accept]

    def _searched(self) -> list[Callable[[Any], dict[str, Any]]]:
        places = self.searches.searches

        def grid(data: Any) -> dict[str, Any]:
            return search_form.look_at_grid(field(data, "form"))

        def search(data: Any) -> dict[str, Any]:
            return {"id": self.searches.start(self._folder(data), field(data, "form"))}

        def cancel_search(data: Any) -> dict[str, Any]:
            places.cancel(str(field(data, "id")))
            return {}

        def resume_search(data: Any) -> dict[str, Any]:
            places.resume(str(field(data, "id")))
            return {}

        def discard_search(data: Any) -> dict[str, Any]:
            places.discard(str(field(data, "id")))
            return {}

        def restore_search(data: Any) -> dict[str, Any]:
            places.restore(str(field(data, "id")))
            return {}

        return [grid, search, cancel_search, resume_search, discard_search, restore_search]

    def _prepared(self) -> list[Callable[[Any], dict[str, Any]]]:
        def check(data: Any) -> dict[str, Any]:
            form = field(data, "form")
            config, _ = train_form.configuration(form)
            made = self._prepare(data)
            made.check(self._folder(data), config.data, hashes(field(form, "exclude")))
            return made.message()

        def estimate(data: Any) -> dict[str, Any]:
            form = field(data, "form")
            arguments = estimate_arguments(self._folder(data), form)
            wanted = bool(search_form.read_grid(form))
            made = self._prepare(data)
            made.estimate(arguments, whole=(lambda found: search_form.whole_time(found, form)) if wanted else None)
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

    def _prepare(self, data: Any) -> Preparation:
        made = Preparation(self.panel.move_resource_to_block_cache)
        self.preparations.enter(str(field(data, "tab"))[:64], made)
        return made

    def _folder(self, data: Any) -> Path:
        text = str(field(data, "folder") or "")
        return open_place(text, (*self._roots, home() / "datasets"), wanted="a folder with normal images", error=FolderError)


def estimate_arguments(folder: Path, form: Any) -> list[str]:
    """What to type after ``panda estimate`` for a form. Raises ConfigError, ModelError."""
    _, parent = train_form.configuration(form)
    preset = str(field(form, "preset") or train_form.DEFAULT_PRESET)
    arguments = [str(folder), *(["--from", str(parent)] if parent else ["--preset", preset])]
    for sha256 in hashes(field(form, "exclude")):
        arguments += ["--exclude", sha256]
    for name, value in (field(form, "changes") or {}).items():
        arguments += ["--set", f"{name}={json.dumps(value)}"]
    return arguments


def keep_uploads(files: Sequence[Any]) -> Path:
    """Uploaded images or zips as a folder of a person's own, named after a single zip file; it appears whole. Raises PandaError."""
    place = home() / "datasets"
    given = [uploaded_file(str(path)) for path in files]
    if not given:
        raise FolderError("Nothing was uploaded. Choose images, or a zip file with images.")
    name = given[0].stem if len(given) == 1 and given[0].suffix.lower() == ".zip" else "images"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _clear_away(place)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=place, ignore_cleanup_errors=True) as staging:
            open_uploads(given, Path(staging))
            _require_one_layout(given, Path(staging))
            return _put(_only_layout(Path(staging)), place, re.sub(r"[^\w-]+", " ", name).strip() or "images")
    except OSError as error:
        raise FolderError(f"The images cannot be kept in {place} ({error.strerror}). Look for free space.") from error


def _clear_away(place: Path) -> None:
    """Delete uploads that a killed server left half written, long after any could still be at work."""
    for path in place.glob(".partial-*"):
        if path.stat().st_mtime < time.time() - ABANDONED:
            shutil.rmtree(path, ignore_errors=True)


def _put(folder: Path, place: Path, name: str) -> Path:
    """Rename a folder to the first of "name", "name 2"… that is free; two uploads at once get two."""
    for number in range(1, 10_000):
        target = place / (name if number == 1 else f"{name} {number}")
        if target.exists():
            continue
        try:
            return folder.rename(target)
        except OSError:
            if not target.exists():
                raise
    raise FolderError(f"{place} holds too many folders called “{name}”. Delete some.")


def _require_one_layout(given: Sequence[Path], staging: Path) -> None:
    """Raises FolderError where one of several zip files has folders for more than normal images: all would be taken for normal."""
    if len(given) < 2:
        return
    for number, file in enumerate(given):
        place = staging / f"{number}"
        named = {path.name for path in place.rglob("*") if path.is_dir()} if place.is_dir() else set()
        if found := sorted(named & {"test", *ANOMALOUS_NAMES}):
            raise FolderError(f"{file.name} has a folder “{found[0]}”. Upload it alone, or take images that are all normal.")


def _only_layout(staging: Path) -> Path:
    """One zip file: the folder in it that holds something, with its layout. Else all images in one folder, names made unique."""
    parts = sorted(staging.iterdir())
    if len(parts) == 1:
        return inner_folder(parts[0], ("train", *NORMAL_NAMES))
    flat = staging / "images"
    flat.mkdir()
    names = Names()
    for path in [path for part in parts for path in sorted(part.rglob("*")) if path.is_file()]:
        path.rename(flat / f"{names.take(path.stem)}{path.suffix}")
    return flat
