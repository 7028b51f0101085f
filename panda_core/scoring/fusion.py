"""Errors to one score (PANDA-GAN, arXiv 2104.13702, III-C).

Every fusion is a sum of one affine term per error, so a score can always be told apart into what each error added:
``sum``: e; ``standardised``: (e - mu) / sigma; ``weighted``: w (e - mu) / sigma with weights that sum to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from panda_core.config import Fusion
from panda_core.errors import CalibrationError
from panda_core.inspection import Calibration, ErrorStats
from panda_core.scoring.metrics import auroc

Floats = NDArray[np.float64]

MINIMUM_IMAGES = 4
"""Fewer calibration images than this say nothing about a spread."""

_RELATIVE_FLOOR = 1e-6  # of |mu|: float32 errors carry 7 digits, a smaller spread is rounding
_ABSOLUTE_FLOOR = 1e-9
_CAP = 8.0  # standard deviations: beyond, one far image would choose the weights
_RIDGE = 0.1
_FOLDS, _REPEATS = 5, 3
_LOSS_GAIN = 0.01  # relative fall of the held-out loss that a further error must bring
_AUROC_SLACK = 0.005  # held-out AUROC may fall by this much: less is noise with some dozens of images
_SMALLEST_WEIGHT = 0.01
_HEDGES = (1.0, 0.75, 0.5, 0.25)
"""Tried shares of the equal weights in the final ones, boldest first."""
_STANDARD_ERRORS = 2.0
"""A smaller loss of AUROC than so many standard errors is no evidence."""
_DOUBTED = ("adv_x", "adv_rec")
"""Errors without a share in the equal weights: a critic's opinion counts only where it has shown that it separates."""


def fit_errors(normal: Mapping[str, NDArray[np.floating]]) -> dict[str, ErrorStats]:
    """Normal model of each error over the normal calibration images: maximum-likelihood mu and sigma, weight 1 (III-C).

    normal: name -> n values. sigma is at least 1e-6 |mu| and at least 1e-9, so that an error that does not vary stays finite.
    Raises CalibrationError on fewer than 4 images or on values that are not finite.
    """
    stats = {}
    for name, values in normal.items():
        checked = _checked(name, values)
        if checked.size < MINIMUM_IMAGES:
            raise CalibrationError(
                f"Error '{name}' has {checked.size} normal calibration images; at least {MINIMUM_IMAGES} are needed. Add normal images."
            )
        mu = float(checked.mean())
        stats[name] = ErrorStats(mu, max(float(checked.std()), _RELATIVE_FLOOR * abs(mu), _ABSOLUTE_FLOOR))
    return stats


def score(errors: Mapping[str, float], calibration: Calibration) -> tuple[float, dict[str, float]]:
    """Fused score of one image and what each error added to it; the parts sum to the score. Higher = stranger, not clipped.

    Errors that the calibration does not know are left out. Raises CalibrationError where one it knows is missing or not finite.
    """
    arrays = {name: np.array([error]) for name, error in errors.items()}
    parts = {name: float(part[0]) for name, part in _parts(arrays, calibration.errors, calibration.fusion).items()}
    return float(sum(parts.values())), parts


def fuse(errors: Mapping[str, NDArray[np.floating]], stats: Mapping[str, ErrorStats], fusion: Fusion) -> Floats:
    """The fused scores of n images at once: name -> n values, to n scores. Equal to `score` image by image; raises like it."""
    parts = list(_parts(errors, stats, fusion).values())
    return np.asarray(sum(parts[1:], start=parts[0]))


def choose_weights(
    normal: Mapping[str, NDArray[np.floating]], anomalous: Mapping[str, NDArray[np.floating]], stats: Mapping[str, ErrorStats]
) -> dict[str, float]:
    """Weights (>= 0, sum 1) of the standardised errors, chosen on validation images: name -> values of n normal, m anomalous.

    Beyond the paper, which adds its errors unweighted. Two steps. First what these images say: the error with the largest AUROC
    is in; of the others (those with AUROC <= 0.5 never) the best is added as long as it lowers the held-out logistic loss by 1 %
    and does not cost held-out AUROC. Loss decides because AUROC cannot rise where easy anomalies already reach 1. Weights are
    those of a ridge logistic regression with non-negative coefficients on z capped at +-8, so that no single image decides.

    Then how far to believe them: synthetic anomalies are not the real ones, and some dozens of images cannot tell two errors of
    nearly equal AUROC apart. So the weights move towards equal ones of all errors that are not clearly worse than the best
    (adversarial ones excepted), as far as the fused AUROC does not become clearly worse. Clearly: by more than two standard
    errors of the paired difference (DeLong et al. 1988). Without evidence against it, every error is heard.

    Deterministic; unchanged by the order of the images and by a positive affine change of an error (with its stats).
    Equal weights where there are fewer than 4 anomalous images (or none). Raises CalibrationError on missing or not finite values.
    """
    names = sorted(stats)
    if len(next(iter(anomalous.values()), ())) < MINIMUM_IMAGES:
        return {name: 1.0 / len(stats) for name in stats}
    z_normal, z_anomalous = _standardised(normal, stats, names), _standardised(anomalous, stats, names)
    chosen = _select(z_normal, z_anomalous)
    told = np.zeros(len(names))
    told[chosen] = _rounded(_fit_weights(z_normal[:, chosen], z_anomalous[:, chosen])[0])
    weights = _rounded(_hedged(told, names, z_normal, z_anomalous))
    return dict(zip(names, map(float, weights), strict=True))


def _hedged(told: Floats, names: Sequence[str], z_normal: Floats, z_anomalous: Floats) -> Floats:
    """The weights nearest to equal ones that these images do not speak against; ``told`` where they speak against all."""
    trusted = [index for index, name in enumerate(names) if name not in _DOUBTED]
    if not trusted:
        return told
    alone = _not_clearly_worse([_placements(z_normal[:, i], z_anomalous[:, i]) for i in trusted])
    equal = np.zeros(len(names))
    equal[[index for index, kept in zip(trusted, alone, strict=True) if kept]] = 1 / sum(alone)
    mixtures = [(1 - share) * told + share * equal for share in (*_HEDGES, 0.0)]
    fused = _not_clearly_worse([_placements(z_normal @ weights, z_anomalous @ weights) for weights in mixtures])
    return mixtures[fused.index(True)]


def _not_clearly_worse(placed: Sequence[tuple[Floats, Floats]]) -> list[bool]:
    """Per candidate (`_placements` of the same images) whether its AUROC is within two standard errors of the best one's."""
    areas = [float(anomalous.mean()) for _, anomalous in placed]
    best = placed[int(np.argmax(areas))]
    kept = []
    for area, (of_normal, of_anomalous) in zip(areas, placed, strict=True):
        variance = (of_normal - best[0]).var() / len(of_normal) + (of_anomalous - best[1]).var() / len(of_anomalous)
        kept.append(bool(area >= max(areas) - _STANDARD_ERRORS * np.sqrt(variance)))
    return kept


def _placements(normal: Floats, anomalous: Floats) -> tuple[Floats, Floats]:
    """Per normal image the share of anomalous ones above it, per anomalous image the share of normal ones below it; ties count half.

    Both means are the AUROC; their variances give its standard error (DeLong et al. 1988).
    """

    def below(values: Floats, others: Floats) -> Floats:
        ranked = np.sort(others)
        return np.asarray((np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")) / (2 * len(others)))

    return 1 - below(normal, anomalous), below(anomalous, normal)


def _checked(name: str, values: NDArray[np.floating]) -> Floats:
    checked = np.asarray(values, dtype=float).ravel()
    bad = int(np.sum(~np.isfinite(checked)))
    if bad:
        raise CalibrationError(f"Error '{name}' is not finite for {bad} of {checked.size} images; the network or its weights are damaged.")
    return checked


def _parts(errors: Mapping[str, NDArray[np.floating]], stats: Mapping[str, ErrorStats], fusion: Fusion) -> dict[str, Floats]:
    if not stats:
        raise CalibrationError("The calibration holds no error; calibrate the model again.")
    missing = [name for name in stats if name not in errors]
    if missing:
        raise CalibrationError(
            f"Error(s) {', '.join(missing)} missing; the image has {', '.join(errors) or 'none'}. Calibrate the model again."
        )
    return {name: term(_checked(name, errors[name]), s, fusion) for name, s in stats.items()}


def term(values: Any, stats: ErrorStats, fusion: Fusion) -> Any:
    """What an error adds to the score. values: numbers, an array, or a tensor of float64; of the same kind as the answer."""
    return stats.weight * values if fusion == "sum" else stats.weight * (values - stats.mu) / stats.sigma


def _standardised(errors: Mapping[str, NDArray[np.floating]], stats: Mapping[str, ErrorStats], names: Sequence[str]) -> Floats:
    """n x errors, rows in an order that does not depend on how the images were listed."""
    unweighted = {name: ErrorStats(stats[name].mu, stats[name].sigma) for name in names}
    parts = _parts(errors, unweighted, "standardised")
    z = np.stack([parts[name] for name in names], axis=1)
    return z[np.lexsort(z.T)]


def _select(z_normal: Floats, z_anomalous: Floats) -> list[int]:
    """Columns that take part, by forward selection on held-out separation."""
    alone = np.array([_auroc(z_normal[:, i], z_anomalous[:, i]) for i in range(z_normal.shape[1])])
    chosen, open_columns = [int(np.argmax(alone))], {i for i, area in enumerate(alone) if area > 0.5}
    loss, area = _held_out(z_normal, z_anomalous, chosen)
    while remaining := sorted(open_columns - set(chosen)):
        trials = {i: _held_out(z_normal, z_anomalous, [*chosen, i]) for i in remaining}
        best = min(remaining, key=lambda i: trials[i][0])
        if trials[best][0] > loss * (1 - _LOSS_GAIN) or trials[best][1] < area - _AUROC_SLACK:
            break
        chosen, (loss, area) = [*chosen, best], trials[best]
    return chosen


def _held_out(z_normal: Floats, z_anomalous: Floats, columns: list[int]) -> tuple[float, float]:
    """Cross-validated (logistic loss of capped z, AUROC of the uncapped fused score) with these columns."""
    random = np.random.default_rng(0)
    losses, areas = [], []
    for _ in range(_REPEATS):
        fold_n, fold_a = (random.permutation(len(z)) % _FOLDS for z in (z_normal, z_anomalous))
        fused_n, fused_a = np.empty(len(z_normal)), np.empty(len(z_anomalous))
        for fold in range(_FOLDS):
            held_n, held_a = z_normal[fold_n == fold][:, columns], z_anomalous[fold_a == fold][:, columns]
            weights, bias = _fit_weights(z_normal[fold_n != fold][:, columns], z_anomalous[fold_a != fold][:, columns])
            losses.append((_softplus(_capped(held_n) @ weights + bias), _softplus(-_capped(held_a) @ weights - bias)))
            # Folds are pooled for the AUROC, so their weights must have one scale.
            fused_n[fold_n == fold], fused_a[fold_a == fold] = held_n @ _rounded(weights), held_a @ _rounded(weights)
        areas.append(_auroc(fused_n, fused_a))
    loss = sum(float(np.concatenate(side).mean()) for side in zip(*losses, strict=True)) / 2
    return loss, float(np.mean(areas))


def _fit_weights(z_normal: Floats, z_anomalous: Floats) -> tuple[Floats, float]:
    """(weights >= 0, bias) of a class-balanced logistic regression with a ridge on the weights, over capped z."""
    normal, anomalous = _capped(z_normal), _capped(z_anomalous)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        from_normal, from_anomalous = normal @ weights + bias, -(anomalous @ weights) - bias
        slope_n, slope_a = _sigmoid(from_normal) / (2 * len(normal)), -_sigmoid(from_anomalous) / (2 * len(anomalous))
        value = (_softplus(from_normal).mean() + _softplus(from_anomalous).mean() + _RIDGE * weights @ weights) / 2
        return float(value), np.append(normal.T @ slope_n + anomalous.T @ slope_a + _RIDGE * weights, slope_n.sum() + slope_a.sum())

    columns = normal.shape[1]
    found = minimize(loss, np.zeros(columns + 1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * columns + [(None, None)])
    return np.asarray(found.x[:-1]), float(found.x[-1])


def _rounded(weights: Floats) -> Floats:
    """Sum 1, without crumbs; the best (first) column alone where the regression found nothing."""
    if weights.sum() <= 0:
        return np.asarray(np.eye(len(weights))[0])
    shares = weights / weights.sum()
    shares = np.round(np.where(shares < _SMALLEST_WEIGHT, 0.0, shares), 3)
    return np.asarray(shares / shares.sum())


def _auroc(normal: Floats, anomalous: Floats) -> float:
    return auroc(np.repeat([0, 1], [len(normal), len(anomalous)]), np.concatenate([normal, anomalous]))


def _capped(z: Floats) -> Floats:
    return np.asarray(np.clip(z, -_CAP, _CAP))


def _softplus(x: Floats) -> Floats:
    return np.logaddexp(0.0, x)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(np.exp(-_softplus(-x)))
