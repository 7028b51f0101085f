"""A model as one ONNX file, for programs that do not have this package: written, run once beside the engine, then put in place."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from panda_core.card import find_model, known_as
from panda_core.checkpoint import Model, load_model
from panda_core.detectors.base import searches
from panda_core.durable import written_aside
from panda_core.errors import ModelError
from panda_core.inspection import Inspection, Picture
from panda_core.inspector import Inspector
from panda_core.portable.graph import Answer, PortableGraph
from panda_core.roi import has_roi
from panda_core.scoring.decision import boundary_in_use, threshold_in_use
from panda_core.scoring.fusion import fuse
from panda_core.scoring.maps import resize_map
from panda_core.version import installed_version

INPUT = "images"
KEY = "panda"
"""Name of the metadata entry that holds a JSON object."""
TOLERANCE = (0.03, 0.005)
"""Largest difference of an error from the engine's: in standard deviations of normal images, plus a share of the error."""
MAP_TOLERANCE = (0.25, 0.02)
"""Of the map: in standard deviations of normal images, plus a share of its largest value."""
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_MISSING = "An ONNX file is written with onnx, onnxscript and onnxruntime. Run: pip install -r requirements-onnx.txt"


@dataclass(frozen=True, slots=True)
class Deviation:
    """By how much the file's answers differ from the engine's in float32, at most, over the images they were compared on."""

    score: float
    anomaly_map: float
    """In standard deviations of normal images."""
    images: int
    region_ignored: bool
    """A region of interest was drawn for the model, and the file judges whole images all the same."""


def export_onnx(model: str | Path, file: str | Path) -> Deviation:
    """Write a calibrated model, by name or folder, as one ONNX file, which appears whole and only if it answers like the engine.

    Input ``images``: N x H x W x 3 uint8 RGB, N, H and W free. Outputs by name: the fields of `graph.Answer`. The metadata entry
    ``panda`` is a JSON object: model, title, version, size, errors, boundary, boundary_kind, boundary_reason, pixel_threshold,
    deep_range (null: each image's own), region_ignored, data, licence, limits. Not in it: a region of interest, and leaving out the
    mask's smallest regions.

    Raises ModelError: no such model, not calibrated, a detector that searches (AnoGAN), packages missing, another answer than the
    engine's, or a place that cannot be written.
    """
    _require_packages()
    file = Path(file)
    folder = find_model(model)
    loaded, ignored = load_model(folder), has_roi(known_as(folder))
    engine = Inspector(_in_float32(loaded))
    if searches(loaded.detector):
        raise ModelError(
            f"Model '{loaded.name}' looks for its answer anew for each image ({loaded.config.detector}), which no ONNX file can hold. "
            "Use another detector, or call it from Python or through the page's endpoints."
        )
    graph = PortableGraph(engine.model, engine.calibration).eval()
    try:
        with written_aside(file, durable=False) as temporary:
            _write(graph, describe(engine.model) | {"region_ignored": ignored}, temporary)
            score, anomaly_map, images = _compare(temporary, engine)
    except OSError as error:
        raise ModelError(f"{file} cannot be written ({error.strerror}). Choose another place, or make room.") from error
    return Deviation(score, anomaly_map, images, ignored)


def _require_packages() -> None:
    try:
        for name in _PACKAGES:
            import_module(name)
    except ImportError as error:
        raise ModelError(_MISSING) from error


def _in_float32(model: Model) -> Model:
    return replace(model, config=model.config.override(**{"train.precision": "fp32"}))


def describe(model: Model) -> dict[str, Any]:
    """The metadata entry of a calibrated model, but for ``region_ignored``; thresholds are those in use."""
    assert model.calibration is not None
    calibration, data, card = model.calibration, model.config.data, model.card
    boundary = boundary_in_use(calibration)
    return {
        "model": model.name,
        "title": card.title,
        "version": installed_version(),
        "size": data.size,
        "errors": list(calibration.errors),
        "boundary": boundary.value,
        "boundary_kind": boundary.kind,
        "boundary_reason": boundary.reason,
        "pixel_threshold": threshold_in_use(calibration),
        "deep_range": [data.deep_low, data.deep_high] if data.deep_high > data.deep_low else None,
        "data": card.data.description,
        "licence": card.data.licence,
        "limits": list(card.limits),
    }


def _write(graph: PortableGraph, metadata: dict[str, Any], path: Path) -> None:
    example = torch.zeros(2, 48, 40, 3, dtype=torch.uint8)  # any: sizes are variables of the graph, but for 1, which would be fixed
    sizes = {INPUT: {0: torch.export.Dim("n"), 1: torch.export.Dim("h"), 2: torch.export.Dim("w")}}
    with torch.no_grad(), _without_asides():
        graph(example)  # what is unpacked at the first look is a constant of the graph
        program = _converted(graph, example, sizes)
        program.model.metadata_props[KEY] = json.dumps(metadata)
        program.save(str(path), external_data=False)


def _converted(graph: PortableGraph, example: torch.Tensor, sizes: dict[str, Any]) -> torch.onnx.ONNXProgram:
    outputs = list(Answer._fields)
    try:
        program = torch.onnx.export(
            graph, (example,), dynamo=True, input_names=[INPUT], output_names=outputs, dynamic_shapes=sizes, verbose=False
        )
    except torch.onnx.errors.OnnxExporterError as error:
        kind, name = graph.model.config.detector, graph.model.name
        raise ModelError(
            f"Model '{name}' cannot be written as ONNX: its detector, {kind}, does something that ONNX has no word for. "
            "Call it from Python or through the page's endpoints."
        ) from error
    assert program is not None
    return program


@contextmanager
def _without_asides() -> Iterator[None]:
    """The exporter warns and logs, hundreds of lines at times, about its own insides; what it cannot do it raises."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _compare(path: Path, engine: Inspector) -> tuple[float, float, int]:
    """Largest differences of score and map, and on how many images. Raises ModelError where an answer is another than the engine's."""
    groups = list(_trial_images(engine.model.config.data.size))
    found = [
        _difference(Answer(*(output[index] for output in said)), engine.inspect(image), engine)
        for images, said in zip(groups, _answers(path, groups), strict=True)
        for index, image in enumerate(images)
    ]
    return max(score for score, _ in found), max(shown for _, shown in found), len(found)


def _difference(said: Answer, inspection: Inspection, engine: Inspector) -> tuple[float, float]:
    """Of the score and of the map of one image. Raises ModelError where any of the answer's fields is off; not-a-number is."""
    calibration, height, width = engine.calibration, *inspection.image.shape[:2]
    spreads = np.array([stats.sigma for stats in calibration.errors.values()])
    wanted = np.array([inspection.errors[name] for name in calibration.errors])
    told, score = np.asarray(said.errors, dtype=float), float(said.score)
    fused = float(fuse({name: told[[i]] for i, name in enumerate(calibration.errors)}, calibration.errors, calibration.fusion)[0])
    shown = np.abs(resize_map(np.asarray(said.anomaly_map), height, width) - inspection.anomaly_map).max()
    drawn = cv2.resize(np.asarray(said.reconstruction), (width, height), interpolation=cv2.INTER_LINEAR)
    rank = (1 + np.count_nonzero(calibration.normal_scores >= score)) / (1 + calibration.normal_scores.size)
    right = {
        "errors": bool(np.all(np.abs(told - wanted) <= TOLERANCE[0] * spreads + TOLERANCE[1] * np.abs(wanted))),
        "score": abs(score - fused) <= 1e-4 * (1 + abs(fused)),
        "p_value": abs(float(said.p_value) - rank) <= 1.01 / (1 + calibration.normal_scores.size),
        "anomaly_map": bool(shown <= MAP_TOLERANCE[0] + MAP_TOLERANCE[1] * np.abs(inspection.anomaly_map).max()),
        "reconstruction": int(np.abs(drawn.astype(int) - inspection.reconstruction).max()) <= 3,
    }
    if wrong := [name for name, fits in right.items() if not fits]:
        raise ModelError(
            f"The ONNX file of model '{engine.model.name}' has another {' and '.join(wrong)} than the engine (score {score:.4g} and "
            f"{inspection.score:.4g}). It was not kept. Please report this with the versions of torch, onnxscript and onnxruntime."
        )
    return abs(score - inspection.score), float(shown)


def _answers(path: Path, groups: Sequence[Sequence[Picture]]) -> list[list[Any]]:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return [session.run(list(Answer._fields), {INPUT: np.stack(images)}) for images in groups]
    except Exception as error:  # its own, without a common base
        raise ModelError(
            f"The ONNX file was written, but onnxruntime {onnxruntime.__version__} cannot run it ({error}). It was not kept. "
            "Please report this with the versions of torch and onnxscript."
        ) from error


def _trial_images(size: int) -> Iterator[list[Picture]]:
    """Smooth random pictures: one that is seen as it is, two that shrink, two that grow."""
    random = np.random.default_rng(0)
    for height, width, count in ((size, size, 1), (2 * size + 30, 3 * size, 2), (size // 2, size - 8, 2)):
        noise = [cv2.GaussianBlur(random.normal(0, 1, (height, width, 3)), (0, 0), 4) for _ in range(count)]
        yield [np.clip(128 + 60 * one / one.std(), 0, 255).astype(np.uint8) for one in noise]
