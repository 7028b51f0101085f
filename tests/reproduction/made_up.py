"""Records that were never measured, and small jobs, for tests of what is made from them."""

from __future__ import annotations

from typing import Any

from panda_core.reproduction.plan import QUICK, Job, Target
from panda_core.reproduction.record import Record


def made_up(**changes: Any) -> Record:
    """A plausible record; ``changes`` replace its fields."""
    fields: dict[str, Any] = {
        "system": "panda-general",
        "detector": "panda",
        "preset": "balanced",
        "dataset": "elpv",
        "category": "mono",
        "seed": 0,
        "size": 64,
        "auroc": 0.7,
        "auroc_ci": (0.6, 0.8),
        "auprc": 0.65,
        "prevalence": 0.6,
        "pixel_auroc": None,
        "aupro": None,
        "rec_err": 0.4,
        "adv_err": 0.5,
        "ms_per_image": 12.5,
        "parameters": 1_000_000,
        "train_seconds": 600.0,
        "device": "cpu, 1 thread, x86_64 AVX2",
        "data_fingerprint": "ab" * 32,
        "version": "0.0",
    }
    return Record(**(fields | changes))


def disc_job(system: str, *, seed: int = 0, category: str = "bottle") -> Job:
    """A job of some seconds on the discs of `data_root`; any other category is not there."""
    size = 0 if system == "trivial" else 32
    return Job(system=system, target=Target("mvtec_ad", category, "table2"), seed=seed, size=size, limit=None, budget=QUICK)
