"""By how much one system's reconstruction error tells anomalous images better than another's: the same test images, seed by seed.

    python benchmarks/paired.py panda-dcgan best plantvillage-apple --runs runs/reproduce

Wants the trainings that `panda reproduce` has left under --runs. The score of `best` holds more than PANDA's; its reconstruction error
is that of PANDA with the general loss, trained with the fine-grained critic. The interval is of the mean lead over the seeds, the test
images drawn anew 1,000 times, the same for both. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panda_core.data.folders import labelled_test
from panda_core.inspector import Inspector
from panda_core.reproduction.measuring import device_words, labels_of
from panda_core.runs import RunDir
from panda_core.scoring import metrics

DRAWS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="system that is compared with, e.g. panda-dcgan")
    parser.add_argument("other", help="system whose lead is measured, e.g. best")
    parser.add_argument("set", help="DATASET-CATEGORY")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    arguments = parser.parse_args()
    scores: dict[str, list[list[float]]] = {arguments.base: [], arguments.other: []}
    for system, found in scores.items():
        for seed in arguments.seeds:
            (path,) = arguments.runs.glob(f"{system}--{arguments.set}-*-seed{seed}-reduced")
            labels, errors, device = _measure(RunDir.open(path), arguments.device)
            found.append(errors)
    areas = {system: [round(metrics.auroc(labels, errors), 4) for errors in found] for system, found in scores.items()}
    leads = _leads(labels, scores[arguments.base], scores[arguments.other])
    print(
        json.dumps(
            {
                "set": arguments.set,
                "seeds": arguments.seeds,
                "auroc": areas,
                "lead": round(float(np.mean(areas[arguments.other]) - np.mean(areas[arguments.base])), 4),
                "lead_ci": [round(float(bound), 4) for bound in np.quantile(leads, (0.025, 0.975))],
                "device": device,
            }
        )
    )


def _measure(run: RunDir, device: str) -> tuple[NDArray[np.bool_], list[float], str]:
    """Labels and reconstruction errors of the set's test images, and on what."""
    inspector = Inspector.load(run.model_path, device=device)
    samples = labelled_test(run.data.parent)
    return labels_of(samples), [inspector.inspect(sample.path).errors["recon"] for sample in samples], device_words(inspector.device)


def _leads(labels: NDArray[np.bool_], base: list[list[float]], other: list[list[float]]) -> list[float]:
    """The mean lead over the seeds, for each of DRAWS stratified draws of the test images."""
    rng, classes = np.random.default_rng(0), (np.flatnonzero(labels), np.flatnonzero(~labels))
    leads = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rng.choice(one, len(one)) for one in classes])
        chosen = [[metrics.auroc(labels[drawn], np.array(errors)[drawn]) for errors in system] for system in (other, base)]
        leads.append(float(np.mean(chosen[0]) - np.mean(chosen[1])))
    return leads


if __name__ == "__main__":
    main()
