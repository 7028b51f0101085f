"""The numbers printed in the paper (arXiv 2104.13702, Tables I to III), as it prints them.

They come from other splits, other training and, for the X-rays, a data set that is not public: they stand beside ours for
orientation and are never compared by a test. Where a number and its interval do not agree (EGBAD, X-ray), both are as printed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Printed:
    """One row of Table I on one data set; None where the paper prints nothing."""

    auroc: float
    interval: tuple[float, float] | None = None
    rec_err: float | None = None
    adv_err: float | None = None
    milliseconds: float | None = None
    eer: float | None = None
    """In [0, 1]; the paper prints per cent."""


PLANT, LAPTOP, PED1 = "Plant Village", "Laptop X-ray", "UCSDped1"

TABLE_1: dict[str, dict[str, Printed]] = {
    PLANT: {
        "VAE": Printed(0.65, (0.60, 0.70), 0.56, None, 6.9),
        "AnoGAN": Printed(0.65, (0.65, 0.66), 0.45, 0.88, 7151),
        "EGBAD": Printed(0.70, (0.65, 0.67), 0.40, 0.92, 87),
        "GANomaly": Printed(0.73, (0.68, 0.73), 0.39, 0.75, 28),
        "f-AnoGAN": Printed(0.765, (0.65, 0.78), 0.12, 0.72, 65),
        "Skip-GANomaly": Printed(0.771, (0.74, 0.77), 0.13, 0.74, 123),
        "PANDA-GAN PWL": Printed(0.776, (0.77, 0.78), 0.012, 0.994, 15.2),
        "PANDA-GAN PL_g": Printed(0.74, (0.73, 0.75), 0.40, 0.993, 20),
        "PANDA-GAN PL_ps": Printed(0.75, (0.76, 0.78), 0.20, 0.986, 20.8),
    },
    LAPTOP: {
        "VAE": Printed(0.21, (0.19, 0.23), 0.80, None, 9.4),
        "AnoGAN": Printed(0.41, (0.39, 0.42), 0.4, 0.92, 7223),
        "EGBAD": Printed(0.47, (0.42, 0.43), 0.41, 0.94, 89),
        "GANomaly": Printed(0.49, (0.41, 0.51), 0.34, 0.78, 273),
        "f-AnoGAN": Printed(0.50, (0.49, 0.53), 0.1, 0.72, 86),
        "Skip-GANomaly": Printed(0.51, (0.48, 0.58), 0.11, 0.68, 112),
        "PANDA-GAN PWL": Printed(0.42, (0.30, 0.48), 0.052, 0.987, 16.8),
        "PANDA-GAN PL_g": Printed(0.45, (0.29, 0.52), 0.015, 0.658, 36),
        "PANDA-GAN PL_ps": Printed(0.51, (0.48, 0.55), 0.045, 0.782, 30),
    },
    PED1: {
        "SF": Printed(0.675, eer=0.31),
        "MPPCA": Printed(0.7696, eer=0.40),
        "MDT": Printed(0.818, eer=0.25),
        "SRC": Printed(0.86, eer=0.19),
        "AMDN": Printed(0.921, eer=0.16),
        "PCA-NET GMM": Printed(0.926, eer=0.112),
        "AED-GAN": Printed(0.974, eer=0.08),
        "PANDA-GAN PWL": Printed(0.945, eer=0.35),
        "PANDA-GAN PL_g": Printed(0.95, eer=0.75),
        "PANDA-GAN PL_ps": Printed(0.93, eer=0.96),
    },
}

_CLASSES = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut"),
    *("pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper"),
)
_TABLE_2_ROWS = {
    "AnoGAN": (0.8, 0.477, 0.442, 0.337, 0.871, 0.259, 0.451, 0.284, 0.711, 1, 0.401, 0.439, 0.692, 0.567, 0.715),
    "GANomaly": (0.794, 0.711, 0.721, 0.821, 0.743, 0.874, 0.808, 0.694, 0.671, 1, 0.72, 0.7, 0.808, 0.92, 0.744),
    "Skip-GANomaly": (0.937, 0.674, 0.718, 0.795, 0.657, 0.906, 0.908, 0.79, 0.758, 1, 0.85, 0.689, 0.814, 0.919, 0.663),
    "DA-GAN": (0.983, 0.665, 0.687, 0.903, 0.867, 1, 0.944, 0.815, 0.768, 1, 0.961, 0.95, 0.794, 0.979, 0.781),
    "U-Net": (0.863, 0.636, 0.673, 0.774, 0.857, 0.996, 0.87, 0.676, 0.78, 1, 0.964, 0.811, 0.674, 0.958, 0.75),
    "PANDA-GAN": (0.826, 0.68, 0.98, 0.95, 0.95, 0.922, 0.75, 0.79, 0.95, 1, 0.85, 0.66, 0.9, 0.68, 0.62),
}
TABLE_2: dict[str, dict[str, float]] = {model: dict(zip(_CLASSES, row, strict=True)) for model, row in _TABLE_2_ROWS.items()}
"""MVTec AD, model -> class. The table is headed AUPRC, its last column and the text say AUC: the paper leaves open which it is."""

_TABLE_3_ROWS = {
    "flat": ((0.75, 0.754, 0.762), (0.38, 0.42, 0.434)),
    "flat-low": ((0.752, 0.74, 0.746), (0.419, 0.442, 0.446)),
    "deep": ((0.751, 0.738, 0.744), (0.464, 0.468, 0.476)),
    "deep-low": ((0.764, 0.751, 0.762), (0.462, 0.442, 0.43)),
    "deep-high": ((0.771, 0.764, 0.775), (0.496, 0.515, 0.504)),
    "full": ((0.776, 0.741, 0.769), (0.42, 0.451, 0.512)),
    "dcgan": ((0.769, 0.751, 0.74), (0.413, 0.424, 0.469)),
}
_LOSSES = ("pixel", "general", "specific")
TABLE_3: dict[str, dict[str, float]] = {
    name: {f"{loss}/{network}": row[place][i] for network, row in _TABLE_3_ROWS.items() for i, loss in enumerate(_LOSSES)}
    for place, name in enumerate((PLANT, LAPTOP))
}
"""AUROC, data set -> "loss/network" as `systems.System.paper` has it."""

FIG_3_MEANS = {"mnist": 0.90, "cifar10": 0.91}
"""AUPRC of PANDA-GAN averaged over the ten classes, from the conclusion; the figure has bars without numbers."""

BESIDE: dict[str, tuple[str, str]] = {
    "plantvillage": (PLANT, "all plants, their split"),
    "sixray_tip": (LAPTOP, "another data set, not public"),
    "elpv": (LAPTOP, "another data set, not public"),
    "ucsd_ped1": (PED1, "all clips, official split"),
}
"""Our data set -> the paper's set that stands beside it, and how they differ."""
