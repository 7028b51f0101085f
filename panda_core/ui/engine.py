"""What the page needs of the machinery behind it: a list of models and one verb, inspect.

The page is built against `Engine`; `LocalEngine` answers it in this process and imports torch only when warmed.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from panda_core.card import CARD_FILE, find_listed, find_model, known_as, list_models, model_stamp, read_card
from panda_core.card_changes import save_operating_point
from panda_core.data.depth import Stretch, stretch_for
from panda_core.data.images import pixels_of
from panda_core.errors import ImageError, ModelError, PandaError
from panda_core.inspection import Inspection, OperatingPoint
from panda_core.origins import Origins, read_origins
from panda_core.own_models import default_model
from panda_core.roi import RegionOfInterest, load_roi
from panda_core.ui.together import Together

if TYPE_CHECKING:
    from panda_core.inspector import Inspector

log = logging.getLogger(__name__)
NO_MODEL = "There is no model yet, so nothing can be judged. Train one in the tab Train, or import one in the tab Models."
BATCH = 8
"""Images the network sees at once, at most."""
MOST_LOADED = 6
"""Models in memory; the one not asked for longest makes room."""
BATCH_PIXELS = 50_000_000
"""Images of more pixels than this together are not seen at once: with its maps, a pixel takes some twenty bytes."""


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

    def stretch(self, model: str) -> Stretch:
        """What the model makes of values of more than 8 bits. Raises ModelError."""

    def origins(self, model: str) -> Origins:
        """Which images the model was made of. Raises ModelError."""

    def inspect(self, model: str, path: Path) -> Inspection:
        """Inspect the image file with the named model. Raises ImageError, ModelError."""

    def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Inspection | ImageError]:
        """Inspect files in their order; an ImageError stands in the place of a file that cannot be read. Raises ModelError.

        In between, single images of others are inspected, too.
        """

    def save_operating_point(self, model: str, *, boundary: float, pixel_threshold: float, who: str, why: str) -> None:
        """Judge by these thresholds from now on, also after a restart; ``who`` and ``why`` go into the card. Raises ModelError."""

    def clear_operating_point(self, model: str) -> None:
        """Judge by the model's own thresholds again. Raises ModelError."""

    def forget(self, model: str) -> None:
        """The model of this name is another one now, or gone: load it anew when it is next asked for."""


class LocalEngine:
    """The engine in this process. One Inspector per model, loaded on first use; networks run one at a time, on all images that wait."""

    def __init__(self, *, device: str = "auto", model: str | None = None) -> None:
        """``device`` as `Inspector.load` takes it; ``model``: name or folder of the model to list first. Raises ModelError without it."""
        self._device = device
        self._preferred = find_model(model) if model else None
        self._inspectors: OrderedDict[str, Inspector] = OrderedDict()
        self._stamps: dict[str, tuple[int, ...]] = {}
        # Networks run in one thread: with a thread for each caller, torch keeps processors busy for each of them, and five people wait
        # a third longer. It also keeps the order of asking.
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._ready = threading.Event()
        self._together = Together(self._network, self._at_once, lambda paths: next(_groups(paths)))

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
                importlib.import_module("panda_core.inspector")  # not in the network's thread: whoever closes the app would wait for it
                self._network.submit(lambda: self._inspector(usable[0]).inspect(np.zeros((64, 64, 3), np.uint8))).result()
        except PandaError:
            log.warning("The first model could not be loaded; the page says why when it is used.")
        finally:
            self._ready.set()

    def models(self) -> tuple[ModelEntry, ...]:
        """The preferred model, then those `card.list_models` finds; damaged ones carry their problem."""
        return tuple(read_entry(name, folder) for name, folder in self._folders().items())

    def inspect(self, model: str, path: Path) -> Inspection:
        """Inspect the image file with the named model, within its region of interest. Raises ImageError, ModelError, RoiError."""
        roi = load_roi(model)
        if roi is None:
            return self._together.inspect(model, path)
        return self._network.submit(lambda: self._inspector(model).inspect_within(path, roi)).result()

    def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Inspection | ImageError]:
        """Inspect files in batches; whoever waits for the network gets it after the present one. Raises ModelError.

        A batch is inspected while the caller works on the results of the one before it.
        """
        roi = load_roi(model)
        found: Future[list[Inspection | ImageError]] | None = None
        following: Future[list[Inspection | ImageError]] | None = None
        try:
            for group in _groups(paths):
                following = self._network.submit(self._at_once, model, group, roi)
                if found is not None:
                    yield from found.result()
                found = following
            if found is not None:
                yield from found.result()
        finally:
            if following is not None:
                following.cancel()

    def _at_once(self, model: str, group: Sequence[Path], roi: RegionOfInterest | None = None) -> list[Inspection | ImageError]:
        return list(self._inspector(model).inspect_many(group, batch=BATCH, roi=roi))

    def save_operating_point(self, model: str, *, boundary: float, pixel_threshold: float, who: str, why: str) -> None:
        """Write the thresholds into the model's card and let the next image meet them. Raises ModelError, ConfigError."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        self._set_point(model, OperatingPoint(boundary=boundary, pixel_threshold=pixel_threshold, who=who, why=why, when=when))

    def clear_operating_point(self, model: str) -> None:
        """Take the thresholds out of the model's card again. Raises ModelError."""
        self._set_point(model, None)

    def stretch(self, model: str) -> Stretch:
        """As its card says."""
        return stretch_for(read_card(self._folder(model)).config.data)

    def origins(self, model: str) -> Origins:
        """As its tensor file says."""
        return read_origins(self._folder(model))

    def forget(self, model: str) -> None:
        """Load the model of this name anew when it is next asked for; returns at once."""
        # In the network's thread, which may just be loading or using it. Whoever forgets does not wait for torch.
        self._network.submit(self._inspectors.pop, model, None)

    def _set_point(self, model: str, point: OperatingPoint | None) -> None:
        self._network.submit(self._write_point, model, point).result()

    def _write_point(self, model: str, point: OperatingPoint | None) -> None:
        save_operating_point(self._folder(model), point)
        # The loaded model holds the old card; the next image loads it anew.
        self._inspectors.pop(model, None)

    def _folders(self) -> dict[str, Path]:
        found = {folder.name: folder for folder in list_models()}
        if self._preferred is None or not (self._preferred / CARD_FILE).is_file():  # renamed or deleted meanwhile
            first = default_model()
            return {first: found[first], **found} if first else found
        return {known_as(self._preferred): self._preferred, **found}

    def _folder(self, model: str) -> Path:
        """Of a model that the page lists. Others are not opened: whoever reaches the page may not have any folder of this machine read."""
        return self._folders().get(model) or find_listed(model)

    def _inspector(self, model: str) -> Inspector:
        stamp = model_stamp(self._folder(model))
        if model not in self._inspectors or stamp != self._stamps[model]:  # a command or another program may have changed it
            # torch comes in here, seconds after the page is up
            from panda_core.inspector import Inspector

            loaded = Inspector.load(self._folder(model), device=self._device)
            loaded.model.name = model  # what it is asked for by: its folder may have another name than its card
            self._inspectors[model], self._stamps[model] = loaded, stamp
            while len(self._inspectors) > MOST_LOADED:
                self._inspectors.popitem(last=False)
        self._inspectors.move_to_end(model)
        return self._inspectors[model]


def _groups(paths: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    total = 0
    for path in paths:
        size = pixels_of(path)
        if group and (len(group) == BATCH or total + size > BATCH_PIXELS):
            yield group
            group, total = [], 0
        group.append(path)
        total += size
    if group:
        yield group


def read_entry(name: str, folder: Path) -> ModelEntry:
    """What the page says of the model in ``folder``; a card that cannot be read becomes the entry's problem."""
    try:
        card = read_card(folder)
    except ModelError as error:
        return ModelEntry(name, f"{name} (damaged)", problem=str(error))
    problem = (
        ""
        if card.calibration
        else f"It is not calibrated, so it has no boundary. Run: panda calibrate FOLDER --model {name} --out NEW_FOLDER"
    )
    return ModelEntry(
        name=name,
        title=card.title,
        data=f"{card.data.description}; {card.data.train:,} images, {card.data.validation:,} more held out to calibrate",
        licence=card.data.licence,
        limits=card.limits,
        measurements=tuple(Measurement(m.data, m.auroc, *m.auroc_ci, m.trivial_auroc) for m in card.metrics),
        problem=problem,
    )
