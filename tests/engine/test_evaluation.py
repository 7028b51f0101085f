"""The report of a labelled folder, and the baseline that only looks at colours."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from panda_core.comparison import auroc_difference
from panda_core.data.folders import LabelledImage, labelled_test
from panda_core.data.images import list_images
from panda_core.errors import CalibrationError, FolderError
from panda_core.evaluation import Report, evaluate
from panda_core.inspector import Inspector
from panda_core.trivial import baseline_beside, trivial_baseline


@pytest.fixture(scope="module")
def report(inspector: Inspector, toy_folder: Path) -> Report:
    return evaluate(inspector, toy_folder)


def test_a_report_is_json_as_it_is(report: Report) -> None:
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["auroc"] == report.auroc


def test_a_report_counts_its_images_and_judges_each_error(report: Report, inspector: Inspector) -> None:
    assert (report.normal, report.anomalous, report.prevalence) == (6, 6, 0.5)
    assert report.error_auroc.keys() == inspector.calibration.errors.keys()
    assert dict(report.defect_count) == {"scar": 6} and report.defect_auroc["scar"] == report.auroc
    assert all(0 <= value <= 1 for value in (*report.error_auroc.values(), report.false_alarm_rate, report.miss_rate, report.auprc))
    assert report.auroc_ci[0] <= report.auroc <= report.auroc_ci[1]
    assert report.error_auroc_ci.keys() == report.error_auroc.keys() and report.defect_auroc_ci["scar"] == report.auroc_ci
    assert all(low <= report.error_auroc[name] <= high for name, (low, high) in report.error_auroc_ci.items())


def test_a_report_names_every_image_with_what_it_is_and_its_score(report: Report, inspector: Inspector, toy_folder: Path) -> None:
    images = report.to_dict()["images"]
    assert [one["label"] for one in images] == ["normal"] * 6 + ["anomalous"] * 6
    assert {one["defect"] for one in images if one["label"] == "anomalous"} == {"scar"}
    assert images[0]["path"] == "test/good/000.png"
    assert images[0]["score"] == inspector.inspect(toy_folder / images[0]["path"]).score


def test_rates_follow_from_the_scores_and_the_curves_pass_through_them(report: Report) -> None:
    normal, odd = report.scores(anomalous=False), report.scores(anomalous=True)
    assert report.false_alarm_rate == (normal > report.boundary).mean() and report.miss_rate == (odd <= report.boundary).mean()
    assert report.found("scar") == (odd > report.boundary).sum() and report.found("crack") == 0
    assert (report.false_alarm_rate, 1 - report.miss_rate) in report.roc, "the boundary is a point of the curve"
    assert report.auprc_ci[0] <= report.auprc <= report.auprc_ci[1]


def test_the_hardest_images_of_each_class_come_first(report: Report) -> None:
    normal = [report.images[place].score for place in report.hardest(4, anomalous=False)]
    odd = [report.images[place].score for place in report.hardest(99, anomalous=True)]
    assert len(normal) == 4 and normal == sorted(report.scores(anomalous=False), reverse=True)[:4]
    assert odd == sorted(report.scores(anomalous=True))


def test_what_raises_at_an_image_ends_the_measurement(inspector: Inspector, toy_folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 12
        if done == 3:
            raise InterruptedError

    seen: list[str] = []
    with pytest.raises(InterruptedError):
        evaluate(inspector, toy_folder, on_progress=stop, on_image=lambda image, inspection: seen.append(image.name))
    assert len(seen) == 3


def test_a_model_is_no_better_than_itself_and_only_shared_images_count(report: Report) -> None:
    same = auroc_difference(report, report)
    assert same.auroc == 0 and same.ci[0] == -same.ci[1] < 0, "six images of a class leave much open"
    fewer = auroc_difference(report, replace(report, images=report.images[3:]))
    assert fewer == auroc_difference(replace(report, images=report.images[3:]), report) and fewer.ci[1] > same.ci[1] and fewer.auroc == 0
    with pytest.raises(CalibrationError, match="Both classes"):
        auroc_difference(report, replace(report, images=report.images[6:]))


def test_masks_give_pixel_measures(report: Report) -> None:
    assert report.pixel_auroc is not None and report.aupro is not None
    assert 0 <= report.aupro <= 1 and 0 <= report.pixel_auroc <= 1


def test_masks_that_number_their_classes_are_masks(inspector: Inspector, report: Report, toy_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_folder, tmp_path / "discs")
    for path in (tmp_path / "discs" / "ground_truth" / "scar").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path), (mask > 127).astype(np.uint8))
    found = evaluate(inspector, tmp_path / "discs")
    assert (found.pixel_auroc, found.aupro) == (report.pixel_auroc, report.aupro)


def test_masks_that_do_not_belong_to_their_images_are_named_and_do_not_count(
    inspector: Inspector, report: Report, toy_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_folder, tmp_path / "discs")
    masks = sorted((tmp_path / "discs" / "ground_truth" / "scar").iterdir())
    pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in masks]
    cv2.imwrite(str(masks[0]), cv2.resize(pictures[0], (90, 40)))
    cv2.imwrite(str(masks[1]), np.zeros_like(pictures[1]))
    masks[2].unlink()
    cv2.imwrite(str(masks[3]), cv2.resize(pictures[3], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST))
    found = evaluate(inspector, tmp_path / "discs")
    assert (report.masks, report.problems) == (6, ()) and found.to_dict()["masks"] == 3 and found.anomalous == 6
    assert [problem.split(": ")[0] for problem in found.problems] == [
        "ground_truth/scar/000_mask.png",
        "ground_truth/scar/001_mask.png",
        "test/scar/002.png",
    ]
    for problem, words in zip(found.problems, ("90 x 40 pixels for an image of 48 x 48", "marks nothing", "no true mask"), strict=True):
        assert words in problem
    for path in (masks[0], masks[1]):
        path.unlink()
    assert evaluate(inspector, tmp_path / "discs").pixel_auroc == found.pixel_auroc, "the same three masks count"


def test_without_masks_there_are_no_pixel_measures(inspector: Inspector, toy_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_folder / "test", tmp_path / "test")
    found = evaluate(inspector, tmp_path)
    assert found.pixel_auroc is None and found.aupro is None and found.problems == ()
    (tmp_path / "ground_truth").mkdir()
    (problem,) = evaluate(inspector, tmp_path).problems
    assert problem.startswith("ground_truth: holds no mask of these images")


def test_an_unreadable_image_is_a_problem_not_the_end(inspector: Inspector, toy_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_folder / "test", tmp_path / "test")
    (tmp_path / "test" / "good" / "000.png").write_bytes(b"nothing")
    found = evaluate(inspector, tmp_path)
    assert found.normal == 5 and len(found.problems) == 1 and found.problems[0].startswith("test/good/000.png: ")


def test_an_unreadable_mask_is_named_and_costs_only_the_pixel_measures(inspector: Inspector, toy_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_folder, tmp_path / "discs")
    for path in (tmp_path / "discs" / "ground_truth" / "scar").iterdir():
        path.write_bytes(b"nothing")
    found = evaluate(inspector, tmp_path / "discs")
    assert found.anomalous == 6 and found.pixel_auroc is None
    assert found.problems[0].startswith("ground_truth/scar/000_mask.png: ") and len(found.problems) == 6


@pytest.mark.parametrize("missing", ["good", "scar"])
def test_one_class_alone_cannot_be_evaluated(inspector: Inspector, toy_folder: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(toy_folder / "test", tmp_path / "test")
    shutil.rmtree(tmp_path / "test" / missing)
    with pytest.raises(FolderError, match=str(tmp_path)):
        evaluate(inspector, tmp_path)


def test_a_class_none_of_whose_images_can_be_read_is_missing(inspector: Inspector, toy_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_folder / "test", tmp_path / "test")
    for path in (tmp_path / "test" / "scar").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(FolderError, match="0 anomalous and 6 normal"):
        evaluate(inspector, tmp_path)


def write_noise(folder: Path, *, count: int, seed: int, cast: tuple[int, int, int] = (0, 0, 0)) -> list[Path]:
    """Images whose brightness varies, with a colour cast (RGB) added."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        image = rng.normal(rng.normal(120, 8), 15, (12, 12, 3)) + np.array(cast)
        cv2.imwrite(str(folder / f"{number:03d}.png"), np.clip(image, 0, 255).astype(np.uint8)[:, :, ::-1])
    return sorted(folder.iterdir())


def test_the_baseline_sees_a_colour_cast_and_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    train = write_noise(tmp_path / "train", count=80, seed=0)
    good = [LabelledImage(path, "good", None) for path in write_noise(tmp_path / "good", count=80, seed=1)]
    red = [LabelledImage(path, "red", None) for path in write_noise(tmp_path / "red", count=80, seed=2, cast=(40, 0, 0))]
    same = [LabelledImage(path, "same", None) for path in write_noise(tmp_path / "same", count=80, seed=3)]
    assert trivial_baseline(train, good + red) > 0.99
    assert 0.35 < trivial_baseline(train, good + same) < 0.65


def test_a_folder_without_images_to_learn_from_has_no_baseline(toy_folder: Path, tmp_path: Path) -> None:
    samples = labelled_test(toy_folder)
    assert baseline_beside(toy_folder, samples) == trivial_baseline(list_images(toy_folder / "train" / "good"), samples)
    shutil.copytree(toy_folder / "test", tmp_path / "test")
    assert baseline_beside(tmp_path, samples) is None
    (tmp_path / "train" / "good").mkdir(parents=True)
    assert baseline_beside(tmp_path, samples) is None
    shutil.copy(toy_folder / "train" / "good" / "000.png", tmp_path / "train" / "good")
    assert baseline_beside(tmp_path, samples) is None


def test_an_evaluation_says_what_colour_alone_reaches(inspector: Inspector, toy_folder: Path) -> None:
    report = evaluate(inspector, toy_folder)
    assert report.trivial_auroc == baseline_beside(toy_folder, labelled_test(toy_folder))
    assert report.to_dict()["trivial_auroc"] == report.trivial_auroc
