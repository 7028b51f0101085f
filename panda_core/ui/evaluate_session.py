"""One browser tab's evaluation on the server: a labelled folder, the models that are measured on it one after the other. No Gradio."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from panda_core.batch.job import Job, StoppedError
from panda_core.batch.sources import LabelledSource
from panda_core.card import find_listed
from panda_core.card_changes import save_metric
from panda_core.comparison import auroc_difference
from panda_core.data.depth import Stretch
from panda_core.errors import ModelError, PandaError
from panda_core.evaluation import Report, measure
from panda_core.own_models import is_own
from panda_core.report.evaluation import Measured, write_evaluation, write_evaluation_json
from panda_core.report.hardest import MOST, HardestPictures
from panda_core.report.markup import KINDS
from panda_core.roi import load_roi
from panda_core.trivial import baseline_beside
from panda_core.ui.batch_session import subject_of
from panda_core.ui.engine import Engine
from panda_core.ui.work import Work, file_name, job_value

MOST_MODELS = 12
"""Models in one evaluation: more make no chart that anybody reads."""
EXPORTS: Mapping[str, Callable[[Path, str, Sequence[Measured]], None]] = {"html": write_evaluation, "json": write_evaluation_json}
Opens = Callable[[Path, Callable[[], bool]], LabelledSource]
"""(folder for what has to be unpacked, should_stop) -> the labelled images."""


class EvaluateSession(Work):
    """One folder, measured once with each model. What a finished model gave stays, whatever becomes of the next."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("evaluate")
        self._engine = engine
        self.source: LabelledSource | None = None
        self.measured: list[Measured] = []
        """In the order of the models that were asked for."""
        self._values: list[dict[str, Any]] = []
        self._failures: list[str] = []
        self._trivial: dict[Stretch, float | None] = {}

    def evaluate(self, models: Sequence[str], opens: Opens) -> None:
        """Begin: open the folder, then measure one model after the other. For a fresh session only. Raises PandaError: no such model."""
        chosen = list(dict.fromkeys(models))
        titles = {entry.name: entry.title for entry in self._engine.models() if not entry.problem}
        if not chosen or not set(chosen) <= titles.keys():
            raise PandaError("Choose one or more models. If the list is empty, train one or import one first.")
        if len(chosen) > MOST_MODELS:
            raise PandaError(f"{len(chosen)} models are chosen; at most {MOST_MODELS} are compared at once.")
        self.job = Job("Looking for images", partial(self._work, {name: titles[name] for name in chosen}, opens))

    def message(self, known: int) -> dict[str, Any]:
        """How things stand, with the results of the models after the first ``known``. Asked with the same, it says the same."""
        running, source = self.running, self.source  # before the results: what comes in between is told the next time
        return {
            "id": self.id,
            "working": running,
            "job": job_value(self.job),
            "title": source.title if source else "",
            "note": source.note if source else "",
            "failures": list(self._failures),
            "from": known,
            "results": self._values[known:],
        }

    def export(self, kind: str) -> Path:
        """One of EXPORTS as a file of the session's folder. Raises PandaError where nothing has been measured."""
        if self.source is None or not self.measured:
            raise PandaError("Nothing has been measured yet. Choose a folder and a model first.")
        path = self.place / f"{file_name('evaluation', self.source.title, otherwise='folder')}.{kind}"
        EXPORTS[kind](path, self.source.title, tuple(self.measured))
        return path

    def keep(self, number: int) -> str:
        """Write the number-th model's result into its card; returns what to tell the person. Raises PandaError."""
        if self.source is None or not 0 <= number < len(self.measured):
            raise PandaError("There is no such result. Measure the folder again.")
        report = self.measured[number].report
        data = f"{Path(self.source.title).name}{', within its region' if self._values[number]['region'] else ''}"
        note = f"Measured in the app on {date.today().isoformat()}."
        save_metric(find_listed(report.model), report.metric(data, trivial_auroc=report.trivial_auroc, note=note))
        self._values[number]["kept"] = True
        return f"Kept in the card of “{self.measured[number].title}”."

    def paths(self, number: int, places: Sequence[int]) -> list[Path]:
        """Files of these images of the number-th model's report; what is out of range is left out."""
        if not 0 <= number < len(self.measured):
            return []
        images = self.measured[number].report.images
        return [images[place].path for place in places if 0 <= place < len(images)]

    def _work(self, models: Mapping[str, str], opens: Opens, job: Job) -> None:
        self.source = source = opens(self.place / "source", job.stopping)
        job.total = len(source.samples) * len(models)
        for number, (name, title) in enumerate(models.items(), start=1):
            job.what = f"Measuring {title}" if len(models) == 1 else f"Measuring {title} ({number} of {len(models)})"
            try:
                self._measure(name, source, job)
            except PandaError as error:
                self._failures.append(f"{title}: {error}".replace(str(source.folder), source.title))
            job.done = number * len(source.samples)

    def _measure(self, model: str, source: LabelledSource, job: Job) -> None:
        before, pictures = job.done, HardestPictures()
        trivial = self._baseline(self._engine.stretch(model), source, job)

        def heed(done: int, total: int) -> None:
            job.done = before + done
            if job.stopping():
                raise StoppedError

        inspect, images = partial(self._engine.inspect, model), self._engine.origins(model)
        report = measure(source.samples, inspect, source.folder, images=images, on_progress=heed, on_image=pictures.see)
        report = replace(report, device=self._engine.device, trivial_auroc=trivial)
        one = Measured(report, subject_of(model, self._engine.models()), pictures.pictures)
        value = _value(model, one, self.measured[0].report if self.measured else None)
        self.measured.append(one)
        self._values.append(value)

    def _baseline(self, deep: Stretch, source: LabelledSource, job: Job) -> float | None:
        """Of colour statistics, measured once for all models that read deep images alike."""
        if deep not in self._trivial:
            what, job.what = job.what, "Measuring colour statistics"
            self._trivial[deep] = baseline_beside(source.folder, source.samples, deep=deep)
            job.what = what
        return self._trivial[deep]


def _value(model: str, one: Measured, first: Report | None) -> dict[str, Any]:
    report = one.report
    places = {defect: place for place, defect in enumerate(report.defect_count)}
    apart = None if first is None else auroc_difference(report, first)
    return {
        "model": model,
        "title": one.title,
        "device": report.device,
        "ms": report.milliseconds,
        "region": load_roi(model) is not None,
        "own": _is_own(model),
        "kept": False,
        "prevalence": report.prevalence,
        "auroc": [report.auroc, *report.auroc_ci],
        "auprc": [report.auprc, *report.auprc_ci],
        "trivial": report.trivial_auroc,
        "apart": [apart.auroc, *apart.ci] if apart else None,
        "pixelAuroc": report.pixel_auroc,
        "aupro": report.aupro,
        "errors": {name: [area, *report.error_auroc_ci[name]] for name, area in report.error_auroc.items()},
        "defects": [
            {"name": name, "count": report.defect_count[name], "auroc": [area, *report.defect_auroc_ci[name]]}
            for name, area in report.defect_auroc.items()
        ],
        "boundary": report.boundary,
        "said": f"{KINDS[report.boundary_kind]}. {report.boundary_reason}",
        "roc": report.roc,
        "pr": report.pr,
        "scores": [image.score for image in report.images],
        # Per image the place of its defect in "defects"; -1 for a normal one.
        "labels": [places.get(image.defect, -1) for image in report.images],
        "hardest": [_picture(one, place) for anomalous in (False, True) for place in report.hardest(MOST, anomalous=anomalous)],
        "problems": list(report.problems),
        "warning": report.warning,
    }


def _is_own(model: str) -> bool:
    try:
        return is_own(find_listed(model))
    except ModelError:
        return False  # deleted meanwhile


def _picture(one: Measured, place: int) -> dict[str, Any]:
    image = one.report.images[place]
    # In the message and not at an address of its own: Gradio's copies of files vanish after a while, a page may stay open for hours.
    data = base64.b64encode(one.pictures[image.path]).decode()
    return {"at": place, "name": image.name, "picture": f"data:image/jpeg;base64,{data}"}
