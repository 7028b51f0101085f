"""One measured run as a small JSON file: what was trained, on what, with which seed, and what came out.

A record lies at ``records/SYSTEM/DATASET-CATEGORY-SIZE-seedK.json`` under the results folder (``DATASET-SIZE-seedK`` where a data
set has no categories), and is complete without its neighbours: tables are made from whatever records there are.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from panda_core.durable import replace_text
from panda_core.errors import PandaError
from panda_core.strict import fits, nearest

RECORDS = "records"
"""Folder of the records within the results folder."""
SHARES = ("auroc", "auprc", "prevalence", "pixel_auroc", "aupro", "eer", "auprc_normal", "false_alarm_rate", "miss_rate")
INTERVALS = ("auroc_ci", "auprc_ci", "auprc_normal_ci")


class RecordError(PandaError):
    """A record is damaged, of another form, or says something that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One detector on one data set with one seed; the test split was read once, after everything was chosen.

    Rates and areas lie in [0, 1]; anomalous is the positive class except where a name says otherwise.
    """

    system: str
    """Row of the tables, e.g. "panda-general"; also the name of the record's folder."""
    detector: str
    """What learned: a name of `panda_core.detectors`, "trivial", or the name of a foreign system."""
    preset: str
    """The preset it began with; "" for a foreign system."""
    dataset: str
    category: str
    """"" where the data set has no categories; the left-out class for leave-one-out sets."""
    seed: int
    size: int
    """Side in pixels of the square the system sees; 0 where it takes images as they are."""
    auroc: float
    auroc_ci: tuple[float, float]
    """95 %, bootstrap over test images (over groups of them where they are not independent); says nothing about seeds."""
    auprc: float
    """Average precision, anomalous being positive; guessing gives ``prevalence``."""
    prevalence: float
    """Share of anomalous test images."""
    pixel_auroc: float | None
    """Of the anomaly map; None where the set has no masks or the system no map."""
    aupro: float | None
    """Per-region overlap up to a pixel false-positive rate of 0.3; None as above."""
    rec_err: float | None
    """Mean reconstruction error of the test images, in the detector's own unit (of its residual map, where it reports no such error);
    None where it does not reconstruct."""
    adv_err: float | None
    """Mean adversarial error 1 - C(x) of the test images; None where the score holds no such error (but for anomalib's GANomaly)."""
    ms_per_image: float
    """Median, one image at a time, warm, from pixels to errors, on ``device``."""
    parameters: int
    """Numbers in the networks and statistics that inference needs."""
    train_seconds: float
    """From the scan of the folder to the calibrated model."""
    device: str
    """In words: kind, threads, processor."""
    data_fingerprint: str
    """SHA-256 over the images of the data set, as `panda_core.datasets` gives it."""
    version: str
    """Of this package."""

    auprc_ci: tuple[float, float] | None = None
    """As ``auroc_ci``."""
    auprc_normal: float | None = None
    """Average precision with *normal* as the positive class; guessing gives 1 - prevalence."""
    auprc_normal_ci: tuple[float, float] | None = None
    """As ``auroc_ci``."""
    eer: float | None = None
    """Equal error rate over frames; video only."""
    error_auroc: dict[str, float] = field(default_factory=dict)
    """AUROC of each error alone."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each error in the fused score."""
    boundary_kind: str = ""
    """Where the decision boundary came from."""
    false_alarm_rate: float | None = None
    miss_rate: float | None = None
    critic: dict[str, float] = field(default_factory=dict)
    """Health of the critic at the end: "logit_std" over held-out normal images, "L_C" over the last steps."""
    steps: int = 0
    """Training steps; 0 for a system that is fitted at once."""
    train_cpu_seconds: float = 0.0
    """What the cores spent on the training, which other work beside it does not change much; 0 in older records and without a network."""
    measure_seconds: float = 0.0
    """What it took to look at the test split, beside the training."""
    normal: int = 0
    """Normal test images."""
    anomalous: int = 0
    """Anomalous test images."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Configuration fields that differ from the preset, by dotted name."""
    configuration: str = ""
    """Digest of all settings that differ from their defaults (`plan.Job.digest`); "" in older records and for what learns no network."""
    reduced: str = ""
    """What was made smaller than the original experiment, in words; "" for nothing."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that make a score."""

    def __post_init__(self) -> None:
        """Raises RecordError on a wrong type, a number that is not finite, or a rate outside [0, 1]."""
        for name, hint in get_type_hints(Record).items():
            if not fits(getattr(self, name), hint):
                raise RecordError(f"Field '{name}' of a record is {getattr(self, name)!r}; expected {hint}.")
        wrong = [name for name in SHARES if not _is_share(getattr(self, name))]
        wrong += [name for name in INTERVALS if not _is_interval(getattr(self, name))]
        if wrong:
            raise RecordError(f"Field '{wrong[0]}' of a record is {getattr(self, wrong[0])!r}; it must lie in 0..1, low before high.")
        for name in ("system", "dataset"):
            if not getattr(self, name) or "/" in getattr(self, name):
                raise RecordError(f"Field '{name}' of a record is {getattr(self, name)!r}; it names a file and must be a plain name.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; ``from_dict`` gives back an equal record."""
        return json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Strict inverse of ``to_dict``. Raises RecordError on a missing, unknown or misshapen field."""
        known = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise RecordError(f"A record has no field '{name}'.{nearest(str(name), known)}")
        pairs = {name: tuple(values[name]) for name in INTERVALS if isinstance(values.get(name), list)}
        try:
            return cls(**{**values, **pairs})
        except TypeError as error:
            raise RecordError(f"A record is incomplete: {error}. Measure it again.") from error


def record_path(out: Path, *, system: str, dataset: str, category: str, size: int, seed: int) -> Path:
    """Where a record lies under the results folder ``out``."""
    parts = [dataset, category, str(size), f"seed{seed}"]
    return out / RECORDS / system / f"{'-'.join(part for part in parts if part)}.json"


def path_of(out: Path, record: Record) -> Path:
    """`record_path` of a record's own fields."""
    r = record
    return record_path(out, system=r.system, dataset=r.dataset, category=r.category, size=r.size, seed=r.seed)


def write_record(out: Path, record: Record) -> Path:
    """Put a record in its place, whole or not at all; returns the path."""
    path = path_of(out, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(record.to_dict(), indent=1, ensure_ascii=False) + "\n", durable=True)
    return path


def read_record(path: Path) -> Record:
    """One record. Raises RecordError that names the file on damage or another form."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read ({error}). Delete it and measure again.") from error
    if not isinstance(values, dict):
        raise RecordError(f"{path} is not a record. Delete it and measure again.")
    try:
        return Record.from_dict(values)
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error


def read_records(out: Path) -> tuple[Record, ...]:
    """All records under the results folder, by path. Raises RecordError on a damaged one, or one that lies in another's place."""
    return tuple(_read_all(out))


def _read_all(out: Path) -> Iterator[Record]:
    for path in sorted((out / RECORDS).glob("*/*.json")):
        record = read_record(path)
        if path_of(out, record) != path:
            raise RecordError(f"{path} holds the record that belongs at {path_of(out, record)}. Rename it, or measure again.")
        yield record


def _is_share(value: float | None) -> bool:
    return value is None or 0.0 <= value <= 1.0


def _is_interval(pair: tuple[float, float] | None) -> bool:
    return pair is None or (0.0 <= pair[0] <= pair[1] <= 1.0 and all(map(math.isfinite, pair)))
