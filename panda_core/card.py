"""The card of a model (card.json): what it is, what it was made from, how well it works, where it must not be trusted.

Reading a card needs neither torch nor the weights, so lists of models are instant.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from panda_core.config import Config
from panda_core.errors import ConfigError, ModelError
from panda_core.inspection import Calibration, OperatingPoint
from panda_core.places import NO_MODELS, home
from panda_core.points import load_point, point_files
from panda_core.presets import tuned
from panda_core.strict import assemble, listed

FORMAT = 1
CARD_FILE = "card.json"
TENSOR_FILE = "model.safetensors"
SHIPPED = Path(__file__).resolve().parent.parent / "weights"
WEIGHTS = "Its score weighs "
"""Beginning of a limit that is true of one calibration only."""
LONGEST_NAME = 60
_FORBIDDEN = frozenset('/\\:*?"<>|\0')
_UNFIT = "The card does not fit this version of PANDA Inspector: {}. Copy or export the model again."
LARGEST_CARD = 4_000_000
"""Bytes; a longer card.json is not ours."""
LARGEST_TENSORS = 4_000_000_000
"""Bytes; a longer tensor file is not ours, and is not read into memory to find out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """What a model was trained and calibrated on."""

    description: str
    licence: str
    sources: tuple[str, ...] = ()
    train: int = 0
    """Normal images trained on."""
    validation: int = 0
    """Normal images held out for validation and calibration."""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured result, good or bad."""

    data: str
    """Test set, e.g. "plantvillage/apple test"."""
    auroc: float
    auroc_ci: tuple[float, float]
    """95 % confidence interval."""
    normal: int
    anomalous: int
    trivial_auroc: float | None = None
    """AUROC of the trivial baseline (Mahalanobis distance of colour statistics) on the same images."""
    pixel_auroc: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All words and numbers of a model; the tensors lie beside it."""

    name: str
    title: str
    created: str
    """ISO 8601, UTC."""
    config: Config
    data: DataCard
    versions: dict[str, str]
    metrics: tuple[Metric, ...] = ()
    limits: tuple[str, ...] = ()
    """Sentences: what the model cannot do."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """Numbers of the Calibration; its arrays are in the tensor file."""
    sha256: str = ""
    """Of the tensor file."""
    operating_point: OperatingPoint | None = None
    """Thresholds set by a person; None: the calibration's own."""
    parent: str = ""
    """Name of the model it was fine-tuned from; "" for one that was trained from scratch."""
    format: int = FORMAT

    def recalibrated(self, name: str, config: Config, calibration: Calibration) -> Card:
        """That of a copy of this name with a calibration of its own: what was said of the old numbers is not said of it."""
        normal = calibration.count
        anomalous = calibration.anomalous_scores.size if calibration.source == "labelled" else 0
        shown = f"{normal} normal{f' and {anomalous} anomalous' if anomalous else ''}"
        limits = [limit for limit in self.limits if not limit.startswith(WEIGHTS)]
        return dataclasses.replace(
            self,
            name=name,
            title=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            config=config,
            data=dataclasses.replace(self.data, validation=normal),
            metrics=(),
            limits=(*limits, f"A copy of “{self.name}”, calibrated on {shown} images that a person chose; nothing was measured since."),
            operating_point=None,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; ``from_dict`` gives back an equal card."""
        return json.loads(json.dumps(dataclasses.asdict(self)))  # type: ignore[no-any-return]

    def to_json(self) -> str:
        """As the file of the card holds it. Raises ValueError on a number that is not finite."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Card:
        """Strict inverse of ``to_dict``. Raises ModelError on another format version or a missing, unknown or misshapen field."""
        written = values.get("format")
        if type(written) is not int or written != FORMAT:
            raise ModelError(
                f"The card has format {written!r}; this version reads {FORMAT}. Update PANDA Inspector or export the model again."
            )
        try:
            data = values["data"]
            parts: dict[str, Any] = {
                "config": Config.from_dict(values["config"]),
                "data": assemble(DataCard, {**data, "sources": listed(data.get("sources", []))}, "data"),
                "metrics": tuple(assemble(Metric, {**m, "auroc_ci": listed(m["auroc_ci"])}, "metrics") for m in listed(values["metrics"])),
                "limits": listed(values["limits"]),
            }
            point = values.get("operating_point")
            parts["operating_point"] = None if point is None else assemble(OperatingPoint, point, "operating_point")
            return assemble(cls, {**values, **parts}, "card")
        except KeyError as error:
            raise ModelError(_UNFIT.format(f"{error} is missing")) from error
        except ConfigError as error:
            raise ModelError(_UNFIT.format(str(error).rstrip("."))) from error
        except (TypeError, AttributeError, OverflowError) as error:
            raise ModelError(_UNFIT.format("a part of it is not of the kind it should be")) from error


def versions() -> dict[str, str]:
    """Versions of what makes a score: this package, torch, timm and Python."""
    found = {"python": platform.python_version()}
    for package in ("panda-inspector", "torch", "timm"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def read_card(folder: Path) -> Card:
    """The card of a model folder, with the operating point that holds on this machine.

    Raises ModelError with what to do when it is missing or damaged.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        raise ModelError(f"{folder} is not a model folder: {CARD_FILE} is missing. Copy the whole folder again, or train a model.")
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise ModelError(f"{path} is too large to be a model card. Copy the model again.")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}). Look at its permissions, or copy the model again.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged and cannot be read. Copy the model again.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} is not a model card. Copy the model again.")
    try:
        card = Card.from_dict(values)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    decided = load_point(folder.name, card.sha256) if is_left_alone(folder) else None
    return card if decided is None else dataclasses.replace(card, operating_point=decided.operating_point)


def tuned_from(folder: Path) -> Config:
    """The configuration of a fine-tuning of the model in ``folder``. Raises ModelError."""
    card = read_card(folder)
    return tuned(card.config, again=bool(card.parent))


def model_stamp(folder: Path) -> tuple[int, ...]:
    """Another one once the model in ``folder``, or what was decided for it on this machine, is another: times of the files, ns."""
    files = [folder / CARD_FILE, folder / TENSOR_FILE, *point_files(folder.name)]
    return tuple(path.stat().st_mtime_ns for path in files if path.is_file())


def model_places() -> list[Path]:
    """Folders searched for models: $PANDA_MODELS, the shipped weights/, and models/ in `places.home`."""
    own = os.environ.get("PANDA_MODELS")
    return ([Path(own)] if own else []) + [SHIPPED, home() / "models"]


def is_left_alone(folder: Path) -> bool:
    """Whether it lies where models of the list do, but not among a person's own: what is decided for it is kept elsewhere (`points`)."""
    return folder.resolve().parent in {place.resolve() for place in model_places()[:-1]}


def list_models() -> list[Path]:
    """Model folders of this machine, by name; where two share a name, the first place wins."""
    found: dict[str, Path] = {}
    for place in model_places():
        if place.is_dir():
            for folder in sorted(place.iterdir()):
                # A name with a leading dot is a model that is just being written, or was when its process died.
                if not folder.name.startswith(".") and (folder / CARD_FILE).is_file():
                    found.setdefault(folder.name, folder)
    return [found[name] for name in sorted(found)]


def usable_name(name: str) -> str:
    """A name that a model can have, taken or not, without spaces around it. Raises ModelError where no folder can be called so."""
    name = name.strip()
    if not name:
        raise ModelError(f"The model needs a name: up to {LONGEST_NAME} letters, digits, spaces, dots or dashes, no dot first.")
    if name.startswith(".") or len(name) > LONGEST_NAME or set(name) & _FORBIDDEN or not name.isprintable():
        raise ModelError(f"“{name}” is no usable name. Take up to {LONGEST_NAME} letters, digits, spaces, dots or dashes, no dot first.")
    return name


def nameable(name: str, *, otherwise: str) -> str:
    """The name as far as `usable_name` takes it: a run may be called what no folder can be; ``otherwise`` where nothing is left."""
    plain = "".join("-" if letter in _FORBIDDEN or not letter.isprintable() else letter for letter in name)
    return plain.lstrip(". ")[:LONGEST_NAME].strip() or otherwise


def find_listed(name: str) -> Path:
    """The folder of a model of the list. Raises ModelError that lists the known names."""
    known = {folder.name: folder for folder in list_models()}
    if name in known:
        return known[name]
    there = f"Models on this machine: {', '.join(known)}." if known else NO_MODELS
    raise ModelError(f"No model '{name}'. {there}")


def known_as(folder: Path) -> str:
    """What the app calls the model of a folder: its name where it is one of the list, else the whole path."""
    listed = (model.name for model in list_models() if model.resolve() == folder.resolve())
    return next(listed, str(folder.absolute()))


def find_model(name_or_path: str | Path) -> Path:
    """A model folder by name or, where the list has none of this name, by path. Raises ModelError that lists the known names."""
    path = Path(name_or_path)
    try:
        return find_listed(str(name_or_path))
    except ModelError:
        if path.suffix.lower() == ".zip" and path.is_file():
            raise ModelError(f"{path} is a file. If it is an exported model, add it first: panda models import {path}") from None
        if name_or_path == "" or not path.is_dir():  # "" as a path would be the folder we are in
            raise
    if not (path / CARD_FILE).is_file():
        if (path / "model" / CARD_FILE).is_file():  # the folder of a training
            raise ModelError(f"{path} is not a model folder. Did you mean {path / 'model'}?")
        read_card(path)  # says what the folder lacks
    return path
