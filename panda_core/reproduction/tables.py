"""Records -> Tables I and II, with what is missing shown as missing, and the paper's own numbers beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from panda_core.reproduction.failures import Failure
from panda_core.reproduction.paper import BESIDE, PED1, TABLE_1, TABLE_2
from panda_core.reproduction.plan import Target
from panda_core.reproduction.record import Record
from panda_core.reproduction.systems import PEERS, SYSTEMS, TRIVIAL, of_role
from panda_core.scoring.resampling import seed_interval

MISSING = "missing"
CI_NOTE = (
    "In brackets: 95 % bootstrap interval over the test images of the first seed (over whole groups of them where they are not "
    "independent). Over seeds: mean and 95 % interval of the mean, from 3 seeds on."
)
ERRORS_NOTE = (
    "Mean errors are in each system's own unit. The adversarial error is 1 - C(x) of systems whose score holds it; of the others' "
    "discriminators the scores use features or nothing (anomalib's GANomaly has the figure all the same)."
)
RATES_NOTE = (
    "False alarms, missed: shares of the normal and the anomalous test images on the wrong side of the boundary that each model placed "
    "without knowing any anomaly, means over seeds."
)
FEATURES_NOTE = "PANDA's general perceptual loss and its perceptual evidence see with EfficientNet-Lite0; the paper's loss with VGG19."


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells, ready for any format."""

    name: str
    """Of its files."""
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


class Results:
    """Records and failures, found by system and set; of several image sizes the one most seeds were measured at counts."""

    def __init__(self, records: Iterable[Record], failures: Iterable[Failure] = ()) -> None:
        self.records, self.failures = tuple(records), tuple(failures)

    def of(self, system: str, dataset: str, category: str) -> list[Record]:
        """The system's records on a set, by seed; [] where there is none."""
        found = [r for r in self.records if (r.system, r.dataset, r.category) == (system, dataset, category)]
        sizes = [record.size for record in found]
        size = max(sizes, key=lambda one: (sizes.count(one), one), default=0)
        return sorted((record for record in found if record.size == size), key=lambda record: record.seed)

    def why_not(self, system: str, dataset: str, category: str) -> str:
        """What stands in the place of a number: that it is missing, or why it failed."""
        for failure in self.failures:
            if (failure.system, failure.dataset, failure.category) == (system, dataset, category):
                return f"failed: {failure.sentence}"
        return MISSING

    def foreign(self, dataset: str, category: str) -> list[str]:
        """Systems that are not ours and have a record on this set."""
        return sorted({r.system for r in self.records if (r.dataset, r.category) == (dataset, category)} - set(SYSTEMS))

    def on(self, dataset: str, category: str) -> list[Record]:
        """All records on a set."""
        return [record for record in self.records if (record.dataset, record.category) == (dataset, category)]


def compared_systems(results: Results, dataset: str, category: str) -> list[str]:
    """Rows of a table: rivals, PANDA, foreign systems, and last the trivial baseline."""
    return [*(s.name for s in of_role("rival", "panda")), *results.foreign(dataset, category), TRIVIAL]


def title_of(system: str) -> str:
    """The row's heading; a system that nobody knows here is called by its name."""
    return SYSTEMS[system].title if system in SYSTEMS else PEERS.get(system, system)


def set_table(results: Results, target: Target) -> Table:
    """Everything that was measured on one set: a part of Table I or II."""
    dataset, category = target.dataset, target.category
    measured = results.on(dataset, category)
    columns, shown = _columns(measured), []
    header = ("system", *(name for name, _ in columns), "seeds", "the paper")
    rows = []
    for system in compared_systems(results, dataset, category):
        found = results.of(system, dataset, category)
        if found:
            cells = [cell(found) for _, cell in columns]
            rows.append((title_of(system), *cells, str(len(found)), _printed(system, target)))
            shown.append(found[0])
        else:
            words = ["" if name != "AUROC" else results.why_not(system, dataset, category) for name, _ in columns]
            rows.append((title_of(system), *words, "0", _printed(system, target)))
    rows[-1:-1] = _paper_only(target, len(columns))
    notes = [CI_NOTE, _prevalence_note(measured), _paper_note(target), RATES_NOTE, ERRORS_NOTE, FEATURES_NOTE]
    notes += [*reductions(shown), *_machines(shown)]
    return Table(
        f"{target.table}-{dataset}-{category}", f"{dataset}/{category}", header, tuple(rows), tuple(note for note in notes if note)
    )


Cell = Callable[[Sequence[Record]], str]


def _columns(measured: Sequence[Record]) -> list[tuple[str, Cell]]:
    columns: list[tuple[str, Cell]] = [
        ("side, px", lambda found: str(found[0].size) if found[0].size else "as is"),
        ("AUROC", lambda found: with_interval(found[0].auroc, found[0].auroc_ci)),
        ("AUROC over seeds", over_seeds),
        ("AUPRC, anomalous positive", lambda found: with_interval(found[0].auprc, found[0].auprc_ci)),
        ("AUPRC over seeds", lambda found: over_seeds(found, of=lambda record: record.auprc)),
        ("AUPRC, normal positive", lambda found: with_interval(found[0].auprc_normal, found[0].auprc_normal_ci)),
    ]
    if any(record.eer is not None for record in measured):
        columns.append(("EER", lambda found: number(found[0].eer)))
    if any(record.pixel_auroc is not None for record in measured):
        columns.append(("pixel AUROC", lambda found: number(found[0].pixel_auroc)))
        columns.append(("AUPRO", lambda found: number(found[0].aupro)))
    return [
        *columns,
        ("false alarms, missed", _at_the_boundary),
        ("mean rec. error", lambda found: number(found[0].rec_err)),
        ("mean adv. error", lambda found: number(found[0].adv_err)),
        ("ms an image", lambda found: f"{fmean(r.ms_per_image for r in found):.3g}"),
        ("parameters", lambda found: f"{found[0].parameters:,}"),
        ("training, min", lambda found: f"{fmean(r.train_seconds for r in found) / 60:.1f}"),
    ]


def number(value: float | None) -> str:
    """Three places; a dash for what does not exist."""
    return "–" if value is None else f"{value:.3f}"


def with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    """ "0.923 (0.890–0.957)"; without brackets where there is no interval."""
    return number(value) if value is None or interval is None else f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def over_seeds(found: Sequence[Record], *, of: Callable[[Record], float] = lambda record: record.auroc) -> str:
    """Mean over the records' seeds, from three on with its 95 % interval; a dash for a single one."""
    values = [of(record) for record in found]
    return "–" if len(values) < 2 else with_interval(fmean(values), seed_interval(values))


def _at_the_boundary(found: Sequence[Record]) -> str:
    """Means over the seeds of the rates at each model's own boundary; a dash for a system without one."""
    rates = [(r.false_alarm_rate, r.miss_rate) for r in found]
    known = [(false, missed) for false, missed in rates if false is not None and missed is not None]
    return f"{fmean(f for f, _ in known):.0%}, {fmean(m for _, m in known):.0%}".replace("%", " %") if known else "–"


def _printed(system: str, target: Target) -> str:
    """The paper's number for the row, with what it prints beside it."""
    paper = SYSTEMS[system].paper if system in SYSTEMS else ""
    if target.dataset == "mvtec_ad":
        row = TABLE_2.get("PANDA-GAN" if paper.startswith("PANDA") else paper, {})
        return number(row[target.category]) if target.category in row else "–"
    printed = TABLE_1.get(BESIDE.get(target.dataset, ("", ""))[0], {}).get(paper)
    if printed is None:
        return "–"
    beside = (("EER", printed.eer), ("rec. error", printed.rec_err), ("adv. error", printed.adv_err), ("ms", printed.milliseconds))
    more = [f"{name} {value:g}" for name, value in beside if value is not None]
    return ", ".join([with_interval(printed.auroc, printed.interval), *more])


def _paper_only(target: Target, columns: int) -> list[tuple[str, ...]]:
    """Rows of systems that only the paper has; for the video set its rivals are others than for images."""
    if target.dataset != "ucsd_ped1":
        return []
    known = {system.paper for system in SYSTEMS.values()}
    cells = {model: f"{p.auroc:.3f}" + ("" if p.eer is None else f", EER {p.eer:.2f}") for model, p in TABLE_1[PED1].items()}
    return [(f"{model} (paper only)", *([""] * columns), "", text) for model, text in cells.items() if model not in known]


def _paper_note(target: Target) -> str:
    if target.dataset == "mvtec_ad":
        return "The paper: as printed in its Table II, headed AUPRC (its text says AUC); one number for all losses of PANDA."
    if target.dataset not in BESIDE:
        return ""
    name, how = BESIDE[target.dataset]
    return f"The paper: AUROC as printed for {name} ({how}); no measurement of ours, not comparable number by number."


def _prevalence_note(measured: Sequence[Record]) -> str:
    shares = sorted({(round(r.prevalence, 3), r.normal, r.anomalous) for r in measured if r.system in SYSTEMS})
    texts = [
        f"{p:.3f} of the test images are anomalous ({a} of {n + a}): guessing gives AUPRC {p:.3f} with anomalous, {1 - p:.3f} with normal "
        "as the positive class."
        for p, n, a in shares
    ]
    return " ".join(texts)


def reductions(shown: Iterable[Record], *, name: Callable[[Record], str] = lambda record: title_of(record.system)) -> list[str]:
    """What is reduced, and of which rows."""
    texts = _by((record.reduced, name(record)) for record in shown if record.reduced)
    return [f"Reduced to: {'; '.join(texts)}."] if texts else []


def _machines(measured: Sequence[Record]) -> list[str]:
    """Of which machines the times are, and which rows' where there are several."""
    devices = {record.device for record in measured}
    texts = sorted(devices if len(devices) < 2 else _by((record.device, title_of(record.system)) for record in measured))
    return [f"Times are of: {'; '.join(texts)}; machines at work on other things are slower."] if devices else []


def _by(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """(what, name) -> "what (names)" for each what."""
    found: dict[str, dict[str, None]] = {}
    for what, name in pairs:
        found.setdefault(what, {})[name] = None
    return [f"{what} ({', '.join(names)})" for what, names in found.items()]


def overview_table(results: Results, name: str, targets: Sequence[Target]) -> Table:
    """AUROC of every system on every set of a table."""
    systems = [s.name for s in of_role("rival", "panda")]
    foreign = sorted({system for target in targets for system in results.foreign(target.dataset, target.category)})
    header = ("system", *(f"{target.dataset}/{target.category}" for target in targets))
    rows = tuple(
        (title_of(system), *(area(results, system, target.dataset, target.category) for target in targets))
        for system in (*systems, *foreign, TRIVIAL)
    )
    note = "AUROC: mean over the seeds there are; for a single seed with the 95 % bootstrap interval over test images."
    return Table(name, "AUROC on all sets", header, rows, (note,))


def area(results: Results, system: str, dataset: str, category: str) -> str:
    """AUROC: the mean over seeds and their number, or one seed's with its interval, or why there is none."""
    found = results.of(system, dataset, category)
    if not found:
        return results.why_not(system, dataset, category).partition(":")[0]
    return with_interval(found[0].auroc, found[0].auroc_ci) if len(found) == 1 else f"{over_seeds(found)}, {len(found)} seeds"
