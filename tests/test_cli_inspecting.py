"""``panda inspect`` on folders as people have them: broken links, data sets, earlier results, an end in the middle."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured, call, call_json

from panda_core.errors import ImageError
from panda_core.inspection import Inspection
from panda_core.inspector import Inspector
from panda_core.report.results_folder import ResultsFolder


@pytest.fixture
def photos(toy_folder: Path, tmp_path: Path) -> Path:
    """Six normal images, free to be changed."""
    return Path(shutil.copytree(toy_folder / "test" / "good", tmp_path / "photos"))


def test_a_broken_link_and_a_pipe_are_listed_with_their_reasons(capsys: Captured, photos: Path, tiny_model: Path) -> None:
    (photos / "a.png").symlink_to("/nope")
    os.mkfifo(photos / "b.png")
    found = call_json(capsys, "inspect", photos, "--model", tiny_model)
    reasons = {Path(entry["path"]).name: entry["error"] for entry in found if "error" in entry}
    assert reasons.keys() == {"a.png", "b.png"} and len(found) == 8
    assert "link to a file that is not there" in reasons["a.png"] and "regular" in reasons["b.png"]


def test_a_folder_in_which_nothing_could_be_read_is_listed_and_exit_code_1(capsys: Captured, tiny_model: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    code, out, _ = call(capsys, "inspect", tmp_path, "--model", tiny_model, "--json")
    assert code == 1 and [Path(entry["path"]).name for entry in json.loads(out)] == ["a.png", "b.png"]
    code, out, _ = call(capsys, "inspect", tmp_path, "--model", tiny_model)
    assert code == 1 and "not read" in out


def test_true_masks_and_earlier_results_are_no_photos(capsys: Captured, toy_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(toy_folder / "test", tmp_path / "data" / "test")).parent
    shutil.copytree(toy_folder / "ground_truth", data / "ground_truth")
    first = call_json(capsys, "inspect", data, "--model", tiny_model, "--out", data / "results")
    assert len(first) == 12
    (data / "masks").mkdir()
    shutil.copy(toy_folder / "test" / "good" / "000.png", data / "masks" / "worn.png")  # a person's own: no results beside it
    code, out, err = call(capsys, "inspect", data, "--model", tiny_model, "--json")
    found = [entry["path"] for entry in json.loads(out)]
    assert code == 0 and sorted(found) == sorted([*(entry["path"] for entry in first), str(data / "masks" / "worn.png")])
    assert f"6 images in {data / 'ground_truth'}" in err and f"12 images in {data / 'results' / 'overlays'}" in err
    assert len(call_json(capsys, "inspect", data / "ground_truth", "--model", tiny_model)) == 6, "asked for by name"


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_name_their_pictures_and_a_second_run_clears_only_those(
    capsys: Captured, photos: Path, mixed_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    call_json(capsys, "inspect", photos, "--model", tiny_model, "--out", out)
    (out / "masks" / "mine.png").write_text("mine")
    found = call_json(capsys, "inspect", mixed_folder, "--model", tiny_model, "--out", out)
    rows = rows_of(out)
    for entry, row in zip(found, rows, strict=True):
        for column in ("overlay", "mask"):
            assert entry.get(column, "") == row[column] and (not row[column] or (out / row[column]).is_file())
    for part, more in (("overlays", set()), ("masks", {"mine.png"})):
        written = {Path(row[part.removesuffix("s")]).name for row in rows if row["mask"]}
        assert {path.name for path in (out / part).iterdir()} == written | more
    assert len({row["mask"] for row in rows}) == 5, "four pictures, and nothing for the file that is none"


def test_scripts_can_ask_for_an_exit_code(capsys: Captured, photos: Path, mixed_folder: Path, tiny_model: Path) -> None:
    def code(path: Path, boundary: float, *options: str) -> int:
        return call(capsys, "inspect", path, "--model", tiny_model, "--boundary", boundary, *options)[0]

    assert code(photos, -1e9, "--exit-code") == 3 and code(photos, -1e9) == 0
    assert code(photos, 1e9, "--exit-code") == 0
    assert code(mixed_folder, -1e9, "--exit-code", "--json") == 3
    assert code(mixed_folder, 1e9, "--exit-code") == 4 and code(mixed_folder, 1e9) == 0, "one of its files cannot be read"
    assert code(mixed_folder / "scar" / "text.png", 1e9, "--exit-code") == 2


@pytest.mark.parametrize("option", ["--boundary", "--pixel-threshold"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_threshold_that_is_no_number_clears_no_results_away(
    capsys: Captured, photos: Path, tiny_model: Path, tmp_path: Path, option: str, value: str
) -> None:
    (tmp_path / "results.csv").write_text("path,score,verdict\n")
    code, _, err = call(capsys, "inspect", photos, "--model", tiny_model, "--out", tmp_path, option, value)
    assert code == 2 and "finite number" in err and (tmp_path / "results.csv").read_text() == "path,score,verdict\n"


def test_a_table_of_somebody_else_is_not_replaced_and_a_mistyped_name_clears_nothing(
    capsys: Captured, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    call_json(capsys, "inspect", photos, "--model", tiny_model, "--out", out)
    assert call(capsys, "inspect", tmp_path / "typo.png", "--model", tiny_model, "--out", out)[0] == 2
    code, _, err = call(capsys, "inspect", out / "masks" / "000.png", "--model", tiny_model, "--out", out)
    assert code == 2 and "--out" in err
    assert all((out / row["mask"]).is_file() for row in rows_of(out))
    for text in ("day,price\n1,2\n", "path,score,verdict,boundary_kind,overlay,mask\n../photos/a,1,,,../photos/000.png,/etc/hosts\n"):
        (out / "results.csv").write_text(text)
        code, _, err = call(capsys, "inspect", photos, "--model", tiny_model, "--out", out)
        assert (code == 2 and "does not say" in err) == ("price" in text)
        assert (photos / "000.png").is_file(), "what lies outside of the two folders is no picture of an earlier run"


def test_an_end_in_the_middle_keeps_what_was_inspected(
    capsys: Captured, photos: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Inspector.inspect_many

    def interrupted(self: Inspector, *arguments: Any, **options: Any) -> Iterator[Inspection | ImageError]:
        yield from islice(every(self, *arguments, **options), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(Inspector, "inspect_many", interrupted)
    code, out, err = call(capsys, "inspect", photos, "--model", tiny_model, "--out", tmp_path / "results", "--json")
    assert code == 1 and not out and "2 of 6 images" in err and "Stopped" in err
    assert [Path(row["path"]).name for row in rows_of(tmp_path / "results")] == ["000.png", "001.png"]


def test_sigterm_keeps_what_was_inspected_and_says_so(
    capsys: Captured, photos: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ResultsFolder.add

    def add(self: ResultsFolder, source: Path, *seen: Any) -> dict[str, str]:
        assert rows_of(self.folder) == [], "from the start the folder says whose pictures these are"
        if source.name == "002.png":
            os.kill(os.getpid(), signal.SIGTERM)
        return honest(self, source, *seen)

    monkeypatch.setattr(ResultsFolder, "add", add)
    code, _, err = call(capsys, "inspect", photos, "--model", tiny_model, "--out", tmp_path / "out")
    assert code == 1 and "3 of 6 images were inspected" in err
    assert [Path(row["path"]).name for row in rows_of(tmp_path / "out")] == ["000.png", "001.png", "002.png"]


@pytest.mark.parametrize(
    "arguments", [("inspect", ""), ("inspect", "{photos}", "--out", ""), ("train", "{photos}", "--run", ""), ("check", "")]
)
def test_an_empty_path_is_not_the_folder_one_is_in(
    capsys: Captured, photos: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    model = ("--model", tiny_model) if arguments[0] == "inspect" else ()
    code, out, err = call(capsys, *(argument.format(photos=photos) for argument in arguments), *model)
    assert code == 2 and not out and "it is empty" in err and not list((tmp_path / "here").iterdir())


def test_long_names_are_folded_and_not_cut(capsys: Captured, photos: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.cli.inspecting.OUT.width", 80)
    place = Path(shutil.copytree(photos, photos.parent / ("a long name " * 4) / ("of a folder " * 4)))
    _, out, _ = call(capsys, "inspect", place, "--model", tiny_model)
    assert "…" not in out and "".join(re.findall(r"[\w.]", out)).count("png") == 6


def test_several_images_are_not_one_array_or_path(tiny_model: Path, photos: Path) -> None:
    inspector = Inspector.load(tiny_model)
    for one in (np.zeros((8, 8, 3), np.uint8), photos / "000.png", str(photos / "000.png")):
        with pytest.raises(TypeError, match=r"inspect_many\(\[image\]\)"):
            next(inspector.inspect_many(one))  # type: ignore[arg-type]
