"""What happens when a person does something: plain functions from (engine, session, input) to a `Screen`. No Gradio, no torch."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Inspection
from panda_core.scoring.decision import decide
from panda_core.ui import panels
from panda_core.ui.engine import Engine, ModelEntry
from panda_core.ui.view import View, draw_overlay, open_view, original_regions

log = logging.getLogger(__name__)


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
class Range:
    """State of one threshold slider."""

    low: float
    high: float
    value: float
    step: float


@dataclass(frozen=True, slots=True)
class Screen:
    """All that a result or a message puts on the page. With a ``notice`` nothing of an earlier result is left."""

    status: str
    view: View | None = None
    notice: Notice | None = None
    verdict: str = ""
    contributions: str = ""
    regions: str = ""
    boundary: Range | None = None
    pixel: Range | None = None


STARTING = Notice("Starting…", "", kind="busy")
WELCOME = Notice("Open an image", "Drop a file here, paste one, press “Open image”, or choose an example.")
LOADING = Notice("Loading the model…", "The page is up before the network is. Your image is next.", kind="busy")
NO_MODEL = Notice(
    "No model yet",
    "Nothing can be judged before a model has seen normal images. Train one in a terminal, then start the app with it:",
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


def inspect_file(engine: Engine, model: str | None, path: Path) -> Iterator[Screen]:
    """Inspect a file: first a waiting screen if the engine is still loading, then the result or what went wrong and what to do."""
    if not model:
        yield Screen("No model found.", notice=NO_MODEL)
        return
    if not engine.ready:
        yield Screen("Loading the model…", notice=LOADING)
    try:
        yield show(engine.inspect(model, path), device=engine.device)
    except ImageError as error:
        yield failure(
            f"{path.name} was not inspected",
            f"{path.name}: {error.reason}. Open another file, or save it as PNG, JPEG or TIFF and try again.",
        )
    except PandaError as error:
        yield failure(f"The model “{model}” cannot be used", str(error))
    except Exception:
        log.exception("Inspecting %s with %s failed", path, model)
        yield failure(
            f"{path.name} was not inspected",
            "Something is wrong in the program, not in your file. Its terminal shows the details.",
        )


def failure(title: str, text: str) -> Screen:
    """A screen that holds the message and nothing of an earlier result."""
    return Screen(title + ".", notice=Notice(title, text, kind="error"))


def show(inspection: Inspection, *, device: str = "") -> Screen:
    """The screen of a fresh inspection, at the model's own thresholds."""
    view = open_view(inspection)
    screen = redecide(view)
    facts = (
        Path(inspection.source).name,
        f"{view.width} × {view.height} px",
        f"{inspection.milliseconds:.0f} ms",
        device,
        inspection.model,
    )
    return Screen(
        status=" · ".join(fact for fact in facts if fact),
        view=view,
        verdict=screen.verdict,
        regions=screen.regions,
        contributions=panels.contributions_panel(inspection),
        boundary=boundary_range(inspection),
        pixel=pixel_range(inspection),
    )


def redecide(view: View, *, boundary: float | None = None, pixel_threshold: float | None = None, draw: bool = True) -> Screen:
    """Verdict, mask and regions at other thresholds (None: the model's own), without the network.

    ``draw`` writes the mask's picture anew; without it the picture on file stays.
    """
    inspection = view.inspection
    decision = decide(
        inspection,
        boundary=_moved(boundary, inspection.calibration.boundary.value, boundary_range(inspection)),
        pixel_threshold=_moved(pixel_threshold, inspection.calibration.pixel_threshold, pixel_range(inspection)),
    )
    if draw:
        draw_overlay(view, decision)
    regions = panels.regions_panel(
        original_regions(view, decision), share=float(decision.mask.mean()), threshold=decision.pixel_threshold, reduced=view.reduced
    )
    return Screen("", view=view, verdict=panels.verdict_panel(inspection, decision), regions=regions)


def boundary_range(inspection: Inspection) -> Range:
    """The image slider: over all calibration scores, this image's score and the boundary, with room to pass each."""
    own = inspection.calibration.boundary.value
    ends = (inspection.calibration.lo, inspection.calibration.hi, inspection.score, own)
    room = 0.05 * (max(ends) - min(ends)) or 1.0
    return _range(min(ends) - room, max(ends) + room, own)


def pixel_range(inspection: Inspection) -> Range:
    """The pixel slider: from the map's mean-of-normal level 0 to past its peak, in standard deviations."""
    own = inspection.calibration.pixel_threshold
    return _range(0.0, 1.05 * max(float(inspection.anomaly_map.max()), own, 1.0), own)


def report(engine: Engine, model: str, path: Path) -> dict[str, Any]:
    """The same inspection for programs, at the model's own thresholds. Raises PandaError.

    The fields of ``panda inspect --json``, but ``file`` for ``path``: Gradio's client takes whatever holds a path for a download.
    """
    inspection = engine.inspect(model, path)
    decision = decide(inspection)
    return {
        "file": path.name,
        "score": inspection.score,
        "gauge": inspection.gauge,
        "verdict": decision.verdict,
        "boundary": decision.boundary.value,
        "boundary_kind": decision.boundary.kind,
        "p_value": inspection.p_value,
        "errors": dict(inspection.errors),
        "regions": [
            {"area": r.area, "box": list(r.box), "peak": r.peak, "mean": r.mean, "peak_at": list(r.peak_at)} for r in decision.regions
        ],
    }


def example_model(name: str, models: Sequence[ModelEntry], current: str | None) -> str | None:
    """The model an example image is for: the one whose name its file name begins with (xray_03.png -> xray), else the current one."""
    kind = name.split("_")[0].lower()
    usable = [entry.name for entry in models if not entry.problem]
    return next((model for model in usable if model.lower().startswith(kind)), current)


def _moved(value: float | None, own: float, slider: Range) -> float | None:
    """None where the slider stands on the model's own value: sliders round, the model's number is exact."""
    return None if value is None or abs(value - own) <= 0.501 * slider.step else value


def _range(low: float, high: float, value: float) -> Range:
    """A slider of some 200 to 2000 steps of 10^n, on round numbers."""
    places = 2 - math.floor(math.log10(high - low))
    step = 10.0**-places
    return Range(round(math.floor(low / step) * step, places), round(math.ceil(high / step) * step, places), round(value, places), step)
