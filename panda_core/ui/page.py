"""The page: components, their places and which handler each event calls. All judgement is in `handlers`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from gradio.events import api
from gradio.utils import get_upload_folder, is_in_or_equal

from panda_core.errors import ImageError, PandaError
from panda_core.ui import handlers, panels
from panda_core.ui.component import file_reference, mount_assets
from panda_core.ui.engine import Engine, ModelEntry
from panda_core.ui.handlers import Range, Screen
from panda_core.ui.stage import build_stage
from panda_core.ui.theme import build_theme
from panda_core.ui.view import View, discard

HERE = Path(__file__).parent
SESSION_SECONDS = 3600
"""A session that has been idle this long forgets its inspection."""
THEME_SWITCH = (HERE / "switch.js").read_text(encoding="utf-8")
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}


def find_examples(folder: Path) -> tuple[Path, ...]:
    """Example images, sorted by name; empty where there is no such folder."""
    return tuple(sorted(path for suffix in ("png", "jpg") for path in folder.glob(f"*.{suffix}")))


def build_page(engine: Engine, *, examples: Sequence[Path] = ()) -> gr.Blocks:
    """The whole page, wired to an engine. Builds without torch and without a model."""
    page: gr.Blocks
    with gr.Blocks(title="PANDA Inspector", fill_width=True, analytics_enabled=False, delete_cache=(600, 2 * SESSION_SECONDS)) as page:
        part = _Inspect(engine, tuple(examples))
        page.load(part.load, None, part.entry, concurrency_limit=None, **QUIET)
    return page


class _Inspect:
    """The inspection page's components, and the thin layer that turns screens into their updates."""

    def __init__(self, engine: Engine, examples: tuple[Path, ...]) -> None:
        self.engine, self.examples = engine, examples
        self.view = gr.State(None, time_to_live=SESSION_SECONDS, delete_callback=discard)
        with gr.Column(elem_id="page", min_width=0):
            gr.HTML(
                '<header><span class="mark" aria-hidden="true"></span><h1>PANDA Inspector</h1>'
                '<button type="button" class="switch" aria-label="Switch between light and dark">Light / dark</button></header>',
                elem_id="bar",
                js_on_load=THEME_SWITCH,
                apply_default_css=False,
            )
            with gr.Row(elem_id="desk"):
                self._source_column()
                with gr.Column(elem_id="middle", min_width=0):
                    self.stage = build_stage(self._stage_value(Screen("", notice=handlers.STARTING)), elem_id="stage")
                self._verdict_column()
            self.status = _fragment(panels.status_line("Starting…", busy=True), "foot")
        self.entry = (self.model, self.open, self.card, self.status, self.stage)
        self.results = (
            self.view,
            self.stage,
            self.verdict,
            self.contributions,
            self.regions,
            self.boundary,
            self.pixel,
            self.reset,
            self.status,
        )
        self._wire()

    def _source_column(self) -> None:
        with gr.Column(elem_id="source", min_width=0):
            self.model = gr.Dropdown([], label="Model", interactive=False, elem_id="model", filterable=False)
            self.open = gr.UploadButton("Open image…", variant="primary", elem_id="open", interactive=False)
            self.gallery = gr.Gallery(
                [str(path) for path in self.examples],
                label="Examples",
                columns=3,
                allow_preview=False,
                object_fit="cover",
                elem_id="examples",
                visible=bool(self.examples),
                buttons=[],
                interactive=False,
            )
            self.card = _fragment("", "card")

    def _verdict_column(self) -> None:
        with gr.Column(elem_id="judgement", min_width=0):
            self.verdict = _fragment(panels.explanation_panel(), "verdict")
            with gr.Column(elem_id="thresholds", min_width=0):
                self.boundary = gr.Slider(label="Image boundary (score)", interactive=False, elem_id="boundary", buttons=[])
                self.pixel = gr.Slider(label="Pixel threshold (SD of normal)", interactive=False, elem_id="pixel", buttons=[])
                self.reset = gr.Button("Reset to the model’s own", size="sm", interactive=False, elem_id="reset")
            self.contributions = _fragment("", "contributions")
            self.regions = _fragment("", "regions")

    def _wire(self) -> None:
        inspecting: dict[str, Any] = {**LATEST, "concurrency_id": "inspect", "concurrency_limit": 1}
        self.open.upload(self.uploaded, [self.model, self.view, self.open], self.results, **inspecting)
        self.stage.upload(self.dropped, [self.model, self.view], self.results, **inspecting)
        self.gallery.select(self.chosen, [self.model, self.view], [self.model, self.card, *self.results], **inspecting)
        self.model.input(self.switched, [self.model, self.view], [self.card, *self.results], **inspecting)
        sliders = [self.view, self.boundary, self.pixel]
        deciding: dict[str, Any] = {**LATEST, "concurrency_id": "decide", "concurrency_limit": 2}
        self.boundary.input(self.move_boundary, sliders, [self.verdict], **deciding)
        self.pixel.input(self.move_pixel, sliders, [self.stage, self.regions], **deciding)
        self.reset.click(self.restore, [self.view], [self.stage, self.verdict, self.regions, self.boundary, self.pixel], **deciding)
        api(self.report, api_name="inspect", concurrency_id="inspect")

    def load(self) -> Iterator[tuple[Any, ...]]:
        """Fill a fresh page; say so while the engine is still loading, and when it is ready."""
        models, screen = handlers.open_page(self.engine)
        loading = bool(models) and not self.engine.ready
        chosen = models[0] if models else None
        choices = [(entry.title, entry.name) for entry in models]
        yield (
            gr.Dropdown(choices, value=chosen.name if chosen else None, interactive=bool(models), info=None if models else "none found"),
            gr.UploadButton(interactive=bool(models)),
            panels.model_panel(chosen),
            panels.status_line(screen.status, busy=loading),
            self._stage_value(screen),
        )
        if loading:
            self.engine.warm()
            ready = panels.status_line(handlers.ready_line(self.engine, models))
            yield gr.skip(), gr.skip(), gr.skip(), ready, gr.skip()

    def uploaded(self, model: str | None, view: View | None, path: str) -> Iterator[tuple[Any, ...]]:
        """A file from the button."""
        yield from self._inspect(model, view, path)

    def dropped(self, model: str | None, view: View | None, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        """A file dropped on the stage or pasted."""
        yield from self._inspect(model, view, str(event.path))

    def chosen(self, model: str | None, view: View | None, event: gr.SelectData) -> Iterator[tuple[Any, ...]]:
        """An example; it brings its own model if there is one."""
        discard(view)
        example = self.examples[int(event.index)]
        models = self.engine.models()
        name = handlers.example_model(example.name, models, model)
        card = panels.model_panel(_entry(models, name))
        for screen in handlers.inspect_file(self.engine, name, example):
            yield gr.Dropdown(value=name), card, *self._updates(screen)

    def switched(self, model: str, view: View | None) -> Iterator[tuple[Any, ...]]:
        """Another model: its card, and the same image again if there is one."""
        card = panels.model_panel(_entry(self.engine.models(), model))
        if view is None:
            yield card, *(gr.skip() for _ in self.results)
            return
        discard(view)
        for screen in handlers.inspect_file(self.engine, model, Path(view.inspection.source)):
            yield card, *self._updates(screen)

    def move_boundary(self, view: View | None, boundary: float, pixel: float) -> Any:
        """The image slider moved."""
        view = _kept(view)
        return gr.skip() if view is None else handlers.redecide(view, boundary=boundary, pixel_threshold=pixel, draw=False).verdict

    def move_pixel(self, view: View | None, boundary: float, pixel: float) -> Any:
        """The pixel slider moved."""
        view = _kept(view)
        if view is None:
            return gr.skip(), gr.skip()
        screen = handlers.redecide(view, boundary=boundary, pixel_threshold=pixel)
        return self._stage_value(screen), screen.regions

    def restore(self, view: View | None) -> tuple[Any, ...]:
        """Both thresholds back to the model's own."""
        view = _kept(view)
        if view is None:
            return tuple(gr.skip() for _ in range(5))
        screen = handlers.redecide(view)
        own = handlers.boundary_range(view.inspection).value, handlers.pixel_range(view.inspection).value
        return self._stage_value(screen), screen.verdict, screen.regions, *own

    def report(self, image: gr.FileData, model: str) -> dict[str, Any]:
        """Inspect an uploaded image file with the named model; returns verdict, score, boundary, errors and regions."""
        try:
            return handlers.report(self.engine, model, _uploaded_file(dict(image)["path"]))
        except ImageError as error:
            raise gr.Error(f"{Path(error.path).name}: {error.reason}.", print_exception=False) from error
        except PandaError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def _inspect(self, model: str | None, view: View | None, path: str) -> Iterator[tuple[Any, ...]]:
        discard(view)
        try:
            file = _uploaded_file(path)
        except ImageError as error:
            yield self._updates(handlers.failure("Nothing was inspected", f"{error}."))
            return
        for screen in handlers.inspect_file(self.engine, model, file):
            yield self._updates(screen)

    def _updates(self, screen: Screen) -> tuple[Any, ...]:
        """Values for ``results``, in its order."""
        busy = screen.notice is not None and screen.notice.kind == "busy"
        return (
            screen.view,
            self._stage_value(screen),
            screen.verdict or panels.explanation_panel(),
            screen.contributions,
            screen.regions,
            _slider(screen.boundary),
            _slider(screen.pixel),
            gr.Button(interactive=screen.view is not None),
            panels.status_line(screen.status, busy=busy),
        )

    @staticmethod
    def _stage_value(screen: Screen) -> dict[str, Any]:
        if screen.view is None:
            return {"notice": asdict(screen.notice)} if screen.notice else {}
        return {"pictures": {name: file_reference(path) for name, path in screen.view.pictures.items()}}


def _kept(view: View | None) -> View | None:
    """The view, or None if a later image has replaced it while the slider's event was on its way."""
    return view if view is not None and view.folder.exists() else None


def _fragment(html: str, name: str) -> gr.HTML:
    return gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)


def _slider(state: Range | None) -> Any:
    if state is None:
        return gr.Slider(interactive=False)
    return gr.Slider(minimum=state.low, maximum=state.high, value=state.value, step=state.step, interactive=True)


def _entry(models: Sequence[ModelEntry], name: str | None) -> ModelEntry | None:
    return next((entry for entry in models if entry.name == name), None)


def _uploaded_file(path: str) -> Path:
    """A path that came from a browser, if it is an upload. Raises ImageError: events may carry any path a stranger writes into them."""
    if not is_in_or_equal(path, get_upload_folder()):
        raise ImageError(Path(path).name, "it was not uploaded here; open the file with the button, drop it or paste it")
    return Path(path)


def mount(application: Any, page: gr.Blocks) -> Any:
    """The page at the root of a FastAPI application, with our look and without Gradio's extras; returns the application."""
    mount_assets(application)
    mounted = gr.mount_gradio_app(
        application,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=True,
        max_file_size="200mb",
        theme=build_theme(),
        css=(HERE / "page.css").read_text(encoding="utf-8"),
    )
    # Only launch() sets these, and without them Gradio takes any server path in a forged upload into its public cache (6.31).
    page.is_running = page.has_launched = True
    return mounted
