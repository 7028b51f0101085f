"""The report of an evaluation: pictures of the hardest images, every number beside its interval, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engine_double import LEAF, FakeEngine, draw_spot
from html_reader import Reader

from panda_core.data.folders import labelled_test
from panda_core.evaluation import measure
from panda_core.report.charts import Curve, unit_chart
from panda_core.report.evaluation import Measured, write_evaluation
from panda_core.report.hardest import HardestPictures
from panda_core.report.markup import Subject

HOSTILE = '"><img src=x onerror=alert(1)>.png'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Spots of rising strength in both classes, so that the weakest anomalies score below the strongest normals."""
    place = tmp_path / "parts"
    for label, strengths in (("good", range(0, 60, 10)), ("spot", range(35, 215, 30))):
        (place / "test" / label).mkdir(parents=True)
        for strength in strengths:
            draw_spot(place / "test" / label / f"{strength}.png", strength=strength)
    draw_spot(place / "test" / "spot" / HOSTILE, strength=200)
    (place / "test" / "good" / "text.png").write_text("text")
    return place


@pytest.fixture
def measured(folder: Path) -> Iterator[Measured]:
    engine, pictures = FakeEngine(LEAF), HardestPictures(most=3)
    report = measure(labelled_test(folder), lambda path: engine.inspect("leaf", path), folder, on_image=pictures.see)
    yield Measured(replace(report, device="CPU"), Subject("leaf", "Leaves & <b>", licence="MIT"), pictures.pictures)


def test_pictures_are_kept_of_the_hardest_images_only(measured: Measured) -> None:
    hardest = [place for odd in (False, True) for place in measured.report.hardest(3, anomalous=odd)]
    assert {measured.report.images[place].path for place in hardest} == measured.pictures.keys()
    assert all(picture.startswith(b"\xff\xd8") for picture in measured.pictures.values())


def test_the_report_needs_nothing_but_itself_and_runs_no_name(measured: Measured, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "out.html", "my <folder>", [measured])
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    found = Reader(text)
    assert not {"script", "link", "iframe", "b:"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    sources = [value or "" for name, value in found.attributes if name in ("src", "href")]
    assert len(sources) == 6 and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", text)
    assert f"test/spot/{HOSTILE}" in found.text and "my <folder>" in found.text and "text.png" in found.text


def test_the_report_says_every_number_the_engine_measured(measured: Measured, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "out.html", "parts", [measured])
    text, report = Reader((tmp_path / "out.html").read_text(encoding="utf-8")).text, measured.report
    for value in (report.auroc, *report.auroc_ci, report.auprc, *report.auprc_ci, report.boundary, *report.defect_auroc_ci["spot"]):
        assert f"{value:.3f}" in text
    assert "6 normal, 7 anomalous" in text and "beside the first" not in text
    assert "flatters the model" in text and "with several pictures of one object they are too narrow" in text


def test_models_are_compared_with_the_first(measured: Measured, tmp_path: Path) -> None:
    worse = replace(measured.report, images=tuple(replace(image, score=-image.score) for image in measured.report.images))
    write_evaluation(tmp_path / "out.html", "parts", [measured, Measured(worse, Subject("worse"))])
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    expected = (1 - measured.report.auroc) - measured.report.auroc
    assert f"−{abs(expected):.3f}" in Reader(text).text
    assert len(re.findall(r'class="curve"', text)) == 4, "two charts of two curves"


def test_a_boundary_that_a_person_set_is_not_called_the_models_own(measured: Measured, tmp_path: Path) -> None:
    by_hand = replace(measured, report=replace(measured.report, boundary_kind="manual"))
    for one, said, unsaid in (
        (measured, "None was chosen on these images", "set by a person"),
        (by_hand, "set by a person", "None was chosen"),
    ):
        write_evaluation(tmp_path / "a.html", "parts", [one])
        page = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert said in page and unsaid not in page


def test_a_curve_lies_within_its_chart() -> None:
    svg = unit_chart([Curve("a", ((0, 0), (0.2, 0.9), (1, 1)), stepped=True)], x="x", y="y", guess=((0, 0), (1, 1)))
    drawn = [tuple(map(float, pair.split())) for path in re.findall(r'd="M([^"MZ]+)"', svg) for pair in path.split("L")]
    assert drawn and all(46 <= x <= 386 and 12 <= y <= 340 for x, y in drawn)
