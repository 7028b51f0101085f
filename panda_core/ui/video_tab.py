"""The Video tab: frames of a video on a timeline with their marks, or the camera, live. A thread of the session works; the page asks."""

from __future__ import annotations

import base64
import binascii
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context

from panda_core.batch.sources import keep_upload, open_uploads
from panda_core.errors import ImageError, PandaError
from panda_core.roots import existing_place
from panda_core.scoring.decision import decide
from panda_core.ui.component import ASSETS, build_component, fresh, listener
from panda_core.ui.engine import Engine
from panda_core.ui.uploads import field, number, uploaded_file
from panda_core.ui.video_session import EXPORTS, Opens, VideoSession
from panda_core.ui.work import Register
from panda_core.video.scores import reduce_map
from panda_core.video.sources import STILLS_RATE, Video, VideoError, open_frames, open_video

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
MOST_CAMERA_BYTES = 2**21
"""Of one camera frame, as JPEG; the page sends some 30 kB."""
MOST_STRIDE = 10_000
GONE = {"gone": True, "message": "This video is no longer kept here. Score it again."}


class VideoTab:
    """Components and events of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``.

    All but the start goes by direct calls, as in the Batch tab: answers to a timer's events were missed under load (Gradio 6.31).
    """

    def __init__(self, engine: Engine, model: gr.Dropdown, *, roots: Sequence[Path] | None = None) -> None:
        """``roots``: folders of this machine whose videos may be opened from the page; None: the person's home and the working
        folder, empty: none.
        """
        self._engine = engine
        self._roots = (Path.home(), Path.cwd()) if roots is None else tuple(roots)
        self.sessions: Register[VideoSession] = Register()
        self.screen = build_component(
            {},
            module="video",
            html=_html(local=bool(self._roots)),
            elem_id="video",
            model="",
            server_functions=[*self._functions(), self._camera()],
        )
        self._wire(model)

    def _wire(self, model: gr.Dropdown) -> None:
        listener(self.screen, "begin")(self._begin, model, self.screen, trigger_mode="once", **QUIET)
        page = Context.root_block
        chosen = [model.change, page.load] if page is not None else [model.change]
        # The camera's calls go past the components, so the page has to know the model.
        gr.on(chosen, lambda name: gr.HTML(model=name or ""), model, self.screen, trigger_mode="always_last", **QUIET)
        if page is not None:
            page.unload(self._leave)

    def _begin(self, model: str | None, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """A new session in the place of the browser tab's former one; the page asks for the rest."""
        session = VideoSession(self._engine)
        try:
            session.score(model, self._opens(event._data), **_every(event._data))
        except PandaError as error:
            session.close()
            return fresh({"message": str(error), "refused": True})
        self.sessions.enter(request.session_hash or "", session)
        return {"run": session.id}

    def _opens(self, data: Any) -> Opens:
        """How the video that a browser names is opened; paths are checked here, files are touched later."""
        rate = number(data, "stills") or STILLS_RATE
        files = field(data, "files")
        if isinstance(files, list) and files:
            try:
                uploads = [uploaded_file(str(path)) for path in files]
            except ImageError as error:
                raise VideoError(f"{error}.") from error
            return lambda place, stop: _open_uploads(uploads, place, rate, stop)
        wanted, typed = "a video or of a folder with frames", str(field(data, "place") or "")
        path = existing_place(typed, self._roots, wanted=wanted, error=VideoError, folder=False)
        return lambda place, stop: open_video(path, rate=rate)

    def _functions(self) -> list[Any]:
        """What the page calls; plain functions, because Gradio writes its mark on them."""

        def look(data: Any) -> dict[str, Any]:
            session, known = self._session(data), field(data, "known")
            return GONE if session is None else self._value(session, known if isinstance(known, int) else 0)

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
                session.export(kind, number(data, "boundary"))
            except PandaError as error:
                return {"message": str(error), "refused": True}
            return {}

        return [look, cancel, export]

    def _value(self, session: VideoSession, known: int) -> dict[str, Any]:
        """The session's message with its files where Gradio serves them."""
        message = session.message(known)
        publish = self.screen.move_resource_to_block_cache
        packs = [{"first": pack["first"], "rows": pack["rows"], "path": publish(pack["path"])} for pack in message["packs"]]
        made = message["download"]
        return {**message, "packs": packs, "download": made and {"serial": made[0], "path": publish(made[1]), "name": made[1].name}}

    def _leave(self, request: gr.Request) -> None:
        self.sessions.leave(request.session_hash or "")

    def _session(self, data: Any) -> VideoSession | None:
        return self.sessions.find(field(data, "run"))

    def _camera(self) -> Any:
        """The function that the page calls with one camera frame; a plain one, because Gradio writes its mark on it."""

        def camera(data: Any) -> dict[str, Any]:
            return look_at_camera_frame(self._engine, data)

        return camera


def _html(*, local: bool) -> str:
    """The tab's fixed part. Whether paths of this machine may be given is written there: props of ours do not outlast an update."""
    html = (ASSETS / "video.html").read_text(encoding="utf-8")
    return html.replace('<div class="video"', f'<div class="video" data-local="{"yes" if local else "no"}"', 1)


def look_at_camera_frame(engine: Engine, data: Any) -> dict[str, Any]:
    """One camera frame, ``{"model", "image": base64 of a JPEG}`` from a browser, judged; or ``{"error": a sentence}``.

    A direct call instead of an event: it costs a third of the time, and the page sends the next frame only after the answer.
    The frame is on disk only while the engine looks at it.
    """
    try:
        model, image = _camera_frame(engine, data)
        handle, name = tempfile.mkstemp(prefix="panda-camera-", suffix=".jpg")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(image)
            seen = engine.inspect(model, Path(name))
        finally:
            os.unlink(name)
    except ImageError as error:
        return {"error": f"The camera's picture {error.reason}."}
    except PandaError as error:
        return {"error": str(error)}
    decision, small = decide(seen), reduce_map(seen.anomaly_map)
    height, width = small.levels.shape
    return {
        "score": seen.score,
        "boundary": decision.boundary.value,
        "verdict": decision.verdict,
        "regions": len(decision.regions),
        "pixel": decision.pixel_threshold,
        "map": {"levels": base64.b64encode(small.levels.tobytes()).decode(), "width": width, "height": height, "high": small.high},
        "ms": seen.milliseconds,
    }


def _open_uploads(files: Sequence[Path], place: Path, rate: float, should_stop: Any) -> Video:
    """One video, or pictures (also in a zip file) in the natural order of their names."""
    pictures = len(files) > 1 or files[0].suffix.lower() == ".zip"
    if not pictures:
        return open_video(keep_upload(files[0], place), rate=rate)
    source = open_uploads(files, place, should_stop=should_stop)
    order = sorted(range(len(source.paths)), key=lambda number: _natural(source.names[number]))
    return open_frames([source.paths[number] for number in order], title=source.title, rate=rate)


def _natural(name: str) -> list[str | int]:
    """Sorts frame2 before frame10: text and numbers take turns."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split(r"(\d+)", name.casefold()))]


def _camera_frame(engine: Engine, data: Any) -> tuple[str, bytes]:
    """(model, JPEG bytes) of what a browser sent. Raises PandaError."""
    model, image = (data.get("model"), data.get("image")) if isinstance(data, dict) else (None, None)
    # Only models of the list: the engine would take the name of any folder.
    if model not in {entry.name for entry in engine.models()}:
        raise PandaError("No model is chosen. Choose one on the left.")
    if not isinstance(image, str) or len(image) > MOST_CAMERA_BYTES:
        raise PandaError("The camera's picture did not arrive. Stop the camera and start it again.")
    try:
        return str(model), base64.b64decode(image.partition(",")[2] or image, validate=True)
    except binascii.Error as error:
        raise PandaError("The camera's picture arrived damaged. Stop the camera and start it again.") from error


def _every(data: Any) -> dict[str, Any]:
    stride, rate = number(data, "stride"), number(data, "rate")
    if rate is not None:
        return {"rate": rate}
    return {"stride": min(max(int(stride), 1), MOST_STRIDE) if stride is not None else 1}
