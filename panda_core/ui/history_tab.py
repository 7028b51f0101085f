"""The History tab: what was inspected, found again; marks, and what they give back to the models. The work is `history_desk`'s."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import FileResponse
from gradio.context import Context
from starlette.responses import Response

from panda_core.errors import PandaError
from panda_core.history import History
from panda_core.ui.component import build_component
from panda_core.ui.history_desk import THUMBNAILS, Calibrate, HistoryDesk, Opened

log = logging.getLogger(__name__)
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
RETENTIONS = {0: "For ever", 7: "For a week", 30: "For 30 days", 90: "For 90 days", 365: "For a year", 1826: "For five years"}
"""Days -> words; 0 is no limit."""


class HistoryTab:
    """Components and events of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``, and call `mount_thumbnails`.

    ``open_event`` fires when the person opens a row; its handler takes ``(event: gr.EventData)`` and hands it to `opened`.
    """

    def __init__(self, model: gr.Dropdown, history: History, *, on_calibrate: Calibrate | None = None, roots: Sequence[Path] = ()) -> None:
        """``roots``: folders below which false alarms may be added to a training folder.

        ``on_calibrate(model, normal, anomalous, name)`` makes a calibrated copy of a model (`feedback.recalibrate`) and returns
        what to tell the person; what it raises as a PandaError is shown.
        """
        self.desk = HistoryDesk(history, roots=roots, on_calibrate=on_calibrate)
        with gr.Row(elem_id="history", equal_height=True):
            self.table = self._build_table()
            with gr.Column(elem_id="history-side", min_width=0):
                self._build_feedback(on_calibrate is not None, bool(roots))
                self._build_settings()
        self._wire(model)

    @property
    def open_event(self) -> Any:
        """Listener of the event that a row is opened: ``tab.open_event(handler, inputs, outputs, ...)``."""
        return self.table.select

    def opened(self, event: gr.EventData) -> Opened:
        """The image of an open event, and those beside it. Raises HistoryError, to be shown, where the image is gone."""
        data = event._data if isinstance(event._data, dict) else {}
        return self.desk.open(data.get("id"), data.get("order"))

    def _build_table(self) -> gr.HTML:
        def ask(request: dict[str, Any], visitor: gr.Request) -> dict[str, Any]:
            return self.desk.answer(request, who=getattr(visitor, "username", None) or "")

        # A function the page calls, not an event: each question gets its own answer, however many are on their way.
        return build_component({}, module="history", html='<div class="history"></div>', elem_id="history-table", server_functions=[ask])

    def _build_feedback(self, can_calibrate: bool, can_add: bool) -> None:
        with gr.Column(elem_classes="history-part", min_width=0):
            self._summary = _text("<h2>Teach the model</h2>", "history-summary")
            self._name = gr.Textbox(label="Name of the new model", elem_id="history-name", max_lines=1, interactive=can_calibrate)
            self._calibrate = gr.Button(
                "Use marked images for calibration", size="sm", elem_id="history-calibrate", interactive=can_calibrate
            )
            self._folder = gr.Textbox(label="Training folder on this computer", elem_id="history-folder", max_lines=1, interactive=can_add)
            self._add = gr.Button("Add false alarms to the training folder", size="sm", elem_id="history-add", interactive=can_add)
            self._said = _text("", "history-said")

    def _build_settings(self) -> None:
        days, copies = self._kept()
        with gr.Column(elem_classes="history-part", min_width=0):
            _text("<h2>What is kept</h2>", "history-keeping")
            self._days = gr.Dropdown(**days, label="Keep entries", elem_id="history-days", filterable=False)
            self._copies = gr.Checkbox(copies, label="Keep a copy of each image", elem_id="history-copies")
            self._save = gr.Button("Save", size="sm", elem_id="history-save")
            self._saved = _text("", "history-saved")
            self._confirmed = gr.State(None)

    def _kept(self) -> tuple[dict[str, Any], bool]:
        """Choices and value of the days, and whether copies are kept, as the settings are now."""
        settings = self.desk.history.settings()
        days = settings.retention_days or 0
        return {
            "choices": [(words, number) for number, words in sorted({days: f"For {days} days", **RETENTIONS}.items())],
            "value": days,
        }, settings.keep_copies

    def _show_kept(self) -> tuple[Any, bool]:
        days, copies = self._kept()
        return gr.Dropdown(**days), copies

    def _wire(self, model: gr.Dropdown) -> None:
        # Not through the queue: its answers come over a stream that closes between events, and one may get lost in between.
        direct: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
        latest: dict[str, Any] = {**direct, "trigger_mode": "always_last"}
        gr.on([self.table.input, model.change], self._summarise, [model], [self._summary], **latest)
        calibrating: dict[str, Any] = {**QUIET, "trigger_mode": "once", "concurrency_id": "calibrate", "concurrency_limit": 1}
        self.calibrated = self._calibrate.click(self._run_calibration, [model, self._name], [self._said, self._calibrate], **calibrating)
        self._add.click(self._add_false_alarms, [model, self._folder], [self._said], **direct, trigger_mode="once")
        kept = [self._days, self._copies, self._confirmed]
        self._save.click(self._save_settings, kept, [self._saved, self._save, self._confirmed], **direct, trigger_mode="once")
        if Context.root_block is not None:  # another page may have saved others since this one was built
            Context.root_block.load(self._show_kept, None, [self._days, self._copies], **direct)
        gr.on([self._days.input, self._copies.input], self._changed, None, [self._saved, self._save, self._confirmed], **latest)

    def _summarise(self, model: str | None) -> str:
        try:
            return f"<h2>Teach the model</h2><p>{escape(self.desk.summary(model))}</p>"
        except PandaError as error:
            return f"<h2>Teach the model</h2>{_message(str(error), bad=True)}"

    def _run_calibration(self, model: str | None, name: str) -> Iterator[tuple[str, Any]]:
        yield _message("Calibrating… The model looks at the marked images once."), gr.Button(interactive=False)
        try:
            said = _message(self.desk.calibrate(model, name))
        except PandaError as error:
            said = _message(str(error), bad=True)
        except Exception:
            log.exception("Calibrating %s with the marked images failed", model)
            said = _message("Something is wrong in the program, not in your images. Its terminal shows the details.", bad=True)
        yield said, gr.Button(interactive=True)

    def _add_false_alarms(self, model: str | None, folder: str) -> str:
        try:
            return _message(self.desk.add_false_alarms(model, folder))
        except PandaError as error:
            return _message(str(error), bad=True)

    def _save_settings(self, days: int, copies: bool, confirmed: int | None) -> tuple[str, Any, int | None]:
        """Saves at once, unless entries would go: then the button has to be pressed again."""
        try:
            outdated = self.desk.outdated(days or None)
            if outdated and confirmed != days:
                warning = f"{outdated:,} {'entry is' if outdated == 1 else 'entries are'} older and would go for good, marked ones too."
                return _message(warning, bad=True), gr.Button(f"Delete {outdated:,} and save", variant="stop"), days
            return _message(self.desk.save_settings(days or None, copies)), gr.Button("Save", variant="secondary"), None
        except PandaError as error:
            return _message(str(error), bad=True), gr.Button("Save", variant="secondary"), None

    @staticmethod
    def _changed() -> tuple[str, Any, None]:
        return "", gr.Button("Save", variant="secondary"), None


def mount_thumbnails(application: FastAPI, history: History) -> None:
    """Serve the history's thumbnails by the SHA-256 of their image; call before the page is mounted at the root."""
    name = re.compile(r"[0-9a-f]{64}")

    @application.get(f"/{THUMBNAILS}/{{digest}}.jpg", include_in_schema=False)
    def thumbnail(digest: str) -> Response:
        path = history.thumbnail(digest) if name.fullmatch(digest) else None
        if path is None:
            return Response(status_code=404)
        # The name is the content's: it never changes. Private: what people inspect is nobody else's business.
        headers = {"cache-control": "private, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
        return FileResponse(path, media_type="image/jpeg", headers=headers)


def _text(html: str, name: str) -> gr.HTML:
    return gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)


def _message(text: str, *, bad: bool = False) -> str:
    tone = "bad" if bad else "good"
    return f'<p class="history-message" data-tone="{tone}" role="{"alert" if bad else "status"}">{escape(text)}</p>'
