"""One job from its data set to its records: train or go on, calibrate, look at the test split once, write.

The training is given the ``train`` folder only, so it cannot see the test split; hyper-parameters and weights come from normal and
synthetic held-out images. What a stopped job has done is kept in its folder among the runs, and goes on from there.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panda_core.card import versions
from panda_core.data.folders import LabelledImage, labelled_test
from panda_core.data.images import list_images, read_image
from panda_core.datasets import Prepared, prepare
from panda_core.durable import read_object, replace_text, written_aside
from panda_core.errors import ImageError, TrainingError
from panda_core.presets import preset
from panda_core.reproduction.measuring import (
    TIMED_IMAGES,
    Floats,
    critic_health,
    device_words,
    groups_of,
    judged,
    labels_of,
    look,
    milliseconds,
    package_version,
    parameters,
    separation,
    without_percept,
)
from panda_core.reproduction.plan import Job
from panda_core.reproduction.record import Record, read_record, record_path, write_record
from panda_core.reproduction.systems import SYSTEMS, TRIVIAL, System
from panda_core.runs import RunDir
from panda_core.strict import dotted_names, value_at

if TYPE_CHECKING:
    from panda_core.calibration import Gathered
    from panda_core.checkpoint import Model
    from panda_core.config import Config

VIDEO = ("ucsd_ped1",)
NOT_OVERRIDES = ("preset", "data.size", "train.seed")
"""Fields of a record of their own."""
PRETEXT = "pretext.safetensors"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are and go."""

    data: Path
    """The root of the data sets."""
    runs: Path
    """Trainings, scores and prepared data; may be deleted when the records are there."""
    out: Path
    """Records, tables and plots."""
    device: str = "auto"

    def run(self, job: Job) -> Path:
        """The folder of a job's training."""
        return self.runs / job.name

    def scores(self, job: Job, system: str) -> Path:
        """The test scores of one system: labels, scores, names, boundary."""
        return self.run(job) / f"scores-{system}.npz"


def prepared(job: Job, places: Places) -> Prepared:
    """The job's data set in MVTec layout. Raises FolderError."""
    target = job.target
    return prepare(target.dataset, target.category, root=places.data, place=places.runs / "data", limit=job.limit)


def run_job(job: Job, places: Places) -> tuple[Record, ...] | None:
    """Train or go on, measure, write the records; None where the training was asked to stop (it kept a checkpoint).

    Raises PandaError subclasses: a data set that is not there, a training that fails, a test image that cannot be read.
    """
    data = prepared(job, places)
    samples = labelled_test(data.folder)
    if job.system == TRIVIAL:
        return (_trivial(job, places, data, samples),)
    run = _open(job, places, data)
    if run.status().state != "done":
        _borrow_pretext(job, run, places)
        if not _train(run, places.device):
            return None
    return tuple(_records(job, places, data, samples, run))


def _open(job: Job, places: Places, data: Prepared) -> RunDir:
    """The job's run, made or found; one that was made with another configuration or other images is not gone on with."""
    path, config = places.run(job).resolve(), job.config(data.augment)
    if not (path / "config.json").exists():
        return RunDir.create(path, config, data.folder / "train", name=job.name, device=places.device)
    run = RunDir.open(path)
    if run.config != config or run.data != (data.folder / "train").resolve():
        raise _begun_otherwise(run)
    run.clear_cancel()
    return run


def _begun_otherwise(run: RunDir) -> TrainingError:
    return TrainingError(f"{run.path} was begun with another configuration or other images. Delete it, and the run starts anew.")


def _train(run: RunDir, device: str) -> bool:
    """Whether the training is done; its seconds are added up over all its parts (a part that was killed is lost from the sum)."""
    from panda_core.trainer import run_training

    before, started, busy = _seconds(run), time.time(), time.process_time()
    try:
        return run_training(run, device=device) == "done"
    finally:
        spent = {"train": before["train"] + time.time() - started, "cpu": before["cpu"] + time.process_time() - busy}
        replace_text(run.path / "seconds.json", json.dumps(spent), durable=False)


def _seconds(run: RunDir) -> dict[str, float]:
    """Of the training's parts together: "train" on the clock, "cpu" on all cores."""
    return {"train": 0.0, "cpu": 0.0} | (read_object(run.path / "seconds.json") or {})


def _borrow_pretext(job: Job, run: RunDir, places: Places) -> None:
    """Take the self-supervised VGG19 of another run where it would come out the same: same images, size, seed and steps."""
    target = run.path / PRETEXT
    if run.config.loss.reconstruction != "perceptual-specific" or target.exists():
        return
    for found in sorted(places.runs.glob(f"*/{PRETEXT}")):
        other = RunDir.open(found.parent)
        if other.data == run.data and _pretext_of(other.config) == _pretext_of(run.config):
            with written_aside(target, durable=False) as temporary:
                shutil.copyfile(found, temporary)
            return


def _pretext_of(config: Config) -> tuple[Any, ...]:
    train, data = config.train, config.data
    return (data, train.seed, train.batch, train.precision, train.pretext_steps, train.pretext_task)


def _records(job: Job, places: Places, data: Prepared, samples: Sequence[LabelledImage], run: RunDir) -> Iterator[Record]:
    from panda_core.calibration import gather
    from panda_core.checkpoint import load_model
    from panda_core.data.folders import scan
    from panda_core.devices import pick_device
    from panda_core.inspector import model_device

    model = load_model(run.model_path, device=pick_device(places.device))
    config = model.config
    splits = scan(run.data, data=config.data, seed=job.seed)
    if any(event["fingerprint"] != splits.fingerprint for event in run.events() if event["event"] == "data"):
        raise _begun_otherwise(run)
    validation = splits.validation
    gathered = gather(model, validation, scoring=config.scoring, seed=job.seed) if len(job.systems) > 1 else None
    seen = look(model, samples, groups_of(samples, data.folder, data.groups))
    health = critic_health(model, run, validation)
    spent = _seconds(run)
    pictures = [read_image(sample.path) for sample in samples[:: max(1, len(samples) // TIMED_IMAGES)]]
    for system in job.systems:
        shown = without_percept(model) if system.without else model
        calibration = _calibration(system, model, gathered)
        fields, scores = judged(seen, calibration, seed=job.seed, video=job.target.dataset in VIDEO)
        record = Record(
            **_common(job, system, data),
            **fields,
            detector=config.detector,
            ms_per_image=round(milliseconds(shown, pictures), 2),
            parameters=parameters(shown),
            train_seconds=round(spent["train"], 1),
            train_cpu_seconds=round(spent["cpu"], 1),
            measure_seconds=round(seen.seconds, 1),
            steps=config.train.warmup_steps + config.train.adversarial_steps,
            critic=health,
            device=device_words(model_device(model)),
            overrides=_overrides(system, config),
        )
        _keep_scores(places.scores(job, system.name), samples, seen.labels, scores, calibration.boundary.value)
        write_record(places.out, record)
        yield record


def _calibration(system: System, model: Model, gathered: Gathered | None) -> Any:
    """The model's own, or one fitted without the errors that this system does not have."""
    if gathered is None or not system.without:
        return model.calibration
    return gathered.without(*system.without).fit(model.config.scoring)


def _common(job: Job, system: System, data: Prepared) -> dict[str, Any]:
    target = job.target
    return {
        "system": system.name,
        "preset": system.preset,
        "dataset": target.dataset,
        "category": target.category,
        "seed": job.seed,
        "size": job.size,
        "data_fingerprint": data.fingerprint,
        "version": package_version(),
        "versions": versions(),
        "configuration": job.digest,
        "reduced": job.reduced,
    }


def _overrides(system: System, config: Config) -> dict[str, Any]:
    """Fields in which the training differed from the system's preset, by dotted name; not what "auto" came to."""
    base, used = preset(system.preset).to_dict(), config.to_dict()
    names = [name for name in dotted_names(used) if name not in NOT_OVERRIDES and not (system.without and name.startswith("percept."))]
    return {name: value_at(used, name) for name in names if value_at(base, name) not in ("auto", value_at(used, name))}


def _trivial(job: Job, places: Places, data: Prepared, samples: Sequence[LabelledImage]) -> Record:
    """The record of the trivial baseline. It has no boundary, no map and nothing to train."""
    from panda_core.trivial import trivial_scores

    started = time.perf_counter()
    found = trivial_scores(list_images(data.folder / "train" / "good"), [sample.path for sample in samples])
    seconds = time.perf_counter() - started
    unread = [sample.path for sample, score in zip(samples, found, strict=True) if score is None]
    if unread:
        raise ImageError(unread[0], "cannot be read; a record is of the whole test split.")
    scores, labels = np.array(found, dtype=float), labels_of(samples)
    groups = groups_of(samples, data.folder, data.groups)
    record = Record(
        **_common(job, SYSTEMS[TRIVIAL], data),
        **separation(labels, scores, groups=groups, seed=job.seed, video=job.target.dataset in VIDEO),
        detector=TRIVIAL,
        pixel_auroc=None,
        aupro=None,
        rec_err=None,
        adv_err=None,
        ms_per_image=round(_trivial_milliseconds(samples), 2),
        parameters=0,
        train_seconds=round(seconds, 1),
        device=f"cpu, {platform.machine()}",
    )
    _keep_scores(places.scores(job, TRIVIAL), samples, labels, scores, None)
    write_record(places.out, record)
    return record


def _trivial_milliseconds(samples: Sequence[LabelledImage]) -> float:
    from panda_core.trivial import colour_statistics

    times = []
    for picture in [read_image(sample.path) for sample in samples[:TIMED_IMAGES]]:
        started = time.perf_counter()
        colour_statistics(picture)
        times.append((time.perf_counter() - started) * 1000)
    return float(np.median(times))


def _keep_scores(path: Path, samples: Sequence[LabelledImage], labels: NDArray[np.bool_], scores: Floats, boundary: float | None) -> None:
    """labels, scores, names (defect/file) and boundary (empty where there is none): what plots are drawn from."""
    names = np.array([f"{sample.label}/{sample.path.name}" for sample in samples])
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path, durable=False) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, labels=labels, scores=scores, names=names, boundary=np.array([] if boundary is None else [boundary]))


def is_done(job: Job, out: Path) -> bool:
    """Whether all records of the job are there, and are of this experiment: of its extent and, where they say so, its configuration.

    Raises RecordError on a damaged one.
    """
    return all(_is_of(job, job_record_path(job, system.name, out)) for system in job.systems)


def _is_of(job: Job, path: Path) -> bool:
    if not path.is_file():
        return False
    record = read_record(path)
    return record.reduced == job.reduced and record.configuration in ("", job.digest)


def job_record_path(job: Job, system: str, out: Path) -> Path:
    """Where the job's record for a system lies."""
    target = job.target
    return record_path(out, system=system, dataset=target.dataset, category=target.category, size=job.size, seed=job.seed)
