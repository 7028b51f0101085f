"""The Batch tab: many images in, a table of verdicts, reports out. A thread of the session works; the page asks how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context

from panda_core.batch.rows import Row
from panda_core.batch.sources import Source, open_folder, open_uploads
from panda_core.errors import FolderError, PandaError
from panda_core.roots import existing_place
from panda_core.ui.batch_session import EXPORTS, BatchSession, OnInspection, OnMark, Opens
from panda_core.ui.component import ASSETS, build_component, fresh, listener
from panda_core.ui.engine import Engine
from panda_core.ui.uploads import KINDS_OR_ZIP, dropped_files, field, number
from panda_core.ui.work import Register

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
GONE = {"gone": True, "message": "This batch is no longer kept here. Inspect the folder again, or upload the images once more."}


class BatchTab:
    """Components and events of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``.

    ``open_event`` fires when the person opens a row (Enter or a click); its handler takes ``event: gr.EventData`` and hands it to
    `opened` and `thresholds`.

    The page asks how far the work is by direct calls. A timer's events would share one stream with all others; with Gradio 6.31
    answers were missed under load (about one test run in ten, never reproduced at will), and direct calls never were.
    """

    def __init__(
        self,
        engine: Engine,
        model: gr.Dropdown,
        *,
        roots: Sequence[Path] | None = None,
        on_inspection: OnInspection | None = None,
        on_mark: OnMark | None = None,
    ) -> None:
        """``roots``: folders of this machine that may be opened from the page; None: the person's home and the working folder, empty: none.

        ``on_inspection`` is called in the job's thread with each inspection and its row; what it raises ends the job. ``on_mark``
        is called when the person marks a row, and says why that teaches no model, or "".
        """
        self._engine, self._on_inspection, self._on_mark = engine, on_inspection, on_mark
        self._roots = (Path.home(), Path.cwd()) if roots is None else tuple(roots)
        self.sessions: Register[BatchSession] = Register()
        self._build()
        self._wire(model)

    @property
    def open_event(self) -> Any:
        """Listener of the event that a row is opened: ``tab.open_event(handler, inputs, outputs, ...)``."""
        return listener(self.table, "open")

    def opened(self, event: gr.EventData) -> tuple[list[Path], int]:
        """(files of all rows in the order shown, place of the opened one). ([], 0) if the batch is gone."""
        data = event._data
        session, rows = self._session(data), self._rows(data)
        listed, index = field(data, "order"), field(data, "index")
        if session is None or not isinstance(listed, list):
            return [], 0
        order = [number for number in listed if isinstance(number, int) and 0 <= number < len(rows)]
        return [rows[number].path for number in order], index if isinstance(index, int) and 0 <= index < len(order) else 0

    def model_of(self, event: gr.EventData) -> str | None:
        """The model that judged the event's batch; None if the batch is gone."""
        session = self._session(event._data)
        return None if session is None or session.batch is None else session.batch.model

    def thresholds(self, event: gr.EventData) -> tuple[float | None, float | None]:
        """Boundary and pixel threshold of the event's batch as moved by the person; None: those in use for the model."""
        session = self._session(event._data)
        return session.thresholds if session else (None, None)

    def marked_elsewhere(self, model: str, path: Path, mark: str) -> None:
        """The person has marked an image in another tab: rows of it in batches of this model show that, too."""
        for session in self.sessions.all():
            session.marked_elsewhere(model, path, mark)

    def _build(self) -> None:
        with gr.Column(elem_id="batch", min_width=0):
            with gr.Row(elem_id="batch-source"):
                self._folder = gr.Textbox(
                    show_label=False,
                    label="Folder on this computer",
                    placeholder=f"Folder with images, e.g. {self._roots[0] if self._roots else ''}",
                    elem_id="batch-folder",
                    container=False,
                    visible=bool(self._roots),
                )
                self._start = gr.Button("Inspect folder", variant="primary", elem_id="batch-start", visible=bool(self._roots), min_width=0)
                self._upload = gr.UploadButton("Upload images or zip…", file_count="multiple", elem_id="batch-upload", min_width=0)
            html = (ASSETS / "batch.html").read_text(encoding="utf-8").replace("KINDS", KINDS_OR_ZIP)
            self.table = build_component({}, module="batch", html=html, elem_id="batch-results", server_functions=self._functions())

    def _wire(self, model: gr.Dropdown) -> None:
        starting: dict[str, Any] = {**QUIET, "trigger_mode": "once"}
        gr.on([self._start.click, self._folder.submit], self._inspect_folder, [model, self._folder], self.table, **starting)
        self._upload.upload(self._inspect_uploads, [model, self._upload], self.table, **starting)
        listener(self.table, "upload")(self._inspect_dropped, model, self.table, **starting)
        if Context.root_block is not None:
            Context.root_block.unload(self._leave)

    def _functions(self) -> list[Any]:
        """What the page calls; plain functions, because Gradio writes its mark on them."""

        def look(data: Any) -> dict[str, Any]:
            session, known = self._session(data), field(data, "known")
            if session is None:
                return GONE
            message = session.message(known if isinstance(known, int) and known > 0 else 0)
            return message | {"marks": session.marks()} if field(data, "marks") is True else message

        def judge(data: Any) -> dict[str, Any]:
            session, known = self._session(data), field(data, "known")
            if session is None or not isinstance(known, int):
                return GONE
            return session.set_thresholds(number(data, "boundary"), number(data, "pixel"), known=known)

        def cancel(data: Any) -> dict[str, Any]:
            session = self._session(data)
            if session is not None:
                session.cancel()
            return {}

        def export(data: Any) -> dict[str, Any]:
            session, kind = self._session(data), field(data, "kind")
            if session is None or kind not in EXPORTS:
                return GONE
            try:
                session.export(kind)
            except PandaError as error:
                return {"id": session.id, "message": str(error)}
            return {"id": session.id}

        def mark(data: Any) -> dict[str, Any]:
            session = self._session(data)
            if session is None:
                return GONE
            return {"id": session.id, "message": session.mark(field(data, "row"), field(data, "mark"))}

        return [look, judge, cancel, export, mark]

    def _inspect_folder(self, model: str | None, folder: str, request: gr.Request) -> dict[str, Any]:
        try:
            existing_place(folder, self._roots, wanted="a folder with images", error=FolderError)
        except PandaError as error:
            return _refused(error)
        return self._begin(request, model, lambda place, stop: open_folder(folder, self._roots))

    def _inspect_uploads(self, model: str | None, files: Sequence[str], request: gr.Request) -> dict[str, Any]:
        return self._begin(request, model, lambda place, stop: open_uploads(map(Path, files), place, should_stop=stop))

    def _inspect_dropped(self, model: str | None, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        left = number(event._data, "left") or 0
        note = f"{left:.0f} file{' was' if left == 1 else 's were'} left out: no image, no zip file." if left > 0 else ""

        def opens(place: Path, stop: Callable[[], bool]) -> Source:
            files, names = dropped_files(event._data)
            return open_uploads(files, place, called=names, note=note, should_stop=stop)

        return self._begin(request, model, opens)

    def _begin(self, request: gr.Request, model: str | None, opens: Opens) -> dict[str, Any]:
        """A new session in the place of the browser tab's former one, which stays where nothing can begin; the page asks for the rest."""
        publish = self.table.move_resource_to_block_cache
        session = BatchSession(self._engine, publish=publish, on_inspection=self._on_inspection, on_mark=self._on_mark)
        try:
            session.inspect(model, opens)
        except PandaError as error:
            session.close()
            return _refused(error)
        self.sessions.enter(_person(request), session)
        return {"id": session.id}

    def _leave(self, request: gr.Request) -> None:
        self.sessions.leave(_person(request))

    def _session(self, data: Any) -> BatchSession | None:
        return self.sessions.find(field(data, "id"))

    def _rows(self, data: Any) -> list[Row]:
        session = self._session(data)
        return [] if session is None or session.batch is None else session.batch.rows


def _refused(error: PandaError) -> dict[str, Any]:
    return fresh({"message": str(error), "refused": True})


def _person(request: gr.Request) -> str:
    """One browser tab."""
    return request.session_hash or ""
