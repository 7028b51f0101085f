"""The page: header, side bar, tabs, status bar. What happens in a tab is the tab's own affair."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from panda_core.batch.rows import Row
from panda_core.card import find_model
from panda_core.errors import PandaError
from panda_core.history import History
from panda_core.inspection import Inspection
from panda_core.jobs import Jobs
from panda_core.places import home
from panda_core.report.markup import known_rates
from panda_core.ui import handlers, panels
from panda_core.ui.api import Api
from panda_core.ui.batch_tab import BatchTab
from panda_core.ui.component import build_component
from panda_core.ui.engine import Engine, ModelEntry
from panda_core.ui.evaluate_tab import EvaluateTab
from panda_core.ui.handlers import Playlist
from panda_core.ui.history_tab import HistoryTab
from panda_core.ui.inspect_tab import INSPECTING, SESSION_SECONDS, InspectTab, notice_value
from panda_core.ui.models_tab import ModelsTab
from panda_core.ui.recording import Recorder, RecordingEngine
from panda_core.ui.train_tab import TrainTab
from panda_core.ui.uploads import field
from panda_core.ui.video_tab import VideoTab
from panda_core.ui.view import View
from panda_core.ui.wishes import Wish

HERE = Path(__file__).parent
FRAME = (HERE / "frame.js").read_text(encoding="utf-8")
HEADER = (
    '<header><span class="mark" aria-hidden="true"></span><h1>PANDA Inspector</h1>'
    '<button type="button" class="switch" title="Switch between light and dark">Light / dark</button></header>'
)
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def find_examples(folder: Path) -> tuple[Path, ...]:
    """Example images, sorted by name; empty where there is no such folder."""
    return tuple(sorted(path for suffix in ("png", "jpg") for path in folder.glob(f"*.{suffix}")))


def build_page(
    engine: Engine, *, examples: Sequence[Path] = (), history: History | None = None, roots: Sequence[Path] | None = None
) -> gr.Blocks:
    """The whole page, wired to an engine. Builds without torch and without a model.

    history: where inspections are kept; None keeps nothing and shows no history. roots: folders of this machine that the page may
    read images from; None: the person's home and the working folder.
    """
    page: gr.Blocks
    with gr.Blocks(title="PANDA Inspector", fill_width=True, analytics_enabled=False, delete_cache=(600, 2 * SESSION_SECONDS)) as page:
        parts = _Page(engine, tuple(examples), history, (Path.home(), Path.cwd()) if roots is None else tuple(roots))
        opened = page.load(parts.load, parts.inspect.inputs, parts.entry, concurrency_limit=None, **QUIET)
        opened.then(parts.inspect.welcome, parts.inspect.inputs, parts.inspect.results, **INSPECTING)
        opened.then(None, js=_name_pictures(examples), **QUIET)
    return page


@dataclass(frozen=True, slots=True)
class _First:
    """What a page shows before anybody has done anything."""

    models: tuple[ModelEntry, ...]
    chosen: ModelEntry | None
    status: str
    notice: handlers.Notice
    loading: bool

    def picker(self) -> dict[str, Any]:
        """Arguments of the list of models."""
        return {
            "choices": [(entry.title, entry.name) for entry in self.models],
            "value": self.chosen.name if self.chosen else None,
            "interactive": bool(self.models),
            "info": None if self.models else "none found",
        }


class _Page:
    """The frame around the tabs, and what they do to one another."""

    def __init__(self, engine: Engine, examples: tuple[Path, ...], history: History | None, roots: Sequence[Path]) -> None:
        self.engine = engine
        self.recorder = Recorder(history, ignore=examples) if history else None
        # Filled when it is built, so that a person can begin before the first answer of the server has come.
        first = self._first()
        self.built = first.chosen.name if first.chosen else None
        self.status = _fragment(first.status, "foot", render=False)
        with gr.Column(elem_id="page", min_width=0):
            gr.HTML(HEADER, elem_id="bar", js_on_load=FRAME, apply_default_css=False)
            with gr.Row(elem_id="desk"):
                self._side_bar(examples, first)
                with gr.Tabs(elem_id="tabs", selected="inspect") as self.tabs:
                    self._build_tabs(examples, history, roots)
            self.status.render()  # type: ignore[no-untyped-call]  # Gradio's, without annotations
            build_component({}, module="tour", html='<div class="tour"></div>', elem_id="tour")
        self.entry = (self.model, self.open, self.card, self.status, self.inspect.viewer)
        self._wire()
        Api(self._remembering("api")).publish()

    def _build_tabs(self, examples: Sequence[Path], history: History | None, roots: Sequence[Path]) -> None:
        recorder = self.recorder
        with gr.Tab("Inspect", id="inspect"):
            marks: dict[str, Any] = {"on_mark": self._marked_alone, "mark_of": recorder.mark_of} if recorder else {}
            self.inspect = InspectTab(self._remembering("single"), self.model, self.status, examples=examples, **marks)
        with gr.Tab("Batch", id="batch"):
            self.batch = BatchTab(
                self.engine,
                self.model,
                roots=roots,
                on_inspection=self._seen_in_batch if recorder else None,
                on_mark=self._marked_in_batch if recorder else None,
            )
        self.history = None
        if history is not None:
            with gr.Tab("History", id="history"):
                self.history = HistoryTab(self.model, history, on_calibrate=self._recalibrate, roots=roots)
        with gr.Tab("Video", id="video"):
            VideoTab(self.engine, self.model, roots=roots)
        with gr.Tab("Evaluate", id="evaluate"):
            self.evaluate = EvaluateTab(self.engine, roots=roots)
        with gr.Tab("Train", id="train"):
            self.train = TrainTab(Jobs(), roots=roots)
        with gr.Tab("Models", id="models"):
            self.models = ModelsTab(on_change=self.engine.forget)

    def _remembering(self, source: Literal["single", "api"]) -> Engine:
        return RecordingEngine(self.engine, self.recorder, source=source) if self.recorder else self.engine

    def _seen_in_batch(self, inspection: Inspection, _row: Row) -> None:
        assert self.recorder is not None
        self.recorder.seen(inspection, source="batch")

    def _marked_alone(self, inspection: Inspection, mark: str) -> None:
        assert self.recorder is not None
        if problem := self.recorder.mark(inspection, mark):
            gr.Warning(problem)
        self.batch.marked_elsewhere(inspection.model, Path(inspection.source), mark)

    def _marked_in_batch(self, model: str, row: Row, mark: str) -> str:
        assert self.recorder is not None
        if row.outcome == "unreadable":
            return "An image that cannot be read teaches no model."
        return self.recorder.mark_file(model, row.path, mark, again=lambda: self.engine.inspect(model, row.path))

    def _side_bar(self, examples: Sequence[Path], first: _First) -> None:
        with gr.Column(elem_id="source", min_width=0):
            self.model = gr.Dropdown(label="Model", elem_id="model", filterable=False, **first.picker())
            usable = bool(first.models)
            self.open = gr.UploadButton("Open image…", variant="primary", elem_id="open", interactive=usable, file_count="multiple")
            self.gallery = gr.Gallery(
                [str(path) for path in examples],
                label="Examples",
                columns=3,
                allow_preview=False,
                object_fit="cover",
                elem_id="examples",
                visible=bool(examples),
                buttons=[],
                interactive=False,
            )
            self.card = _fragment(panels.model_panel(first.chosen), "card")

    def _wire(self) -> None:
        tab = self.inspect
        tab.open_by(self.open.upload, tab.opened, self.open, tabs=self.tabs)
        tab.open_by(self.gallery.select, tab.chosen, tabs=self.tabs)
        self.model.change(self.describe, self.model, self.card, trigger_mode="always_last", concurrency_limit=None, **QUIET)
        for changed in (self.train.models_event, self.models.models_event):
            listed = changed(self._follow, self.model, self.model, concurrency_limit=None, **QUIET)
            listed.then(tab.judged_again, [*tab.inputs, tab.playlist], tab.results, **INSPECTING)
        tab.open_by(self.batch.open_event, self._open_of_batch, tabs=self.tabs)
        tab.open_by(self.evaluate.open_event, self._open_of_evaluation, tabs=self.tabs)
        self.evaluate.kept_event(self.describe, self.model, self.card, concurrency_limit=None, **QUIET)
        if self.history is not None:
            self.history.calibrated.then(self._list_models, self.model, self.model, concurrency_limit=None, **QUIET)
            tab.open_by(self.history.open_event, self._open_of_history, tabs=self.tabs)

    def _open_of_batch(self, event: gr.EventData) -> Any:
        paths, index = self.batch.opened(event)
        return self._wish(paths, index, self.batch.model_of(event)) if paths else gr.skip()

    def _open_of_evaluation(self, event: gr.EventData) -> Any:
        paths, index, judge = self.evaluate.opened(event)
        return self._wish(paths, index, judge) if paths else gr.skip()

    def _open_of_history(self, event: gr.EventData) -> Any:
        assert self.history is not None
        try:
            opened = self.history.opened(event)
        except PandaError as error:
            gr.Warning(str(error))
            return gr.skip()
        names = [entry.name for entry in opened.entries]
        return self._wish(opened.paths, opened.index, opened.entries[opened.index].model, names=names)

    def _wish(self, paths: Sequence[Path], index: int, model: str | None, *, names: Sequence[str] = ()) -> Wish:
        """A result to be opened with the model that gave it, so that it shows the same verdict; with the picked one if that is unusable."""
        usable = any(entry.name == model and not entry.problem for entry in self.engine.models())
        return Wish(Playlist(tuple(paths), index, tuple(names)), model if usable else None)

    def _recalibrate(self, model: str, normal: list[Path], anomalous: list[Path], name: str) -> str:
        from panda_core.feedback import recalibrate

        found = recalibrate(find_model(model), normal, anomalous, home() / "models" / name)
        said = f"“{name}” is ready: choose it in the list of models. {known_rates(found.boundary, 'the marked images')}".rstrip()
        if found.count < len(normal):
            said += (
                f" {found.count} of {len(normal)} images marked normal were used; the others cannot be read, are copies, or are known "
                "to the model from its training."
            )
        return said

    def _first(self, picked: str | None = None) -> _First:
        models, screen = handlers.open_page(self.engine)
        loading = bool(models) and not self.engine.ready
        chosen = next((entry for entry in models if entry.name == picked), models[0] if models else None)
        return _First(models, chosen, panels.status_line(screen.status, busy=loading), screen.notice or handlers.WELCOME, loading)

    def load(self, picked: str | None, view: View | None) -> Iterator[tuple[Any, ...]]:
        """What has changed since the page was built; says so while the engine is still loading, and when it is ready."""
        # The list is built with a model picked; somebody may have picked another already, or chosen another to begin with.
        first = self._first(None if picked == self.built else picked)
        yield (
            gr.Dropdown(**first.picker()),
            gr.UploadButton(interactive=bool(first.models)),
            panels.model_panel(first.chosen),
            first.status,
            notice_value(first.notice) if view is None else gr.skip(),
        )
        if first.loading:
            self.engine.warm()
            ready = panels.status_line(handlers.ready_line(self.engine, first.models))
            yield gr.skip(), gr.skip(), gr.skip(), ready, gr.skip()

    def _follow(self, picked: str | None, event: gr.EventData) -> Any:
        """`_list_models`; a model that was picked and has another name now stays picked."""
        return self._list_models(field(event._data, "name") if picked and field(event._data, "was") == picked else picked)

    def _list_models(self, picked: str | None) -> Any:
        """The picker with the models there are now; what was picked stays picked, if it is still there."""
        choices = [(entry.title, entry.name) for entry in self.engine.models()]
        names = [name for _, name in choices]
        return gr.Dropdown(choices, value=picked if picked in names else next(iter(names), None), interactive=bool(names))

    def describe(self, model: str | None) -> str:
        """The card of the model that is picked, by hand or by an example."""
        return panels.model_panel(next((entry for entry in self.engine.models() if entry.name == model), None))


def _name_pictures(examples: Sequence[Path]) -> str:
    """Script that names the examples for screen readers: Gradio calls them "Thumbnail 1 of 6"."""
    names = json.dumps([path.stem.replace("_", " ") for path in examples])
    return f"() => document.querySelectorAll('#examples .thumbnail-item').forEach((one, at) => {{ one.ariaLabel = {names}[at]; }})"


def _fragment(html: str, name: str, *, render: bool = True) -> gr.HTML:
    return gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False, render=render)
