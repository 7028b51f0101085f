"""What the page needs of the machinery behind it: a list of models and one verb, inspect.

The page is built against `Engine`; `LocalEngine` answers it in this process and imports torch only when warmed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from panda_core.errors import ModelError, PandaError
from panda_core.inspection import Inspection

if TYPE_CHECKING:
    from panda_core.inspector import Inspector


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
        """``device`` as `Inspector.load` takes it; ``model``: name or folder of the model to prefer (it is listed first)."""
        self._device = device
        self._preferred = model
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
        """Import torch and load the first usable model. A model that fails here fails again, with its reason, when asked for."""
        usable = [entry.name for entry in self.models() if not entry.problem]
        try:
            if usable:
                with self._lock:
                    self._inspector(usable[0])
        except PandaError:
            pass
        finally:
            self._ready.set()

    def models(self) -> tuple[ModelEntry, ...]:
        """Models found by `checkpoint.list_models`, the preferred one first; damaged ones carry their problem."""
        from panda_core.checkpoint import list_models

        folders = {folder.name: folder for folder in list_models()}
        if self._preferred:
            folders = {self._preferred: Path(self._preferred), **folders} if Path(self._preferred).is_dir() else folders
        names = sorted(folders, key=lambda name: (name != self._preferred, name))
        return tuple(read_entry(name, folders[name]) for name in names)

    def inspect(self, model: str, path: Path) -> Inspection:
        """Inspect the image file with the named model. Raises ImageError, ModelError."""
        with self._lock:
            return self._inspector(model).inspect(path)

    def _inspector(self, model: str) -> Inspector:
        if model not in self._inspectors:
            # torch comes in here, seconds after the page is up
            from panda_core.inspector import Inspector

            self._inspectors[model] = Inspector.load(model, device=self._device)
        return self._inspectors[model]
