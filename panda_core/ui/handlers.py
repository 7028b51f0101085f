"""What happens when a person does something: plain functions from (engine, session, input) to a `Screen`. No Gradio, no torch."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from panda_core.errors import ImageError, ModelError, PandaError
from panda_core.inspection import Decision, Inspection
from panda_core.rendering import map_heatmap, mask_picture, overlay
from panda_core.report.pictures import encode_png
from panda_core.roi import VERSION, RegionOfInterest, clear_roi, load_roi, save_roi
from panda_core.scoring.decision import decide, record
from panda_core.ui import panels
from panda_core.ui.engine import Engine, ModelEntry
from panda_core.ui.view import View, open_view

log = logging.getLogger(__name__)
_serials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Notice:
    """A message where the pictures would be."""

    title: str
    text: str
    command: str = ""
    """What to type in a terminal, shown as such; "" without."""
    kind: str = "empty"
    """``empty``, ``busy`` or ``error``."""


@dataclass(frozen=True, slots=True)
class Screen:
    """All that a result or a message puts on the page. With a ``notice`` nothing of an earlier result is left."""

    status: str
    view: View | None = None
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Playlist:
    """The images that the arrow keys step through, and the one that is open."""

    paths: tuple[Path, ...] = ()
    index: int = -1
    """-1 before the first is opened."""
    names: tuple[str, ...] = ()
    """Shown instead of the files' names; as many as paths, or none."""
    serial: int = field(default_factory=_serials.__next__, compare=False)
    """Larger than that of any list before."""

    def step(self, by: int) -> Playlist:
        """The list ``by`` images further on; it stops at its ends."""
        return Playlist(self.paths, min(max(self.index + by, 0), len(self.paths) - 1), self.names)

    @property
    def current(self) -> Path | None:
        """The image that is open."""
        return self.paths[self.index] if 0 <= self.index < len(self.paths) else None

    @property
    def name(self) -> str:
        """What the open image is called; "" for its file's name."""
        return self.names[self.index] if 0 <= self.index < len(self.names) else ""


STARTING = Notice("Starting…", "", kind="busy")
WELCOME = Notice("Open an image", "Drop a file here, paste one, press “Open image”, or choose an example.")
LOADING = Notice("Loading the model…", "The page is up before the network is. Your image is next.", kind="busy")
NO_MODEL = Notice(
    "No model yet",
    "Nothing can be judged before a model has seen normal images. Train one in the tab Train, import one in the tab Models, or type:",
    panels.TRAIN_COMMAND,
)


def open_page(engine: Engine) -> tuple[tuple[ModelEntry, ...], Screen]:
    """Models and first screen of a fresh page."""
    models = engine.models()
    if not models:
        return models, Screen("No model found.", notice=NO_MODEL)
    return models, Screen(ready_line(engine, models), notice=WELCOME)


def ready_line(engine: Engine, models: Sequence[ModelEntry]) -> str:
    """Status of an idle page."""
    if not engine.ready:
        return "Loading the model…"
    where = f" · {engine.device}" if engine.device else ""
    return f"Ready{where} · {len(models)} model{'' if len(models) == 1 else 's'}"


def inspect_file(
    engine: Engine, model: str | None, path: Path, *, name: str = "", truths: Mapping[str, Path] | None = None
) -> Iterator[Screen]:
    """Inspect a file: first a waiting screen if the engine is still loading, then the result or what went wrong and what to do.

    ``name`` is shown instead of the file's; ``truths``: true masks chosen in the session, as `View.truths`.
    """
    name = name or path.name
    if not model:
        yield Screen("No model found.", notice=NO_MODEL)
        return
    if not engine.ready:
        yield Screen("Loading the model…", notice=LOADING)
    try:
        yield show(engine.inspect(model, path), device=engine.device, name=name, truths=truths)
    except ImageError as error:
        yield failure(
            f"{name} was not inspected",
            f"{name}: {error.reason}. Open another file, or save it as PNG, JPEG or TIFF and try again.",
        )
    except PandaError as error:
        yield failure(f"The model “{model}” cannot be used", str(error))
    except Exception:
        log.exception("Inspecting %s with %s failed", path, model)
        yield failure(
            f"{name} was not inspected",
            "Something is wrong in the program, not in your file. Its terminal shows the details.",
        )


def failure(title: str, text: str) -> Screen:
    """A screen that holds the message and nothing of an earlier result."""
    return Screen(title + ".", notice=Notice(title, text, kind="error"))


def show(inspection: Inspection, *, device: str = "", name: str = "", truths: Mapping[str, Path] | None = None) -> Screen:
    """The screen of a fresh inspection; ``name`` is shown instead of the file's, ``truths`` as in `inspect_file`."""
    view = open_view(inspection, device=device, truths=truths)
    payload = {**view.payload, "roi": _region(inspection)}
    view = dataclasses.replace(view, payload={**payload, "name": name} if name else payload)
    facts = (
        str(view.payload["name"]),
        f"{view.width} × {view.height} px",
        f"{inspection.milliseconds:.0f} ms",
        device,
        inspection.model,
    )
    return Screen(status=" · ".join(fact for fact in facts if fact), view=view)


def check(view: View, *, boundary: float | None, pixel_threshold: float | None, verdict: str, regions: int) -> str:
    """Whether the browser says the same as `decide` at these thresholds (None: those in use): "", else a sentence for the person."""
    decision = decide(view.inspection, boundary=boundary, pixel_threshold=pixel_threshold)
    if (decision.verdict, len(decision.regions)) == (verdict, regions):
        return ""
    log.warning("The page says %s, %d regions; the engine %s, %d.", verdict, regions, decision.verdict, len(decision.regions))
    return (
        f"The engine finds this image {decision.verdict}, with {len(decision.regions)} regions; the page shows something else. "
        "Believe the engine, and reload the page."
    )


def save_region(view: View, shapes: Any) -> str:
    """Keep drawn shapes as the region of interest of the view's model (none: forget it). Returns what to tell the person.

    Raises RoiError where the shapes are malformed, leave nothing to look at, or cannot be kept.
    """
    roi = RegionOfInterest.from_json({"version": VERSION, "shapes": shapes})
    if roi.shapes:
        share = roi.outside_share(view.height, view.width)
        save_roi(view.inspection.model, roi)
        return f"Kept for {view.inspection.model}: {panels.percent(share)} of the image is ignored."
    clear_roi(view.inspection.model)
    return f"{view.inspection.model} looks at the whole image again."


def _region(inspection: Inspection) -> dict[str, Any]:
    """The model's region of interest for the browser: shapes, and the ignored share of this image."""
    roi = load_roi(inspection.model)
    if roi is None:
        return {"shapes": [], "ignored": 0.0}
    return {"shapes": roi.to_json()["shapes"], "ignored": roi.outside_share(*inspection.image.shape[:2])}


def save_thresholds(engine: Engine, view: View, *, boundary: float, pixel_threshold: float, who: str, why: str) -> str:
    """Make thresholds the operating point of the view's model; returns what to tell the person. Raises PandaError."""
    model = view.inspection.model
    if not who.strip() or not why.strip():
        raise ModelError("Not saved: give your name and a reason, so that the next person knows whose threshold this is.")
    if not (math.isfinite(boundary) and math.isfinite(pixel_threshold)):
        raise ModelError("Not saved: a threshold is not a number.")
    engine.save_operating_point(model, boundary=boundary, pixel_threshold=pixel_threshold, who=who.strip(), why=why.strip())
    return f"Saved: {model} now judges by boundary {panels.number(boundary)} and pixel threshold {panels.number(pixel_threshold)}."


def clear_thresholds(engine: Engine, view: View) -> str:
    """Give the saved operating point of the view's model up; returns what to tell the person. Raises PandaError."""
    model = view.inspection.model
    engine.clear_operating_point(model)
    return f"{model} judges by its own thresholds again."


def report(engine: Engine, model: str, path: Path) -> dict[str, Any]:
    """The same inspection for programs, at the thresholds in use. Raises PandaError.

    The fields of ``panda inspect --json``, but ``file`` for ``path``: Gradio's client takes whatever holds a path for a download.
    """
    inspection = engine.inspect(model, path)
    return _said(path, inspection, decide(inspection))


def illustrated_report(
    engine: Engine, model: str, path: Path, *, boundary: float | None = None, pixel_threshold: float | None = None
) -> dict[str, Any]:
    """`report` at these thresholds, None for those in use, with ``pixel_threshold`` and ``pictures``. Raises PandaError.

    ``pictures``: overlay, mask, map and reconstruction as data URLs of PNG files, which leave no files on the server.
    """
    inspection = engine.inspect(model, path)
    decision = decide(inspection, boundary=boundary, pixel_threshold=pixel_threshold)
    pictures = {
        "overlay": overlay(inspection, decision),
        "mask": mask_picture(decision),
        "map": map_heatmap(inspection),
        "reconstruction": inspection.reconstruction,
    }
    drawn = {name: f"data:image/png;base64,{b64encode(encode_png(picture, level=1)).decode()}" for name, picture in pictures.items()}
    return {**_said(path, inspection, decision), "pixel_threshold": decision.pixel_threshold, "pictures": drawn}


def _said(path: Path, inspection: Inspection, decision: Decision) -> dict[str, Any]:
    said = record(inspection, decision)
    del said["path"]
    return {"file": path.name, **said}


def example_model(name: str, models: Sequence[ModelEntry], current: str | None) -> str | None:
    """The model an example image is for: the one whose name its file name begins with (xray_03.png -> xray), else the current one."""
    kind = name.split("_")[0].lower()
    usable = [entry.name for entry in models if not entry.problem]
    return next((model for model in usable if model.lower().startswith(kind)), current)
