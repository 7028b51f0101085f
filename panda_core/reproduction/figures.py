"""All pictures that the records and runs at hand allow; what cannot be drawn is said in a sentence, and the others are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from panda_core.data.folders import labelled_test
from panda_core.errors import PandaError
from panda_core.reproduction import plots
from panda_core.reproduction.galleries import write_gallery
from panda_core.reproduction.plan import LEAVE_ONE_OUT, Job
from panda_core.reproduction.running import Places
from panda_core.reproduction.tables import Results
from panda_core.runs import RunDir

GALLERIES = "galleries"
Task = tuple[Path, Callable[[Path], None]]


def draw_all(whats: Sequence[str], plan: Sequence[Job], places: Places, results: Results) -> tuple[list[Path], list[str]]:
    """(files written, why others were not). Plots go to OUT/figures; galleries, which show images of data sets, to RUNS/galleries."""
    drawn: list[Path] = []
    problems: dict[str, None] = {}
    for path, draw in _tasks(whats, plan, places, results):
        try:
            draw(path)
            drawn.append(path)
        except PandaError as error:
            problems[str(error)] = None
    return drawn, list(problems)


def _tasks(whats: Sequence[str], plan: Sequence[Job], places: Places, results: Results) -> Iterator[Task]:
    figures = places.out / "figures"
    if "fig3" in whats:
        for dataset in LEAVE_ONE_OUT:
            if any(record.dataset == dataset for record in results.records):
                yield figures / f"fig3-{dataset}.svg", partial(plots.leave_one_out_bars, results=results, dataset=dataset)
    for target in dict.fromkeys(job.target for job in plan if job.target.table in whats and job.target.table != "fig3"):
        dataset, category = target.dataset, target.category
        if results.on(dataset, category):
            yield figures / f"auroc-{dataset}-{category}.svg", partial(plots.areas, results=results, dataset=dataset, category=category)
    if "figures" in whats:
        best = [job for job in plan if job.system == "best" and job.target.table != "fig3"]
        for target in dict.fromkeys(job.target for job in best):
            tasks = (list(_of_run(job, places)) for job in best if job.target == target)
            yield from next(filter(None, tasks), [])  # of the first seed whose run is on this machine


def _of_run(job: Job, places: Places) -> Iterator[Task]:
    """Distribution of scores and gallery of a run that is on this machine."""
    name = f"{job.target.dataset}-{job.target.category}"
    scores = {system.name: places.scores(job, system.name) for system in job.systems}
    if all(path.is_file() for path in scores.values()):
        yield places.out / "figures" / f"scores-{name}.svg", partial(_distributions, scores=scores, title=f"{name}, seed {job.seed}")
    if (places.run(job) / "model" / "card.json").is_file():
        yield places.runs / GALLERIES / f"{name}.png", partial(_gallery, run=places.run(job), device=places.device)


def _distributions(path: Path, scores: Mapping[str, Path], title: str) -> None:
    found = {}
    for system, file in scores.items():
        with np.load(file, allow_pickle=False) as kept:
            found[system] = {key: kept[key] for key in kept.files}
    plots.score_distributions(path, found, title)


def _gallery(path: Path, run: Path, device: str) -> None:
    opened = RunDir.open(run)
    write_gallery(path, opened.model_path, labelled_test(opened.data.parent), device=device)
