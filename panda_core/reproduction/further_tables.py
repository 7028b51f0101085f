"""Table III, Fig. 3 as tables, what each error is worth alone; and the list of all tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from panda_core.reproduction.paper import BESIDE, FIG_3_MEANS, TABLE_3
from panda_core.reproduction.plan import ABLATED, FIRST, FURTHER, LEAVE_ONE_OUT, Target
from panda_core.reproduction.record import Record
from panda_core.reproduction.systems import LOSSES, NETWORKS, SYSTEMS, TRIVIAL
from panda_core.reproduction.tables import (
    FEATURES_NOTE,
    Results,
    Table,
    area,
    number,
    over_seeds,
    overview_table,
    reductions,
    set_table,
    title_of,
    with_interval,
)

WITH_ALL_ERRORS = "best"
"""The system whose records hold every error that an image is judged by."""
ERRORS = {
    "recon": "reconstruction",
    "adv_x": "critic on the image",
    "adv_rec": "critic on the reconstruction",
    "percept": "perceptual, local",
    "percept_pooled": "perceptual, whole image",
}


def ablation_table(results: Results, target: Target) -> Table:
    """Table III on one set: networks down, losses across, the paper's numbers beside."""
    paper, how = BESIDE[target.dataset]
    rows = []
    for network, (_, words) in NETWORKS.items():
        ours = [area(results, f"ablation-{loss}-{network}", target.dataset, target.category) for loss in LOSSES]
        rows.append((words, *ours, *(number(TABLE_3[paper][f"{loss}/{network}"]) for loss in LOSSES)))
    trivial = area(results, TRIVIAL, target.dataset, target.category)
    rows.append((title_of(TRIVIAL), trivial, "", "", *([""] * len(LOSSES))))
    header = ("network", *(f"{loss} loss" for loss in LOSSES), *(f"{loss} loss, the paper" for loss in LOSSES))
    measured = [r for r in results.on(target.dataset, target.category) if r.system in SYSTEMS and SYSTEMS[r.system].role == "ablation"]
    reduced = reductions(measured, name=lambda record: f"{record.system.split('-')[1]} loss")
    notes = ("AUROC with its 95 % bootstrap interval over test images.", f"The paper: {paper} ({how}).", FEATURES_NOTE, *reduced)
    return Table(f"table3-{target.dataset}-{target.category}", f"Ablations, {target.dataset}/{target.category}", header, tuple(rows), notes)


def leave_one_out_table(results: Results, dataset: str, *, positive: str) -> Table:
    """AUPRC with each class left out in turn; ``positive``: "anomalous" or "normal", the class whose precision it is."""
    records = [record for record in results.records if record.dataset == dataset]
    classes = sorted({record.category for record in records})
    systems = [s for s in (*SYSTEMS, *sorted({r.system for r in records} - set(SYSTEMS))) if any(r.system == s for r in records)]
    rows = []
    for system in sorted(systems, key=lambda name: name == TRIVIAL):
        found = [results.of(system, dataset, category) for category in classes]
        values = [auprc_of(one[0], positive) if one else (None, None) for one in found]
        known = [value for value, _ in values if value is not None]
        blanks = [results.why_not(system, dataset, category).partition(":")[0] for category in classes]
        cells = [with_interval(*value) if one else blank for one, value, blank in zip(found, values, blanks, strict=True)]
        rows.append((title_of(system), *cells, number(fmean(known)) if len(known) == len(classes) else "–"))
    shares = [next(r.prevalence for r in records if r.category == category) for category in classes]
    chance = [share if positive == "anomalous" else 1 - share for share in shares]
    if chance:
        guessing = (f"guessing: share of {positive} test images", *map(number, chance), number(fmean(chance)))
        rows.insert(len(rows) - (TRIVIAL in systems), guessing)
    title = f"{dataset}: AUPRC with one class left out, {positive} positive"
    notes = (
        f"The class of the column plays the anomaly; precision and recall are those of the {positive} class.",
        f"The paper prints a mean of {FIG_3_MEANS[dataset]:.2f} for PANDA-GAN without saying which class is positive. With normal as the "
        "positive class, guessing gives about 0.9.",
        "In brackets: 95 % bootstrap interval over test images, where it was computed; the mean over the classes has none.",
        FEATURES_NOTE,
        *reductions(records),
    )
    return Table(f"fig3-{dataset}-{positive}-positive", title, ("system", *classes, "mean"), tuple(rows), notes)


def auprc_of(record: Record, positive: str) -> tuple[float | None, tuple[float, float] | None]:
    """AUPRC and its interval with the "anomalous" or the "normal" class as the positive one."""
    return (record.auprc, record.auprc_ci) if positive == "anomalous" else (record.auprc_normal, record.auprc_normal_ci)


def errors_table(results: Results, targets: Sequence[Target]) -> Table:
    """AUROC of each error of ``best`` alone, and which of them its score weighs."""
    rows = []
    for target in targets:
        found = results.of(WITH_ALL_ERRORS, target.dataset, target.category)
        if found:
            cells = [_alone(found, error) for error in ERRORS]
            rows.append((f"{target.dataset}/{target.category}", *cells, over_seeds(found), _weighed(found), str(len(found))))
    note = (
        "Means over seeds, from three on with the 95 % interval of the mean. Below 0.5 an error points the wrong way. The score weighs "
        "what helps on normal images held out and synthetic anomalies: the mean weight of each error over the seeds."
    )
    header = ("set", *ERRORS.values(), "the score", "weights in it", "seeds")
    return Table("errors", f"AUROC of each error alone, {title_of(WITH_ALL_ERRORS)}", header, tuple(rows), (note,))


def _alone(found: Sequence[Record], error: str) -> str:
    known = [record for record in found if error in record.error_auroc]
    return over_seeds(known, of=lambda record: record.error_auroc[error]) if known else "–"


def _weighed(found: Sequence[Record]) -> str:
    means = {words: fmean(record.weights.get(error, 0.0) for record in found) for error, words in ERRORS.items()}
    return ", ".join(f"{words} {mean:.2f}" for words, mean in means.items() if mean > 0)


def all_tables(results: Results, whats: Iterable[str]) -> list[Table]:
    """The tables of these parts of the paper, overview first."""
    whats, targets = set(whats), list(dict.fromkeys((*FIRST, *FURTHER, *_more_categories(results))))
    tables = []
    for what in ("table1", "table2"):
        mine = [target for target in targets if target.table == what]
        if what in whats:
            tables += [overview_table(results, what, mine), *(set_table(results, target) for target in mine)]
    if whats & {"table1", "table2"}:
        tables.append(errors_table(results, [target for target in targets if target.table in whats]))
    if "table3" in whats:
        tables += [ablation_table(results, target) for target in ABLATED]
    if "fig3" in whats:
        tables += [leave_one_out_table(results, d, positive=p) for d in LEAVE_ONE_OUT for p in ("anomalous", "normal")]
    return tables


def _more_categories(results: Results) -> list[Target]:
    known = {record.category for record in results.records if record.dataset == "mvtec_ad"}
    return [Target("mvtec_ad", category, "table2") for category in sorted(known)]
