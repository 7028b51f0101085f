"""How long the open jobs will take, from what records of the same kind took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from panda_core.config import Config
from panda_core.reproduction.plan import Job
from panda_core.reproduction.record import Record
from panda_core.reproduction.systems import SYSTEMS, TRIVIAL


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of several jobs together."""

    seconds: float
    """Of one process, added up over the jobs that could be estimated."""
    known: int
    """Jobs that could be."""
    unknown: int
    """Jobs like which nothing was measured yet."""


def forecast(jobs: Iterable[Job], records: Sequence[Record]) -> Forecast:
    """The sum over the jobs; machines other than those of the records take longer or less."""
    found = [seconds_of(job, records) for job in jobs]
    known = [seconds for seconds in found if seconds is not None]
    return Forecast(sum(known), len(known), len(found) - len(known))


def seconds_of(job: Job, records: Sequence[Record]) -> float | None:
    """Seconds of one job, from the nearest records: of its system at its size, of its system, of its detector at its size.

    Training is scaled by the steps and by the pixels of an image. None where there is no such record.
    """
    system = SYSTEMS[job.system]
    if job.system == TRIVIAL:
        return _median([r.train_seconds for r in records if r.system == TRIVIAL])
    if not system.exists():
        return None
    config = job.config()
    tiers: tuple[Callable[[Record], bool], ...] = (
        lambda r: r.system == job.system and r.size == job.size,
        lambda r: r.system == job.system,
        lambda r: r.detector == config.detector and r.size == job.size,
        lambda r: r.detector == config.detector,
    )
    for near in tiers:
        alike = [record for record in records if record.system in SYSTEMS and record.steps and near(record)]
        if alike:
            return _median([_scaled(record, job, config) for record in alike])
    return None


def _scaled(record: Record, job: Job, config: Config) -> float:
    steps = config.train.warmup_steps + config.train.adversarial_steps
    return record.train_seconds * steps / record.steps * (job.size / record.size) ** 2 + record.measure_seconds


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
