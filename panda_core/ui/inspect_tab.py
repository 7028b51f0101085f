"""The tab Inspect: one image in the viewer with its decision, and the list of images that the arrow keys step through."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Inspection
from panda_core.ui import handlers, panels
from panda_core.ui.component import build_component, fresh, listener
from panda_core.ui.engine import Engine
from panda_core.ui.handlers import Playlist, Screen
from panda_core.ui.uploads import KINDS, dropped_files, uploaded_file
from panda_core.ui.view import View, discard, with_truth
from panda_core.ui.wishes import ASKING, Wish

Mark = Literal["normal", "anomalous", ""]
OnMark = Callable[[Inspection, Mark], None]
Updates = tuple[Any, ...]

SESSION_SECONDS = 12 * 3600
"""An inspection that was opened this long ago is forgotten, for the sake of pages that nobody closes; the list of images stays.

Once a page's connection was lost, Gradio (6.31) forgets both what was opened more than an hour ago.
"""
GONE = "This page had waited so long that the image was let go. Open it again."
IDLE = "This page had waited so long that the image was let go; here it is again. Please do that once more."
WELCOME_EXAMPLE = 1
"""The second example has something to find."""
LATEST: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
INSPECTING: dict[str, Any] = {**LATEST, "concurrency_id": "inspect", "concurrency_limit": 1}
"""Options of every event that inspects: one at a time, so that of one page's events the last one also answers last."""
DECIDING: dict[str, Any] = {**LATEST, "concurrency_id": "decide", "concurrency_limit": 2}
MARKING: dict[str, Any] = {**ASKING, "concurrency_id": "mark"}
HTML = f'<div class="viewer" data-state="busy" data-kinds="{KINDS}"></div>'


class InspectTab:
    """Built inside a gr.Tab. Handlers that inspect take ``inputs`` and give updates of ``results``; pass them INSPECTING.

    Other parts open an image by an event of their own: ``tab.open_by(event, ask, inputs, ...)``.
    """

    def __init__(
        self,
        engine: Engine,
        model: gr.Dropdown,
        status: gr.HTML,
        *,
        examples: Sequence[Path] = (),
        on_mark: OnMark | None = None,
        mark_of: Callable[[Inspection], str] = lambda inspection: "",
    ) -> None:
        """``model`` picks the model, ``status`` shows `panels.status_line`; ``on_mark`` hears "normal", "anomalous" or "" (taken back).

        ``mark_of`` tells what was marked before, in the same words.
        """
        self.engine, self.examples, self.on_mark, self.mark_of = engine, tuple(examples), on_mark, mark_of
        self.view = gr.State(None, time_to_live=SESSION_SECONDS, delete_callback=discard)
        self.beginning = Playlist(self.examples)
        self.playlist, self.wish = gr.State(self.beginning), gr.State(Wish(self.beginning))
        self.viewer = build_component(notice_value(handlers.STARTING), module="viewer", html=HTML, elem_id="viewer")
        self.inputs = [model, self.view]
        self.results = [self.view, self.playlist, self.viewer, status, model]
        on = partial(listener, self.viewer)
        self.open_by(on("upload"), self.dropped)
        self.open_by(on("step"), self.stepped, [self.wish, self.playlist])
        on("save")(self.saved, [*self.inputs, self.playlist], self.results, **INSPECTING)
        on("truth")(self.compared, [*self.inputs, self.playlist], self.results, **INSPECTING)
        on("region")(self.bounded, [*self.inputs, self.playlist], self.results, **INSPECTING)
        on("release")(self.released, [self.view, self.playlist], [self.viewer], **DECIDING)
        on("mark")(self.marked, [self.view], None, **MARKING)
        model.input(self.switched, [*self.inputs, self.playlist], self.results, **INSPECTING)

    def open_by(self, event: Any, ask: Callable[..., Any], inputs: Any = None, *, tabs: gr.Tabs | None = None) -> None:
        """Open what ``ask`` returns when ``event`` fires: a Wish, whose paths must be trusted, or gr.skip() for nothing.

        With ``tabs``, those that this one is among, this one comes to the front.
        """
        shown = self.results if tabs is None else [*self.results, tabs]
        grant = self.granted if tabs is None else self._granted_in_front
        event(ask, inputs, self.wish, **ASKING).then(grant, [*self.inputs, self.playlist, self.wish], shown, **INSPECTING)

    def granted(self, model: str | None, view: View | None, playlist: Playlist, wish: Wish) -> Iterator[Updates]:
        """Open what was asked for last; nothing where that is open already."""
        if not wish.waits(playlist):
            yield _nothing(self.results)  # Gradio (6.31) clears all outputs of a generator that yields nothing
        elif not wish.problem:
            yield from self._open(wish.playlist, wish.model or model, view)
        else:
            discard(view)
            failed = handlers.failure("Nothing was inspected", wish.problem)
            yield self._updates(failed, wish.playlist, self.value(failed, wish.playlist), before=view)

    def _granted_in_front(self, *given: Any) -> Iterator[Updates]:
        """The same; only the first update brings the tab to the front: after it a person may have gone elsewhere."""
        for number, update in enumerate(self.granted(*given)):
            yield *update, gr.skip() if number else gr.Tabs(selected="inspect")

    def welcome(self, model: str | None, view: View | None) -> Iterator[Updates]:
        """An example, already inspected: what a fresh page shows. Nothing without examples, or where an image is open."""
        models = self.engine.models()
        if not (self.examples and view is None and models):
            yield _nothing(self.results)
            return
        # One for the model that the page begins with; that stays, be it one of the person's own.
        own = [number for number, path in enumerate(self.examples) if handlers.example_model(path.name, models, None) == model]
        index = own[min(WELCOME_EXAMPLE, len(own) - 1)] if own else min(WELCOME_EXAMPLE, len(self.examples) - 1)
        yield from self._open(dataclasses.replace(self.beginning, index=index), model, view, keep_model=True)

    def opened(self, paths: Sequence[str]) -> Wish:
        """Files from an upload button."""
        return _wish_of_uploads(lambda: ([uploaded_file(path) for path in paths], []))

    def dropped(self, event: gr.EventData) -> Wish:
        """Files dropped on the tab or pasted."""
        return _wish_of_uploads(lambda: dropped_files(event._data))

    def chosen(self, event: gr.SelectData) -> Wish:
        """An example; it brings its own model if there is one."""
        return Wish(Playlist(self.examples, int(event.index)))

    def stepped(self, wish: Wish, playlist: Playlist, event: gr.EventData) -> Any:
        """The image before or after the one that is open, or that is waited for."""
        if not wish.waits(playlist):
            wish = Wish(playlist)
        after = wish.playlist.step(1 if int(event.by) > 0 else -1)
        return gr.skip() if after.current is None or after == wish.playlist else Wish(after, wish.model)

    def switched(self, model: str | None, view: View | None, playlist: Playlist) -> Iterator[Updates]:
        """Another model: the same image again, if there is one."""
        if view is not None and view.shown and view.inspection.model == model:
            yield _nothing(self.results)
        else:
            yield from self._open(playlist, model, view, keep_model=True)

    def judged_again(self, model: str | None, view: View | None, playlist: Playlist) -> Iterator[Updates]:
        """The list of models has changed: where the one that judged is gone, its verdict is not left standing."""
        if view is None or not view.shown or any(entry.name == view.inspection.model for entry in self.engine.models()):
            yield _nothing(self.results)
            return
        said = f"“{view.inspection.model}” is gone from the list of models; this is what “{model}” says."
        yield from self._open(playlist, model, view, keep_model=True, message=said)

    def released(self, view: View | None, playlist: Playlist, event: gr.EventData) -> Any:
        """A slider rests: `decide` must say what the browser says. Changes nothing on the page if so."""
        if not _is_shown(view, event):
            return gr.skip()
        assert view is not None
        said = handlers.check(
            view,
            boundary=_number(event.boundary),
            pixel_threshold=_number(event.pixel_threshold),
            verdict=str(event.verdict),
            regions=int(event.regions),
        )
        return self._with_message(view, playlist, said, error=True) if said else gr.skip()

    def marked(self, view: View | None, event: gr.EventData) -> None:
        """The person says what the image is."""
        if self.on_mark is None or event.mark not in ("normal", "anomalous", ""):
            return
        if _is_shown(view, event):
            assert view is not None
            self.on_mark(view.inspection, event.mark)
        elif view is None and event.id:
            gr.Warning(f"Your mark was not kept. {GONE}")

    def saved(self, model: str | None, view: View | None, playlist: Playlist, event: gr.EventData) -> Iterator[Updates]:
        """Thresholds become the operating point of the model (or cease to be), and the image is judged by them."""
        if view is None or not _is_shown(view, event):
            yield from self._once_more(playlist, model, view, event)
            return
        try:
            said = self._save(view, event)
        except PandaError as error:
            yield self._updates(None, playlist, self._with_message(view, playlist, str(error), error=True))
            return
        yield from self._open(playlist, view.inspection.model, view, keep_model=True, message=said)

    def bounded(self, model: str | None, view: View | None, playlist: Playlist, event: gr.EventData) -> Iterator[Updates]:
        """Drawn shapes become the model's region of interest, and the image is inspected within it."""
        if view is None or not _is_shown(view, event):
            yield from self._once_more(playlist, model, view, event)
            return
        try:
            said = handlers.save_region(view, event.shapes)
        except PandaError as error:
            yield self._updates(None, playlist, self._with_message(view, playlist, str(error), error=True))
            return
        yield from self._open(playlist, view.inspection.model, view, keep_model=True, message=said)

    def compared(self, model: str | None, view: View | None, playlist: Playlist, event: gr.EventData) -> Iterator[Updates]:
        """A true mask is chosen for the open image, or taken away."""
        if view is None or not _is_shown(view, event):
            yield from self._once_more(playlist, model, view, event)
            return
        try:
            after = with_truth(view, uploaded_file(str(event.path)) if event.path else None)
        except ImageError as error:
            word = f"{Path(error.path).name} {error.reason}."
            yield self._updates(None, playlist, {**self.value(Screen("", view=view), playlist), "word": word})
            return
        yield after, gr.skip(), self.value(Screen("", view=after), playlist), gr.skip(), gr.skip()

    def _save(self, view: View, event: gr.EventData) -> str:
        if event.boundary is None:
            return handlers.clear_thresholds(self.engine, view)
        return handlers.save_thresholds(
            self.engine,
            view,
            boundary=float(event.boundary),
            pixel_threshold=float(event.pixel_threshold),
            who=str(event.who),
            why=str(event.why),
        )

    def _once_more(self, playlist: Playlist, model: str | None, view: View | None, event: gr.EventData) -> Iterator[Updates]:
        """An event of an image that the session has let go: that is opened again. One that a later image has replaced: nothing."""
        if view is None and event.id and playlist.current is not None:
            yield from self._open(playlist, model, view, keep_model=True, message=IDLE)
            return
        if view is None and event.id:
            gr.Warning(GONE)
        yield _nothing(self.results)

    def _open(
        self, playlist: Playlist, model: str | None, view: View | None, *, keep_model: bool = False, message: str = ""
    ) -> Iterator[Updates]:
        """Inspect the playlist's image; an example is shown to its own model unless ``keep_model``."""
        path = playlist.current or (Path(view.inspection.source) if view and view.shown else None)
        if path is None:
            yield _nothing(self.results)
            return
        truths = view.truths if view else None
        discard(view)
        if path in self.examples and not keep_model:
            model = handlers.example_model(path.name, self.engine.models(), model)
        waiting = panels.status_line(f"Inspecting {path.name}…", busy=True)
        yield gr.skip(), gr.skip(), gr.skip(), waiting, gr.skip()
        for screen in handlers.inspect_file(self.engine, model, path, name=playlist.name, truths=truths):
            mark = self.mark_of(screen.view.inspection) if screen.view else ""
            value = {**self.value(screen, playlist), "mark": mark, "message": {"text": message}}
            yield self._updates(screen, playlist, value, model, before=view)

    def _updates(
        self, screen: Screen | None, playlist: Playlist, value: Any, model: str | None = None, *, before: View | None = None
    ) -> Updates:
        """Values for ``results``, in its order; without a screen only the viewer's.

        Where there is nothing to show the session keeps what was there ``before``, for the true masks that the person has chosen.
        """
        if screen is None:
            return gr.skip(), gr.skip(), value, gr.skip(), gr.skip()
        busy = screen.notice is not None and screen.notice.kind == "busy"
        status = panels.status_line(screen.status, busy=busy)
        kept = screen.view or (before and before.hidden())
        return kept, playlist, value, status, gr.Dropdown(value=model) if model else gr.skip()

    def value(self, screen: Screen, playlist: Playlist) -> dict[str, Any]:
        """What the component "viewer" shows for a screen."""
        position = {"index": playlist.index, "count": len(playlist.paths)} if playlist.current else None
        if screen.view is None:
            return {**notice_value(screen.notice or handlers.WELCOME), "position": position}
        return fresh({**screen.view.payload, "position": position})

    def _with_message(self, view: View, playlist: Playlist, text: str, *, error: bool) -> dict[str, Any]:
        return {**self.value(Screen("", view=view), playlist), "message": {"text": text, "error": error}}


def notice_value(notice: handlers.Notice) -> dict[str, Any]:
    """Value of the component "viewer" that shows a message in place of pictures."""
    return fresh({"notice": dataclasses.asdict(notice)})


def _wish_of_uploads(given: Callable[[], tuple[list[Path], list[str]]]) -> Wish:
    try:
        files, names = given()
    except ImageError as error:
        return Wish(problem=f"{error}.")
    return Wish(Playlist(tuple(files), 0, tuple(names)))


def _is_shown(view: View | None, event: gr.EventData) -> bool:
    """Whether an event is about the image the session holds, and not about one that a later image has replaced meanwhile."""
    return view is not None and view.shown and event.id == view.payload["id"]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _nothing(outputs: Sequence[Any]) -> Updates:
    return tuple(gr.skip() for _ in outputs)
