"""Jobs that failed, as small files beside the records: a failure is a result, too, and tables show it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from panda_core.durable import replace_text
from panda_core.reproduction.plan import Job
from panda_core.reproduction.record import RecordError
from panda_core.strict import fits

FAILED = "failed"
"""Folder of the failures within the results folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job gave no record, the last time it was tried."""

    system: str
    dataset: str
    category: str
    seed: int
    sentence: str


def write_failure(out: Path, job: Job, sentence: str) -> None:
    """Note the failure for every system the job gives a record of."""
    for system in job.systems:
        target = job.target
        failure = Failure(system=system.name, dataset=target.dataset, category=target.category, seed=job.seed, sentence=sentence)
        path = _path(out, job, system.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(asdict(failure), indent=1, ensure_ascii=False) + "\n", durable=False)


def clear_failure(out: Path, job: Job) -> None:
    """The job has succeeded, or is tried again."""
    for system in job.systems:
        path = _path(out, job, system.name)
        path.unlink(missing_ok=True)


def read_failures(out: Path) -> tuple[Failure, ...]:
    """All failures under the results folder. Raises RecordError on a damaged file."""
    found = []
    for path in sorted((out / FAILED).glob("*/*.json")):
        try:
            failure = Failure(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RecordError(f"{path} cannot be read ({error}). Delete it.") from error
        if not all(fits(getattr(failure, name), str) for name in ("system", "dataset", "category", "sentence")):
            raise RecordError(f"{path} is not the note of a failure. Delete it.")
        found.append(failure)
    return tuple(found)


def failure_of(out: Path, job: Job) -> str:
    """The sentence of the job's failure; "" for none."""
    path = _path(out, job, job.system)
    return str(json.loads(path.read_text(encoding="utf-8"))["sentence"]) if path.is_file() else ""


def _path(out: Path, job: Job, system: str) -> Path:
    return out / FAILED / system / f"{job.name}.json"
