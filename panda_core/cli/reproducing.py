"""``panda reproduce``: the tables and figures of the paper, run by run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich.table import Table

from panda_core.cli.console import ERR, OUT, PATH, device_option, json_option, print_json, progress

if TYPE_CHECKING:
    from panda_core.reproduction.plan import Budget, Job, What
    from panda_core.reproduction.running import Places

PARTS = ("table1", "table2", "table3", "fig3", "figures")


@click.command()
@click.argument("what", nargs=-1, required=True, type=click.Choice([*PARTS, "all"]))
@click.option(
    "--data",
    type=PATH,
    help="Folder of the data sets; without it $PANDA_DATA, else shared/datasets beside the repository.",
)
@click.option("--out", type=PATH, default=Path("docs/results"), show_default=True, help="Records, tables and plots.")
@click.option("--runs", type=PATH, default=Path("runs/reproduce"), show_default=True, help="Trainings; kept, to go on with.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes, of one thread each.")
@click.option("--size", type=click.IntRange(32), help="Side of the images in Tables I to III; default 64, or 128 with --full.")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="S1,S2,...", help="Training seeds; all but the first for PANDA only.")
@click.option("--quick", is_flag=True, help="A rehearsal of some minutes: few steps, few images, three sets. Goes to OUT/quick.")
@click.option("--full", is_flag=True, help="Five times the steps at 128 px, all images and all classes: for a GPU. Goes to OUT/full.")
@click.option("--only", multiple=True, metavar="SYSTEM/SET", help="These runs only, e.g. best/elpv or '*/mvtec_ad-bottle' (repeatable).")
@click.option("--part", default="1/1", metavar="K/N", help="Every Nth run from the Kth: the share of one of N machines.")
@click.option("--dry-run", is_flag=True, help="List the runs, which are done, and how long the others will take.")
@click.option("--tables-only", is_flag=True, help="Make tables and plots from the records there are; train nothing.")
@json_option
@device_option
def reproduce(
    what: tuple[str, ...],
    data: Path | None,
    out: Path,
    runs: Path,
    workers: int,
    size: int | None,
    seeds: str,
    quick: bool,
    full: bool,
    only: tuple[str, ...],
    part: str,
    dry_run: bool,
    tables_only: bool,
    as_json: bool,
    device: str,
) -> int:
    """Measure what the paper's tables and figures show, and write them: table1, table2, table3, fig3, figures, or all.

    Each run leaves one JSON record in OUT/records; a record that is there is not made again, so the same command goes on after any
    interruption. Ctrl-C stops the present trainings with a checkpoint. A run that fails is noted, and the others go on; the exit code is 1
    then. A record of another extent or configuration is measured again and replaced: give another --out to keep it. Where its old training
    still lies in RUNS, the run fails until that is deleted.

    \b
    Example:  panda reproduce all --data ~/datasets --workers 2 --dry-run
              panda reproduce table1 --data ~/datasets --only best/elpv
    """
    from panda_core.datasets import data_root
    from panda_core.reproduction.failures import FAILED
    from panda_core.reproduction.plan import chosen, make_plan
    from panda_core.reproduction.record import read_records
    from panda_core.reproduction.running import Places

    if quick and full:
        raise click.UsageError("Choose one of --quick and --full.")
    parts = cast("list[What]", list(PARTS) if "all" in what else list(dict.fromkeys(what)))
    plan = make_plan(parts, budget=_budget(quick, full), size=size, seeds=_seeds(seeds))
    jobs = _share(chosen(plan, only), part)
    # Neither a list of runs nor tables need the images.
    root = Path() if dry_run or tables_only else data_root(data)
    place = out / "quick" if quick else out / "full" if full else out
    places = Places(data=root, runs=runs.resolve(), out=place.resolve(), device=device)
    if dry_run:
        _show(jobs, places, workers, as_json, basis=places.out if read_records(places.out) else out)
        return 0
    places.out.mkdir(parents=True, exist_ok=True)
    failed = [] if tables_only else _work(jobs, places, workers)
    _write(parts, plan, places)
    if failed is None:
        raise click.Abort
    if failed:
        ERR.print(f"{len(failed)} of {len(jobs)} runs failed; {places.out / FAILED} says why. The same command tries them again.")
    return 1 if failed else 0


def _budget(quick: bool, full: bool) -> Budget:
    from panda_core.reproduction.plan import FULL, QUICK, REDUCED

    return QUICK if quick else FULL if full else REDUCED


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(word) for word in text.replace(" ", ",").split(",") if word))
    except ValueError:
        raise click.UsageError(f"--seeds {text}: write whole numbers with commas between, e.g. --seeds 0,1,2.") from None


def _share(jobs: list[Job], part: str) -> list[Job]:
    first, _, count = part.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise click.UsageError(f"--part {part}: write K/N with K from 1 to N, e.g. --part 1/4 on the first of four machines.")
    return jobs[int(first) - 1 :: int(count)]


def _work(jobs: list[Job], places: Places, workers: int) -> list[Job] | None:
    """The jobs that failed; None where somebody asked to stop."""
    from panda_core.reproduction.running import is_done
    from panda_core.reproduction.session import spread

    with progress("Reproducing") as update:
        failed: list[Job] = []
        over = sum(is_done(job, places.out) for job in jobs)
        update(over, len(jobs))

        def on_end(job: Job, failure: str) -> None:
            nonlocal over
            over += 1
            if failure:
                failed.append(job)
            update(over, len(jobs))
            ERR.print(f"{job.name}: {'failed: ' + failure if failure else 'done'}")

        return failed if spread(jobs, places, workers=workers, on_end=on_end) else None


def _show(jobs: list[Job], places: Places, workers: int, as_json: bool, *, basis: Path) -> None:
    """``basis``: where the records lie from which times are estimated."""
    from panda_core.reproduction.forecast import forecast, seconds_of
    from panda_core.reproduction.record import read_records
    from panda_core.reproduction.session import standing

    records = read_records(basis)
    found = [standing(job, places) for job in jobs]
    todo = [one.job for one in found if one.state not in ("done", "missing")]
    ahead = forecast(todo, records)
    if as_json:
        listed = [{"run": one.job.name, "state": one.state, "detail": one.detail, "seconds": seconds_of(one.job, records)} for one in found]
        print_json({"runs": listed, "forecast": dataclasses.asdict(ahead), "workers": workers})
        return
    table = Table("run", "state", "about", "")
    for one in found:
        seconds = seconds_of(one.job, records) if one.state not in ("done", "missing") else None
        table.add_row(one.job.name, one.state, "" if seconds is None else f"{seconds / 60:.1f} min", one.detail)
    OUT.print(table)
    duration = [f"about {ahead.seconds / workers / 3600:.1f} h with {workers} process(es)"] if ahead.known or not todo else []
    unknown = [f"nothing like {ahead.unknown} of them was measured yet"] if ahead.unknown else []
    OUT.print(f"{len(todo)} of {len(jobs)} runs to do: {'; '.join(duration + unknown)}.")


def _write(parts: list[What], plan: list[Job], places: Places) -> None:
    from panda_core.reproduction.failures import read_failures
    from panda_core.reproduction.figures import draw_all
    from panda_core.reproduction.formats import write_tables
    from panda_core.reproduction.further_tables import all_tables
    from panda_core.reproduction.record import read_records
    from panda_core.reproduction.tables import Results

    results = Results(read_records(places.out), read_failures(places.out))
    written = write_tables(places.out / "tables", all_tables(results, parts))
    drawn, problems = draw_all(parts, plan, places, results)
    for problem in problems:
        ERR.print(problem)
    OUT.print(f"Wrote {len(written)} files of tables to {places.out / 'tables'} and {len(drawn)} pictures.")
