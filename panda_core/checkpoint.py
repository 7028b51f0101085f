"""Model folder <-> Model: `model.safetensors` (arrays) and `card.json` (everything else). Never pickle, never code.

detector.*              the detector's inference state
percept.*               perceptual evidence, where the model has it
calibration.*           maps (mean, std) and calibration scores
images.*                which images it was made of (`origins`)
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from panda_core.card import CARD_FILE, LARGEST_TENSORS, TENSOR_FILE, Card, read_card
from panda_core.config import Config, Fusion
from panda_core.detectors import Detector, build_detector
from panda_core.durable import swap_folder
from panda_core.errors import ModelError, PandaError
from panda_core.inspection import Boundary, BoundaryKind, Calibration, ErrorStats, MapStats
from panda_core.origins import PREFIX as IMAGES
from panda_core.origins import UNKNOWN, Origins
from panda_core.percept import PerceptualEvidence

HALF_LIMIT = 60000.0
"""fp16 overflows at 65504; larger tensors stay fp32."""
PREFIXES = ("detector.", "percept.", "calibration.", IMAGES)


class DetectorModule(Detector, Protocol):
    """A detector that is also an nn.Module (as all are)."""

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """nn.Module.to."""

    def eval(self) -> Any:
        """nn.Module.eval."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """nn.Module.parameters."""

    def buffers(self) -> Iterator[Tensor]:
        """nn.Module.buffers."""


@dataclass
class Model:
    """A detector with all that gives its numbers a meaning."""

    name: str
    config: Config
    detector: DetectorModule
    percept: PerceptualEvidence | None
    calibration: Calibration | None
    card: Card
    images: Origins = UNKNOWN


def save_model(folder: Path, model: Model, *, half: bool = False) -> None:
    """Write the folder aside, then rename: a reader sees the old model or the new one, never half of one.

    Where the system cannot exchange two folders in one step (other than Linux; some network file systems), a model that is replaced is
    gone for an instant; killed in it, the old one is found in ``.NAME.old.*`` beside its place.

    ``half`` stores the networks' floating-point tensors as fp16, which halves the file; calibration stays exact.
    Raises ModelError where the place is taken by anything but a model; with that, all that lies in its folder is replaced.
    """
    folder = Path(folder)
    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Plain mkdir and write_bytes: tempfile and safetensors' save_file make things only their owner can read.
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        tensors = {f"detector.{name}": value for name, value in model.detector.inference_state().items()}
        if model.percept is not None:
            tensors |= {f"percept.{name}": value for name, value in model.percept.state_dict().items()}
        if half:
            tensors = {name: _halved(value) for name, value in tensors.items()}
        numbers: dict[str, Any] = {}
        if model.calibration is not None:
            arrays, numbers = _pack_calibration(model.calibration)
            tensors |= arrays
        tensors |= {name: torch.from_numpy(array) for name, array in model.images.to_arrays().items()}
        content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
        (temporary / TENSOR_FILE).write_bytes(content)
        point = model.calibration.operating_point if model.calibration else None
        card = replace(model.card, calibration=numbers, sha256=_digest(content), operating_point=point)
        (temporary / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
        for name in (TENSOR_FILE, CARD_FILE):
            with (temporary / name).open("rb+") as file:
                os.fsync(file.fileno())
        swap_folder(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def check_place(folder: Path) -> None:
    """Raises ModelError where a file, or a folder that holds other things and no model, would be deleted by a model in its place."""
    if folder.is_symlink() or not folder.exists() or all((folder / name).is_file() for name in (CARD_FILE, TENSOR_FILE)):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        held = "is not empty" if folder.is_dir() else "is a file"
        raise ModelError(f"{folder} {held} and no model; a model in its place would delete it. Move it, or choose another folder.")


def load_model(folder: Path, *, device: torch.device | str = "cpu") -> Model:
    """Read and verify a model folder. Raises ModelError with what to do on any damage, foreign content or other version."""
    folder = Path(folder)
    card, content = read_card(folder), _read_tensors(folder)
    if _digest(content) != card.sha256:  # once more: another program may have replaced the model between the two files
        card, content = read_card(folder), _read_tensors(folder)
    path = folder / TENSOR_FILE
    if _digest(content) != card.sha256:
        raise ModelError(f"{path} is not the file its card describes (damaged, truncated or changed). Copy the whole model folder again.")
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is not a safetensors file. Copy the whole model folder again.") from error
    try:
        return _assemble(card, tensors, device)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    except (PandaError, RuntimeError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}: the card and the tensors do not belong together ({error}). Copy the model again.") from error


def _read_tensors(folder: Path) -> bytes:
    path = folder / TENSOR_FILE
    if not path.is_file():
        raise ModelError(f"{path} is missing. Copy the whole model folder again.")
    try:
        if path.stat().st_size > LARGEST_TENSORS:
            raise ModelError(f"{path} is too large to be a model of ours. Copy the whole model folder again.")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}). Check its permissions, or copy the model again.") from error


def _assemble(card: Card, tensors: Mapping[str, Tensor], device: torch.device | str) -> Model:
    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    foreign = sorted(name for name in tensors if not name.startswith(PREFIXES))
    if foreign:
        raise ModelError(
            f"the card and the tensors do not belong together: unknown tensor '{foreign[0]}'. Copy the whole model folder again."
        )
    try:
        _check_sizes(card.config, tensors)
        detector = build_detector(card.config, pretrained=False)
        detector.load_inference_state({name: _restored(value) for name, value in part("detector.").items()})
    except ModelError as error:
        raise ModelError(f"{error} Copy the whole model folder again.") from error
    percept = None
    if card.config.percept.enabled:
        percept = PerceptualEvidence(card.config.percept, pretrained=False)
        percept.load_state_dict({name: _restored(value) for name, value in part("percept.").items()})
        percept = percept.to(device).eval()
    calibration = None
    if card.calibration or part("calibration."):
        calibration = replace(_unpack_calibration(card.calibration, part("calibration.")), operating_point=card.operating_point)
        _check_calibration(calibration, card.config, {*detector.error_names, *(percept.error_names if percept else ())})
    detector.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    images = Origins.from_arrays({name: value.numpy() for name, value in tensors.items() if name.startswith(IMAGES)})
    return Model(card.name, card.config, cast(DetectorModule, detector), percept, calibration, card, images)


def _check_sizes(config: Config, tensors: Mapping[str, Tensor]) -> None:
    """Networks without memory tell the sizes the configuration asks for: a wrong card must not fill the machine."""
    with torch.device("meta"):
        wanted = {f"detector.{name}": value for name, value in build_detector(config, pretrained=False).inference_state().items()}
        if config.percept.enabled:
            percept = PerceptualEvidence(config.percept, pretrained=False)
            wanted |= {f"percept.{name}": value for name, value in percept.state_dict().items()}
    missing = wanted.keys() - tensors.keys()
    if missing:
        raise ModelError(f"the card and the tensors do not belong together: {len(missing)} tensors are missing (e.g. {min(missing)}).")
    wrong = [name for name in wanted if wanted[name].shape != tensors[name].shape]
    if wrong:
        raise ModelError(f"the card and the tensors do not belong together: {len(wrong)} tensors have another shape (e.g. {min(wrong)}).")


NUMBERS = ("fusion", "lo", "hi", "pixel_threshold", "smoothing", "count", "fingerprint")
"""Of a calibration, kept in the card as they are."""


def _pack_calibration(calibration: Calibration) -> tuple[dict[str, Tensor], dict[str, Any]]:
    arrays = {
        "calibration.normal_scores": torch.from_numpy(calibration.normal_scores.copy()),
        "calibration.anomalous_scores": torch.from_numpy(calibration.anomalous_scores.copy()),
    }
    for name, stats in calibration.maps.items():
        arrays[f"calibration.maps.{name}.mean"] = torch.from_numpy(stats.mean.copy())
        arrays[f"calibration.maps.{name}.std"] = torch.from_numpy(stats.std.copy())
    numbers = {
        "errors": {name: asdict(stats) for name, stats in calibration.errors.items()},
        "maps": {name: stats.weight for name, stats in calibration.maps.items()},
        "boundary": asdict(calibration.boundary),
        **{key: getattr(calibration, key) for key in (*NUMBERS, "source")},
    }
    return arrays, numbers


def _unpack_calibration(numbers: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> Calibration:
    def array(name: str) -> np.ndarray:
        values = arrays[name].numpy().copy()
        if not np.isfinite(values).all():
            raise ModelError(f"calibration array '{name}' holds values that are not finite. Calibrate the model again.")
        return values

    maps = {
        name: MapStats(array(f"maps.{name}.mean").astype(np.float32), array(f"maps.{name}.std").astype(np.float32), float(weight))
        for name, weight in numbers["maps"].items()
    }
    calibration = Calibration(
        errors={name: ErrorStats(**stats) for name, stats in numbers["errors"].items()},
        boundary=Boundary(**numbers["boundary"]),
        maps=maps,
        normal_scores=array("normal_scores").astype(np.float64),
        anomalous_scores=array("anomalous_scores").astype(np.float64),
        source=numbers.get("source", ""),  # not in cards from before 27 November 2026
        **{key: numbers[key] for key in NUMBERS},
    )
    unknown = arrays.keys() - _pack_names(calibration)
    if unknown:
        raise ModelError(f"unknown tensor 'calibration.{min(unknown)}'. Copy the whole model folder again.")
    return calibration


def _pack_names(calibration: Calibration) -> set[str]:
    return {"normal_scores", "anomalous_scores"} | {f"maps.{name}.{part}" for name in calibration.maps for part in ("mean", "std")}


def _check_calibration(calibration: Calibration, config: Config, known: set[str]) -> None:
    """Raises ModelError on a number that would make scores or maps meaningless."""
    c, side = calibration, config.data.size
    weights = [s.weight for s in c.errors.values()] + [m.weight for m in c.maps.values()]
    numbers = [value for s in c.errors.values() for value in (s.mu, s.sigma)] + weights
    numbers += [c.lo, c.hi, c.pixel_threshold, c.smoothing, c.boundary.value]
    unknown = sorted(c.errors.keys() - known)
    problems = {
        "a calibrated number is not finite": not all(map(math.isfinite, numbers)),
        "a calibrated spread is not positive": any(s.sigma <= 0 for s in c.errors.values())
        or any((m.std <= 0).any() for m in c.maps.values()),
        "a calibrated weight is negative": any(weight < 0 for weight in weights),
        f"calibrated errors the model does not measure: {unknown}": bool(unknown),
        f"calibrated maps (residual, percept) are not {side} x {side}": not c.maps
        or any(array.shape != (side, side) for m in c.maps.values() for array in (m.mean, m.std)),
        "the calibration's fusion or boundary is of an unknown kind": c.fusion not in get_args(Fusion)
        or c.boundary.kind not in get_args(BoundaryKind),
        "no calibrated map has a weight": not sum(part.weight for part in c.maps.values()),
        "the calibration holds no normal scores": c.normal_scores.ndim != 1 or not c.normal_scores.size or c.anomalous_scores.ndim != 1,
        "a rate of the boundary is not a share": not all(map(_is_share, (c.boundary.false_alarm_rate, c.boundary.miss_rate))),
        "the calibration's range, smoothing, count, fingerprint, source or reason is not valid": not c.errors
        or c.hi <= c.lo
        or not 0 <= c.smoothing <= side
        or not isinstance(c.count, int)
        or not isinstance(c.fingerprint, str)
        or c.source not in ("", "labelled", "synthetic")
        or not isinstance(c.boundary.reason, str),
    }
    for problem, found in problems.items():
        if found:
            raise ModelError(f"{problem}. Calibrate the model again.")


def _is_share(rate: object) -> bool:
    return rate is None or (isinstance(rate, int | float) and 0 <= rate <= 1)


def _halved(value: Tensor) -> Tensor:
    fits = value.dtype == torch.float32 and bool(value.abs().max() < HALF_LIMIT if value.numel() else True)
    return value.half() if fits else value


def _restored(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
