"""Exports of a batch: tables that are safe to open, archives written image by image, a report that needs nothing but itself."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot
from html_reader import Reader

from panda_core.batch.job import StoppedError
from panda_core.batch.rows import Batch, Result, Results, collect, rethreshold
from panda_core.batch.sources import Source, open_folder
from panda_core.errors import PandaError
from panda_core.inspection import Boundary
from panda_core.report import page
from panda_core.report.files import Names, whole_file
from panda_core.report.markup import Subject, known_rates
from panda_core.report.page import pictured, write_report
from panda_core.report.pictures import REPORT_SIDE, write_pictures_zip
from panda_core.report.tables import BATCH_COLUMNS, write_batch_csv, write_batch_json, write_csv
from panda_core.scoring.decision import decide
from panda_core.spreadsheet import guard

HOSTILE = '=cmd|"<img src=x onerror=alert(1)>.png'
SUBJECT = Subject("leaf", "Leaves & <b>", "made up", "MIT", ("Sees roughness only.",), ("rough spots: AUROC 0.910",))


def inspect(paths: Sequence[Path]) -> Iterator[Result]:
    return FakeEngine(LEAF).inspect_many("leaf", paths)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """A normal, two anomalous (one wide, one of the same stem and a hostile name) and an unreadable image."""
    paths = [draw_spot(tmp_path / "a.png", strength=0), draw_spot(tmp_path / "b.png", size=700), draw_spot(tmp_path / "c.png")]
    paths.append(tmp_path / "text.png")
    paths[-1].write_text("text")
    (tmp_path / "rows").mkdir()
    made = Batch("leaf", Source("my <folder>", tuple(paths), ("a.png", "x/b.png", HOSTILE, "text.png")), tmp_path / "rows")
    collect(made, inspect(paths))
    made.mark(1, "normal")
    return made


@pytest.fixture
def results(batch: Batch) -> Results:
    return rethreshold(batch)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_made_plain(text: str) -> None:
    assert guard(text) == f"'{text}" and guard(f"a{text}") == f"a{text}"


def test_the_table_has_a_line_an_image_and_no_formula(results: Results, tmp_path: Path) -> None:
    write_batch_csv(tmp_path / "out.csv", results)
    lines = read_csv(tmp_path / "out.csv")
    assert list(lines[0]) == [*BATCH_COLUMNS, "percept", "recon"]
    assert [line["name"] for line in lines] == ["a.png", "x/b.png", f"'{HOSTILE}", "text.png"]
    for line, row in zip(lines[:3], results.rows, strict=False):
        assert float(line["score"]) == row.score and float(line["margin"]) == row.margin and line["verdict"] == row.outcome
        assert (line["boundary"], line["boundary_kind"], line["pixel_threshold"]) == ("6.0", "synthetic", "3.0")
    assert lines[0]["margin"].startswith("-"), "a negative number stays a number"
    assert [line["mark"] for line in lines] == ["", "normal", "", ""]
    assert "text" in lines[3]["error"] and lines[3]["score"] == lines[3]["verdict"] == ""


def test_every_export_says_that_the_model_looks_at_its_region_only(batch: Batch, tmp_path: Path) -> None:
    batch.ignored = 0.987
    results = rethreshold(batch)
    write_batch_csv(tmp_path / "out.csv", results)
    write_batch_json(tmp_path / "out.json", results)
    write_report(tmp_path / "out.html", results, SUBJECT, inspect)
    assert {line["ignored"] for line in read_csv(tmp_path / "out.csv")[:3]} == {"0.987"}
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["ignored"] == 0.987
    note = "looks at its region of interest only: 98.7 % of each image is ignored."
    assert note in (tmp_path / "out.html").read_text(encoding="utf-8")
    batch.ignored = 0.0
    write_report(tmp_path / "out.html", rethreshold(batch), SUBJECT, inspect)
    assert "region of interest" not in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_what_is_expected_of_a_tail_is_not_called_a_count() -> None:
    counted = Boundary(1.0, "synthetic", "", false_alarm_rate=0.05, miss_rate=0.2)
    assert known_rates(counted, "the images") == "On the images: 5.0 % false alarms, 20.0 % misses."
    assert known_rates(counted, "the images", "synthetic").endswith("false alarms, 20.0 % of the synthetic anomalies missed.")
    tail = replace(counted, kind="tail", false_alarm_rate=1 / 7)
    promise = "About 14.3 % of new normal images should be called anomalous."
    assert known_rates(tail, "the images") == f"{promise} On the images: 20.0 % misses."
    assert known_rates(replace(tail, miss_rate=None), "the images") == promise
    assert known_rates(Boundary(1.0, "manual", ""), "the images") == ""


def test_lists_of_regions_become_their_count(tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", [{"path": "a", "regions": [{}, {}], "errors": {"recon": 0.5}}])
    assert read_csv(tmp_path / "out.csv")[0] | {"regions": "2", "recon": "0.5"} == read_csv(tmp_path / "out.csv")[0]


def test_an_error_called_score_has_a_column_of_its_own(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"path": "a.png", "score": 1.5, "errors": {"score": 99.0}}])
    (line,) = csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines())
    assert (line["score"], line["error score"]) == ("1.5", "99.0")


def test_the_overlay_of_a_very_long_image_is_no_jpeg(tmp_path: Path) -> None:
    long = draw_spot(tmp_path / "long.png", strength=0)
    cv2.imwrite(str(long), np.full((12, 66_000), 90, np.uint8))
    (tmp_path / "rows").mkdir()
    batch = Batch("leaf", Source("x", (long,), ("long.png",)), tmp_path / "rows")
    collect(batch, inspect([long]))
    write_pictures_zip(tmp_path / "a.zip", rethreshold(batch), inspect, on_step=lambda: None, should_stop=lambda: False)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert any(name.startswith("overlays/") and name.endswith(".png") for name in archive.namelist())


def test_the_json_says_where_the_thresholds_come_from(batch: Batch, tmp_path: Path) -> None:
    write_batch_json(tmp_path / "out.json", rethreshold(batch, boundary=7.5, pixel_threshold=2.0))
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert document["boundary"] | {"value": 7.5, "kind": "manual"} == document["boundary"]
    assert document["boundary"]["false_alarm_rate"] == 0.0 and document["pixel_threshold"] == 2.0
    assert document["counts"] == {"anomalous": 2, "normal": 1, "unreadable": 1} and document["not_inspected"] == 0
    assert document["images"][1]["mark"] == "normal" and document["images"][3]["error"]
    assert document["images"][1]["errors"].keys() == {"recon", "percept"}


def test_the_archive_holds_the_pictures_of_the_moved_thresholds(batch: Batch, tmp_path: Path) -> None:
    steps: list[int] = []
    write_pictures_zip(tmp_path / "out.zip", rethreshold(batch, pixel_threshold=1.0), inspect, on_step=lambda: steps.append(1))
    assert len(steps) == 3
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = archive.namelist()
        masks = [cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), 0) for name in names if name.startswith("masks/")]
        assert len(names) == len(set(names)) == 7 and not any(".." in name or name.startswith("/") for name in names)
        first = cv2.imdecode(np.frombuffer(archive.read("overlays/b.jpg"), np.uint8), 1)
    expected = [decide(result, pixel_threshold=1.0).mask for result in inspect(batch.source.paths[:3]) if not isinstance(result, Exception)]
    assert all(np.array_equal(mask > 0, wanted) for mask, wanted in zip(masks, expected, strict=True))
    assert first.shape == (700, 700, 3)


def test_a_file_that_has_gone_meanwhile_is_listed_and_the_others_go_on(results: Results, tmp_path: Path) -> None:
    results.rows[1].path.unlink()
    write_pictures_zip(tmp_path / "out.zip", results, inspect)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert "x/b.png: there is no such file" in archive.read("not-read.txt").decode()
        assert sum(name.startswith("overlays/") for name in archive.namelist()) == 2
    write_report(tmp_path / "out.html", results, SUBJECT, inspect)
    assert "can no longer be read" in (tmp_path / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["zip", "html"])
def test_a_stopped_export_leaves_no_file(kind: str, results: Results, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    steps: list[int] = []
    options: dict[str, Any] = {"on_step": lambda: steps.append(1), "should_stop": lambda: len(steps) == 1}
    with pytest.raises(StoppedError):
        if kind == "zip":
            write_pictures_zip(out / "out.zip", results, inspect, **options)
        else:
            write_report(out / "out.html", results, SUBJECT, inspect, **options)
    assert not list(out.iterdir())


def test_the_report_needs_nothing_but_itself(results: Results, tmp_path: Path) -> None:
    write_report(tmp_path / "out.html", results, SUBJECT, inspect)
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    found = Reader(text)
    assert not {"script", "link", "iframe", "b:"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    sources = [value or "" for name, value in found.attributes if name in ("src", "href")]
    assert len(sources) == 3 and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", text)
    sizes = [max(cv2.imdecode(np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8), 1).shape) for source in sources]
    assert sorted(sizes) == [96, 96, REPORT_SIDE]


def test_the_report_says_verdicts_thresholds_model_and_limits(batch: Batch, tmp_path: Path) -> None:
    write_report(tmp_path / "out.html", rethreshold(batch, boundary=5.0), SUBJECT, inspect)
    text = Reader((tmp_path / "out.html").read_text(encoding="utf-8")).text
    for part in (
        HOSTILE,
        "my <folder>",
        "Leaves & <b>",
        "5.000, set by hand",
        "6.000, from synthetic",
        "Sees roughness only.",
        "AUROC 0.910",
    ):
        assert part in text, part
    assert "2anomalous" in text and "1normal" in text and "1unreadable" in text and "is text, not an image" in text


def test_bars_of_the_histogram_add_up_to_the_images(batch: Batch) -> None:
    svg = page.histogram(rethreshold(batch))
    heights = [float(height) for height in re.findall(r'class="bar [a-z]+"[^>]*height="([\d.]+)"', svg)]
    largest = int(re.findall(r'y="18">(\d+)<', svg)[0])
    assert sum(heights) / (150 / largest) == pytest.approx(3)


def test_only_the_strangest_of_many_images_get_a_picture_and_it_is_said(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_PICTURES", 2)
    margins = [row.margin or 0 for row in pictured(results)]
    assert len(margins) == 2 and margins == sorted(margins, reverse=True) and min(margins) > 0
    write_report(tmp_path / "out.html", results, SUBJECT, inspect)
    assert "The 2 of 3 images with the largest margin" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_report_of_a_stopped_batch_says_what_is_missing(batch: Batch, tmp_path: Path) -> None:
    del batch.rows[2:]
    write_report(tmp_path / "out.html", rethreshold(batch), Subject("leaf"), inspect)
    assert "2 of 4 images were not inspected" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_batch_without_a_readable_image_can_be_exported(batch: Batch, tmp_path: Path) -> None:
    empty = Batch("leaf", Source("x", batch.source.paths[3:], ("text.png",)), tmp_path)
    collect(empty, inspect(empty.source.paths))
    nothing = rethreshold(empty)
    write_batch_csv(tmp_path / "out.csv", nothing)
    write_batch_json(tmp_path / "out.json", nothing)
    write_pictures_zip(tmp_path / "out.zip", nothing, inspect)
    write_report(tmp_path / "out.html", nothing, SUBJECT, inspect)
    assert json.loads((tmp_path / "out.json").read_text())["boundary"] is None
    assert "No image could be read" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_names_that_are_no_text_do_not_stop_an_export(tmp_path: Path) -> None:
    place = tmp_path / "images"
    place.mkdir()
    draw_spot(tmp_path / "a.png").rename(place / os.fsdecode(b"caf\xe9.png"))
    odd = Batch("leaf", open_folder(place, [tmp_path]), tmp_path)
    collect(odd, inspect(odd.source.paths))
    write_batch_csv(tmp_path / "out.csv", rethreshold(odd))
    write_batch_json(tmp_path / "out.json", rethreshold(odd))
    write_pictures_zip(tmp_path / "out.zip", rethreshold(odd), inspect)
    write_report(tmp_path / "out.html", rethreshold(odd), SUBJECT, inspect)
    assert read_csv(tmp_path / "out.csv")[0]["name"] == "caf?.png" and odd.rows[0].score is not None


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(PandaError, match="cannot be written"), whole_file(tmp_path / "missing" / "out.txt") as file:
        file.write(b"new")


def test_two_writers_of_one_file_do_not_spoil_each_others(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with whole_file(path) as first:
        first.write(b"first, whole")
        first.flush()
        with whole_file(path) as second:
            second.write(b"second, whole")
        assert path.read_bytes() == b"second, whole"
    assert path.read_bytes() == b"first, whole" and list(tmp_path.iterdir()) == [path]


def test_equal_names_get_numbers() -> None:
    names = Names()
    assert [names.take(stem) for stem in ("leaf", "Leaf", "leaf_2", "leaf")] == ["leaf", "Leaf_2", "leaf_2_2", "leaf_3"]
