"""The same actions for programs: named endpoints of the page, for gradio_client, plain HTTP and, by flag, MCP."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from panda_core.errors import ConfigError, ImageError, ModelError, PandaError
from panda_core.ui import handlers
from panda_core.ui.engine import BATCH, Engine
from panda_core.ui.uploads import uploaded_file

MOST_IMAGES = 256
"""Images in one call of ``inspect_batch``; more belong into several calls."""


class Api:
    """The endpoints; `publish` adds them to the Blocks under construction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def publish(self) -> None:
        """Add the endpoints, each by its method's name; calls that wait for the network share a pass."""
        for endpoint in (self.inspect, self.inspect_batch):
            api(endpoint, api_name=endpoint.__name__, concurrency_id="inspect for programs", concurrency_limit=BATCH)
        # Pictures of large photos take seconds of a core and a gigabyte: more at once would keep everybody else waiting.
        api(self.inspect_pictures, api_name="inspect_pictures", concurrency_limit=1)
        api(self.models, api_name="models", concurrency_limit=None)

    def inspect(self, image: gr.FileData, model: str) -> dict[str, Any]:
        """Inspect an image file with a model; returns verdict, score, boundary, errors and regions.

        Args:
            image: An uploaded image file: JPEG, PNG, WebP, BMP, TIFF, GIF or DICOM.
            model: Name of the model, as /models lists it.
        """
        with _told():
            return handlers.report(self.engine, _name(model), _file(image))

    def inspect_pictures(
        self, image: gr.FileData, model: str, boundary: float | None = None, pixel_threshold: float | None = None
    ) -> dict[str, Any]:
        """Inspect an image file as /inspect does, at thresholds of one's own; returns overlay, mask, map and reconstruction, too.

        Args:
            image: An uploaded image file: JPEG, PNG, WebP, BMP, TIFF, GIF or DICOM.
            model: Name of the model, as /models lists it.
            boundary: Images that score above it are anomalous; null for the boundary in use.
            pixel_threshold: Where the map lies above it is the mask, in standard deviations of normal images; null for the one in use.
        """
        with _told():
            thresholds = {"boundary": _number(boundary, "boundary"), "pixel_threshold": _number(pixel_threshold, "pixel_threshold")}
            return handlers.illustrated_report(self.engine, _name(model), _file(image), **thresholds)

    def inspect_batch(self, images: list[gr.FileData], model: str) -> list[dict[str, Any]]:
        """Inspect several image files with a model; returns one object per image, in their order: as /inspect does, or file and error.

        Args:
            images: Uploaded image files, 256 at most.
            model: Name of the model, as /models lists it.
        """
        if not isinstance(images, list):
            raise gr.Error("Send a list of uploaded files; one alone is a list of one.", print_exception=False)
        if len(images) > MOST_IMAGES:
            raise gr.Error(f"{len(images)} images in one call; {MOST_IMAGES} are allowed. Send them in parts.", print_exception=False)
        return [self._report_or_error(image, model) for image in images]

    def models(self) -> list[dict[str, Any]]:
        """List the models on the server: name, title, data, licence, limits, measured AUROC, and why one cannot be used."""
        return [asdict(entry) for entry in self.engine.models()]

    def _report_or_error(self, image: gr.FileData, model: str) -> dict[str, Any]:
        with _told():
            try:
                return handlers.report(self.engine, _name(model), _file(image))
            except ImageError as error:
                return {"file": Path(error.path).name, "error": error.reason}


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the engine become the caller's, in a sentence."""
    try:
        yield
    except ImageError as error:
        raise gr.Error(f"{Path(error.path).name}: {error.reason}.", print_exception=False) from error
    except PandaError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _file(image: Any) -> Path:
    """The file of a body that may be anything. Raises ImageError."""
    path = image.get("path") if isinstance(image, Mapping) else getattr(image, "path", None)
    if not isinstance(path, str):
        wanted = '{"path": PATH, "meta": {"_type": "gradio.FileData"}} with the PATH that /gradio_api/upload answered'
        raise ImageError("image", f"is not an uploaded file; send {wanted}")
    return uploaded_file(path)


def _name(model: Any) -> str:
    if not isinstance(model, str):
        raise ModelError("Give the name of a model, as /models lists it.")
    return model


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    with suppress(OverflowError):  # of integers that no float can hold
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    raise ConfigError(f"{name} is not a finite number; send one, or null for the one in use.")
