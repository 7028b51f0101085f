"""What the page needs of the machinery behind it: a list of models and one verb, inspect.

The page is built against `Engine`; `LocalEngine` answers it in this process and imports torch only when warmed.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from panda_core.card import find_model, list_models, read_card
from panda_core.errors import ModelError, PandaError
from panda_core.inspection import Inspection

if TYPE_CHECKING:
    from panda_core.inspector import Inspector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of "how well it works" in the model panel."""

    data: str
    """Test set, as named in the card."""
    auroc: float
    low: float | None
    """Lower end of the 95 % confidence interval; None where it was not measured."""
    high: float | None
    trivial: float | None
    """AUROC of the trivial baseline on the same images; None where it was not measured."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """What the page says of one model, without loading it."""

    name: str
    """Folder name, as the command line takes it."""
    title: str
    data: str = ""
    licence: str = ""
    limits: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    problem: str = ""
    """Why the model cannot be used, in a sentence; "" if it can."""


class Engine(Protocol):
    """Everything the page asks for."""

    @property
    def ready(self) -> bool:
        """Whether `inspect` would start at once."""

    @property
    def device(self) -> str:
        """Where the networks run, for people: "CPU", "GPU (cuda)"; "" until ready."""

    def warm(self) -> None:
        """Load what makes the first inspection slow; returns when ready. Harmless to repeat."""

    def models(self) -> tuple[ModelEntry, ...]:
        """The models on this machine, in the order to show them; empty without any."""

    def inspect(self, model: str, path: Path) -> Inspection:
        """Inspect the image file with the named model. Raises ImageError, ModelError."""


class LocalEngine:
    """The engine in this process. One Inspector per model, loaded on first use; networks run one at a time."""

    def __init__(self, *, device: str = "auto", model: str | None = None) -> None:
        """``device`` as `Inspector.load` takes it; ``model``: name or folder of the model to list first. Raises ModelError without it."""
        self._device = device
        self._preferred = find_model(model) if model else None
        self._inspectors: dict[str, Inspector] = {}
        self._lock = threading.Lock()
        self._ready = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether torch is imported and the first model loaded, or known to be unusable."""
        return self._ready.is_set()

    @property
    def device(self) -> str:
        """ "CPU", "GPU (cuda)" or "GPU (mps)"; "" until the first model is loaded."""
        names = {inspector.device.type for inspector in tuple(self._inspectors.values())}
        return ", ".join("CPU" if name == "cpu" else f"GPU ({name})" for name in sorted(names))

    def warm(self) -> None:
        """Import torch, load the first usable model and let it see one picture: the first is slow.

        A model that fails here fails again, with its reason, when asked for.
        """
        if self.ready:
            return
        usable = [entry.name for entry in self.models() if not entry.problem]
        try:
            if usable:
                with self._lock:
                    self._inspector(usable[0]).inspect(np.zeros((64, 64, 3), np.uint8))
        except PandaError:
            log.warning("The first model could not be loaded; the page says why when it is used.")
        finally:
            self._ready.set()

    def models(self) -> tuple[ModelEntry, ...]:
        """The preferred model, then those `card.list_models` finds; damaged ones carry their problem."""
        return tuple(read_entry(name, folder) for name, folder in self._folders().items())

    def inspect(self, model: str, path: Path) -> Inspection:
        """Inspect the image file with the named model. Raises ImageError, ModelError."""
        with self._lock:
            return self._inspector(model).inspect(path)

    def _folders(self) -> dict[str, Path]:
        found = {folder.name: folder for folder in list_models()}
        if self._preferred is None:
            return found
        first = next((name for name, folder in found.items() if folder.resolve() == self._preferred.resolve()), str(self._preferred))
        return {first: self._preferred, **found}

    def _inspector(self, model: str) -> Inspector:
        if model not in self._inspectors:
            # torch comes in here, seconds after the page is up
            from panda_core.inspector import Inspector

            folder = self._folders().get(model)
            self._inspectors[model] = Inspector.load(folder if folder else model, device=self._device)
        return self._inspectors[model]


def read_entry(name: str, folder: Path) -> ModelEntry:
    """What the page says of the model in ``folder``; a card that cannot be read becomes the entry's problem."""
    try:
        card = read_card(folder)
    except ModelError as error:
        return ModelEntry(name, f"{name} (damaged)", problem=str(error))
    problem = "" if card.calibration else f"It is not calibrated, so it has no boundary. Run: panda calibrate FOLDER --model {name}"
    return ModelEntry(
        name=name,
        title=card.title,
        data=f"{card.data.description}; {card.data.train:,} images, {card.data.validation:,} more held out to calibrate",
        licence=card.data.licence,
        limits=card.limits,
        measurements=tuple(Measurement(m.data, m.auroc, *m.auroc_ci, m.trivial_auroc) for m in card.metrics),
        problem=problem,
    )
