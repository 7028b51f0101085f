"""How long the reduced experiment takes on two cores, reckoned from its records, for each kind of machine in them.

    python -m benchmarks.hours --out docs/results

The records were made beside other work. Of the runs of one system at one size the least disturbed counts, by the clock or by what its
core spent, a step; the plan's runs are made of that and divided by two processes. ``elsewhere/`` of the results counts, too: the same runs
on another machine, or by an earlier version. That is no measurement of a whole run: nobody has let it alone for so long.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from panda_core.reproduction.plan import Job, make_plan
from panda_core.reproduction.record import Record, read_records
from panda_core.reproduction.systems import TRIVIAL

MACHINES = {"with bf16 (AVX512-BF16)": "AVX512", "without (AVX2)": "AVX2"}
"""What is said -> what stands in the records' ``device``."""
PROCESSES = 2
Kind = tuple[str, int]
"""Of runs: system, side of the images."""


def reckon(plan: Sequence[Job], records: Iterable[Record]) -> tuple[float, list[str]]:
    """(hours of PROCESSES processes for the runs whose kind has a record, the kinds that have none)."""
    known = _by_kind(records)
    seconds, missing = 0.0, set()
    for job in plan:
        if job.system == TRIVIAL:
            continue  # under a second
        alike = known.get((job.system, job.size))
        if not alike:
            missing.add(f"{job.system} at {job.size} px")
            continue
        train = job.config().train
        a_step = min(_undisturbed(record) / record.steps for record in alike)
        seconds += a_step * (train.warmup_steps + train.adversarial_steps) + min(record.measure_seconds for record in alike)
    return seconds / PROCESSES / 3600, sorted(missing)


def _by_kind(records: Iterable[Record]) -> dict[Kind, list[Record]]:
    found: dict[Kind, list[Record]] = {}
    for record in records:
        if record.steps:
            found.setdefault((record.system, record.size), []).append(record)
    return found


def _undisturbed(record: Record) -> float:
    return min(record.train_seconds, record.train_cpu_seconds or record.train_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of the results (default: docs/results)")
    out = parser.parse_args().out
    plan = make_plan(("table1", "table2", "table3", "fig3", "figures"))
    mine = read_records(out)
    ours = [record for record in mine if not record.system.startswith("anomalib") and record.system != "panda-general"]
    recorded = sum(record.train_seconds + record.measure_seconds for record in ours) / PROCESSES / 3600
    every = (*mine, *read_records(out / "elsewhere"))
    found: dict[str, Any] = {"runs": len(plan), "recorded_hours": round(recorded, 1)}
    for said, tag in MACHINES.items():
        hours, missing = reckon(plan, [record for record in every if tag in record.device])
        found[said] = {"hours": None if missing else round(hours, 1), "kinds_without_a_record": len(missing)}
    text = json.dumps(found, indent=1)
    (out / "hours.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
