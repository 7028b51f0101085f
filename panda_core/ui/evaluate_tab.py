"""The Evaluate tab: a labelled folder in, what each model makes of it out. The page asks by direct calls; a thread measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from panda_core.batch.sources import open_labelled, unpack_labelled
from panda_core.errors import FolderError, PandaError
from panda_core.roots import existing_place
from panda_core.ui.component import ASSETS, build_component, listener
from panda_core.ui.engine import Engine
from panda_core.ui.evaluate_session import EXPORTS, EvaluateSession, Opens
from panda_core.ui.uploads import field, said, uploaded_file
from panda_core.ui.work import Register

GONE = {"gone": True, "message": "This evaluation is no longer kept here. Measure the folder again."}


class EvaluateTab:
    """Component of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``.

    ``open_event`` fires when the person opens a picture; its handler takes ``event: gr.EventData`` and hands it to `opened`.
    """

    def __init__(self, engine: Engine, *, roots: Sequence[Path]) -> None:
        """``roots``: folders of this machine that may be measured on from the page; uploads are always possible."""
        self._engine, self._roots = engine, tuple(roots)
        self.sessions: Register[EvaluateSession] = Register(connected=False)
        self.panel = build_component(
            {"folders": bool(self._roots), "example": str(self._roots[0]) if self._roots else ""},
            module="evaluate",
            html=(ASSETS / "evaluate.html").read_text(encoding="utf-8"),
            elem_id="evaluate",
            server_functions=[said(function) for function in self._functions()],
        )

    @property
    def open_event(self) -> Any:
        """Listener: ``tab.open_event(handler, inputs, outputs, ...)``."""
        return listener(self.panel, "open")

    @property
    def kept_event(self) -> Any:
        """The same, when a result has been written into a model's card."""
        return listener(self.panel, "kept")

    def opened(self, event: gr.EventData) -> tuple[list[Path], int, str | None]:
        """(files of all pictures of the row, place of the opened one, the model that judged them). ([], 0, None) if they are gone."""
        data = event._data
        session, number, order, index = self._session(data), field(data, "model"), field(data, "order"), field(data, "index")
        if session is None or not isinstance(number, int) or not isinstance(order, list):
            return [], 0, None
        paths = session.paths(number, [place for place in order if isinstance(place, int)])
        if not paths:
            return [], 0, None
        place = index if isinstance(index, int) and 0 <= index < len(paths) else 0
        return paths, place, session.measured[number].report.model

    def _functions(self) -> list[Callable[[Any], dict[str, Any]]]:
        def models(data: Any) -> dict[str, Any]:
            return {"models": [{"name": one.name, "title": one.title, "problem": one.problem} for one in self._engine.models()]}

        def begin(data: Any) -> dict[str, Any]:
            names = field(data, "models")
            wanted = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
            opens = self._opens(data)
            session = EvaluateSession(self._engine)
            try:
                session.evaluate(wanted, opens)
            except PandaError:
                session.close()
                raise
            self.sessions.enter(str(field(data, "tab"))[:64], session)
            return session.message(0)

        def look(data: Any) -> dict[str, Any]:
            session, known = self._session(data), field(data, "known")
            return GONE if session is None else session.message(known if isinstance(known, int) and known > 0 else 0)

        def cancel(data: Any) -> dict[str, Any]:
            session = self._session(data)
            if session is not None:
                session.cancel()
            return {}

        def export(data: Any) -> dict[str, Any]:
            session, kind = self._session(data), field(data, "kind")
            if session is None or kind not in EXPORTS:
                return GONE
            path = session.export(kind)
            return {"download": self.panel.move_resource_to_block_cache(path), "name": path.name}

        def keep(data: Any) -> dict[str, Any]:
            session, number = self._session(data), field(data, "number")
            return GONE if session is None or not isinstance(number, int) else {"message": session.keep(number)}

        return [models, begin, look, cancel, export, keep]

    def _opens(self, data: Any) -> Opens:
        """How the images are found: in the upload that is named, else in the folder that was typed. Raises PandaError: neither."""
        file, folder = field(data, "file"), str(field(data, "folder") or "").strip()
        if isinstance(file, str) and file:
            archive = uploaded_file(file)
            return lambda place, stop: unpack_labelled(archive, place, should_stop=stop)
        if not folder:
            raise PandaError("Type the path of a labelled folder, or upload one as a zip file.")
        existing_place(folder, self._roots, wanted="a labelled folder", error=FolderError)
        return lambda place, stop: open_labelled(folder, self._roots)

    def _session(self, data: Any) -> EvaluateSession | None:
        return self.sessions.find(field(data, "id"))
