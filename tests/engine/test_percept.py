"""Perceptual evidence: strange where the image is strange, fitted on enough images, the same after a round trip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from panda_core import finishing
from panda_core.config import PerceptConfig
from panda_core.errors import CalibrationError
from panda_core.percept import GRID_STRIDE, PerceptualEvidence
from panda_core.pooled import shrunk_covariance
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.trainer import run_training

SIZE = 96
CONFIG = PerceptConfig(enabled=True, size=SIZE, dimensions=16, top=4, pooled=True)
ROWS, COLUMNS = slice(48, 72), slice(16, 40)


def make_normals(count: int, *, seed: int, slope: float = 1.0) -> Tensor:
    """A brightness ramp with a little noise, count x 3 x SIZE x SIZE in [-1, 1]."""
    noise = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    ramp = slope * torch.linspace(-0.5, 0.5, SIZE).expand(count, 3, SIZE, SIZE)
    return (ramp + 0.05 * noise).clamp(-1, 1)


def plant(x: Tensor) -> Tensor:
    """The same images with a chequered square in ROWS, COLUMNS."""
    planted = x.clone()
    grid = torch.arange(24) // 4
    planted[:, :, ROWS, COLUMNS] = ((grid[:, None] + grid[None]) % 2 * 2.0 - 1.0).expand(len(x), 3, 24, 24)
    return planted


@pytest.fixture(scope="module")
def percept() -> PerceptualEvidence:
    evidence = PerceptualEvidence(CONFIG, pretrained=True)
    evidence.fit(make_normals(24, seed=0).split(7))
    return evidence.eval()


def test_the_distance_rises_on_a_planted_square(percept: PerceptualEvidence) -> None:
    x = make_normals(4, seed=1)
    normal, planted = percept.measure(x)[0]["percept"], percept.measure(plant(x))[0]["percept"]
    assert normal.shape == (4,) and planted.min() > normal.max() + 1


def test_the_fewest_images_have_a_spread_of_their_own() -> None:
    evidence = PerceptualEvidence(CONFIG, pretrained=True)
    evidence.fit([make_normals(4, seed=0)])
    others = evidence.measure(make_normals(8, seed=1))[0]
    for spread in (evidence.usual[0, 1], evidence.pooled[0].usual[1]):
        assert float(spread) > 1e-3
    assert all(bool((values.abs() < 100).all()) for values in others.values())


def test_the_map_peaks_on_the_planted_square(percept: PerceptualEvidence) -> None:
    side = SIZE // GRID_STRIDE
    maps = percept.measure(plant(make_normals(4, seed=1)))[1]["percept"]
    assert maps.shape == (4, 1, side, side) and bool((maps >= 0).all())
    for peak in maps.flatten(1).argmax(dim=1).tolist():
        row, column = divmod(peak, side)
        assert ROWS.start // GRID_STRIDE - 1 <= row <= ROWS.stop // GRID_STRIDE
        assert COLUMNS.start // GRID_STRIDE - 1 <= column <= COLUMNS.stop // GRID_STRIDE


def test_locations_that_do_not_count_raise_no_local_error(percept: PerceptualEvidence) -> None:
    x = plant(make_normals(2, seed=1))
    side = SIZE // GRID_STRIDE
    seen = torch.ones(1, side, side, dtype=torch.bool)
    assert torch.equal(percept.measure(x, seen)[0]["percept"], percept.measure(x)[0]["percept"])
    # Features see some way around themselves: what counts is well away from the square.
    seen[:, :, : COLUMNS.stop // GRID_STRIDE + 4] = False
    masked, whole = percept.measure(x, seen)[0]["percept"], percept.measure(x)[0]["percept"]
    assert bool((masked < whole / 3).all())


def test_a_small_region_does_not_hide_what_is_strange_in_it(percept: PerceptualEvidence) -> None:
    side = SIZE // GRID_STRIDE
    distance = percept.place_mean[0] + percept.place_std[0] * 2.0
    distance = distance[None].clone()
    inside = (side * side) // 2
    distance[0, inside] = percept.place_mean[0, inside] + 12.0 * percept.place_std[0, inside]
    seen = torch.zeros(1, side, side, dtype=torch.bool)
    seen.view(-1)[inside] = True
    assert CONFIG.top == 4
    assert percept._top(distance, 0).item() == pytest.approx((12 + 3 * 2) / 4, rel=1e-3)
    assert percept._top(distance, 0, seen).item() == pytest.approx((12 + 3 * 2) / 4, rel=1e-3)
    seen.view(-1)[: side * 2] = True
    seen.view(-1)[inside] = False
    assert percept._top(distance, 0, seen).item() == pytest.approx(2.0, rel=1e-3)


def test_an_image_gets_the_same_in_a_batch_and_alone(percept: PerceptualEvidence) -> None:
    x = plant(make_normals(3, seed=2))
    together = percept.measure(x)[0]["percept"]
    alone = torch.cat([percept.measure(image[None])[0]["percept"] for image in x])
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("modes", "count"), [(1, 0), (1, 3), (2, 7)])
def test_too_few_images_for_the_gaussians_are_an_error_that_counts_them(modes: int, count: int) -> None:
    evidence = PerceptualEvidence(replace(CONFIG, modes=modes), pretrained=False)
    with pytest.raises(CalibrationError, match=rf"at least {4 * modes}.*there are {count}"):
        evidence.fit([make_normals(count, seed=0)] if count else [])


def test_four_images_are_enough() -> None:
    evidence = PerceptualEvidence(CONFIG, pretrained=True)
    evidence.fit([make_normals(4, seed=0)])
    assert evidence.measure(make_normals(2, seed=1))[0]["percept"].isfinite().all()


def test_two_modes_know_both_kinds_of_normal() -> None:
    first, second = make_normals(12, seed=0), make_normals(12, seed=1, slope=-1.0)
    evidence = PerceptualEvidence(replace(CONFIG, modes=2), pretrained=True)
    evidence.fit([torch.cat([first, second])])
    fresh = torch.cat([make_normals(3, seed=2), make_normals(3, seed=3, slope=-1.0)])
    assert evidence.measure(plant(fresh))[0]["percept"].min() > evidence.measure(fresh)[0]["percept"].max()


def test_an_outlier_with_a_group_of_its_own_does_not_end_the_fit() -> None:
    evidence = PerceptualEvidence(replace(CONFIG, modes=3), pretrained=True)
    evidence.fit([torch.cat([make_normals(12, seed=0), make_normals(12, seed=1, slope=-1.0), torch.ones(1, 3, SIZE, SIZE)])])
    twins = [(one, other) for one in range(3) for other in range(one) if torch.equal(evidence.mu[one], evidence.mu[other])]
    assert len(twins) == 1, "the group of one image repeats another"
    fresh = torch.cat([make_normals(3, seed=2), make_normals(3, seed=3, slope=-1.0)])
    assert evidence.measure(plant(fresh))[0]["percept"].min() > evidence.measure(fresh)[0]["percept"].max()


def test_a_fit_does_not_depend_on_how_the_images_were_batched(percept: PerceptualEvidence) -> None:
    other = PerceptualEvidence(CONFIG, pretrained=True)
    other.fit([make_normals(24, seed=0)])
    x = plant(make_normals(2, seed=1))
    assert torch.allclose(other.measure(x)[0]["percept"], percept.measure(x)[0]["percept"], rtol=1e-2)


def test_a_loaded_state_measures_the_same_to_the_bit(percept: PerceptualEvidence) -> None:
    x = plant(make_normals(2, seed=1))
    other = PerceptualEvidence(CONFIG, pretrained=False).eval()
    before = other.measure(x)[0]["percept"]
    other.load_state_dict(percept.state_dict())
    assert torch.equal(other.measure(x)[0]["percept"], percept.measure(x)[0]["percept"])
    assert not torch.equal(before, percept.measure(x)[0]["percept"])


def test_half_precision_around_it_changes_nothing() -> None:
    """Images that hardly differ have usual distances below the rounding of bf16: it would make each of them an anomaly."""
    normals = make_normals(1, seed=0) + 1e-3 * make_normals(16, seed=1)
    evidence = PerceptualEvidence(CONFIG, pretrained=True)
    evidence.fit([normals])
    fresh = make_normals(1, seed=0) + 1e-3 * make_normals(4, seed=2)
    errors, maps = evidence.measure(fresh)
    with torch.autocast("cpu", torch.bfloat16):
        same_errors, same_maps = evidence.measure(fresh)
        half = evidence.measure(fresh.bfloat16())[0]
    assert set(errors) == set(same_errors) and torch.equal(maps["percept"], same_maps["percept"])
    assert all(torch.equal(errors[name], same_errors[name]) for name in errors)
    assert all(value.dtype == torch.float32 for value in half.values())


def test_what_is_strange_all_over_is_seen_by_the_pooled_error(percept: PerceptualEvidence) -> None:
    x = make_normals(4, seed=1)
    normal, other = percept.measure(x)[0]["percept_pooled"], percept.measure(-x)[0]["percept_pooled"]
    assert other.min() > normal.max() + 1


def test_the_pooled_error_can_be_left_out() -> None:
    evidence = PerceptualEvidence(replace(CONFIG, pooled=False), pretrained=True)
    evidence.fit([make_normals(8, seed=0)])
    assert tuple(evidence.measure(make_normals(1, seed=1))[0]) == evidence.error_names == ("percept",)


@pytest.mark.parametrize("count", [12, 400])
def test_the_shrunk_covariance_is_that_of_scikit_learn(count: int) -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, 30, generator=generator, dtype=torch.float64) @ torch.randn(30, 30, generator=generator, dtype=torch.float64)
    assert torch.allclose(shrunk_covariance(x), torch.from_numpy(covariance.ledoit_wolf(x.numpy())[0]), rtol=1e-4, atol=1e-4)


def test_a_large_folder_is_fitted_to_an_even_selection(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []
    real = PerceptualEvidence.fit

    def fit(self: PerceptualEvidence, batches: Iterable[Tensor]) -> None:
        kept = list(batches)
        fitted.append(sum(map(len, kept)))
        real(self, kept)

    monkeypatch.setattr(PerceptualEvidence, "fit", fit)
    monkeypatch.setattr(finishing, "FITTED_IMAGES", 12)
    config = preset("tiny").override(**{"percept.enabled": True, "percept.size": 64, "percept.dimensions": 12, "percept.top": 4})
    assert run_training(RunDir.create(tmp_path / "run", config, toy_folder), device="cpu") == "done"
    assert fitted == [12]
    assert finishing._spread_out([Path(str(n)) for n in range(10)], 4) == [Path(n) for n in "0257"]
