"""`panda datasets`: the list, and a set brought into the layout used here; downloads fail with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest

from panda_core.__main__ import run
from panda_core.data.folders import labelled_test
from panda_core.datasets import DATASETS, downloading
from panda_core.datasets.downloading import download
from panda_core.errors import FolderError

Fill = Callable[[Path], Path]


def test_the_list_tells_what_is_there(root: Path, write_mvtec: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    write_mvtec(root / "elpv" / "mono")
    assert run(["datasets", "--data", str(root), "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(DATASETS)
    assert rows["elpv"]["found"] == {"mono": 22}
    assert [name for name, row in rows.items() if row["found"]] == ["elpv"]
    assert rows["elpv"]["licence"] == DATASETS["elpv"].licence


def test_the_list_is_there_without_a_root(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PANDA_DATA", str(tmp_path / "gone"))
    assert run(["datasets"]) == 0
    said = capsys.readouterr()
    assert "not found" in said.out and "PANDA_DATA" in said.err


def test_all_categories_that_are_there_are_prepared(root: Path, place: Path, write_mvtec: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    for category in ("bottle", "screw"):
        write_mvtec(root / "mvtec_ad" / category)
    assert run(["datasets", "prepare", "mvtec_ad", "--data", str(root), "--out", str(place), "--limit", "4", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [row["category"] for row in made] == ["bottle", "screw"]
    assert all(labelled_test(Path(row["folder"])) and len(row["fingerprint"]) == 64 for row in made)


def test_a_person_is_told_where_it_lies_and_whose_it_is(
    root: Path, place: Path, write_mvtec: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_mvtec(root / "mvtec_ad" / "bottle")
    assert run(["datasets", "prepare", "mvtec_ad", "bottle", "--data", str(root), "--out", str(place)]) == 0
    said = capsys.readouterr()
    assert str(folder) in said.out and "CC BY-NC-SA" in said.err


def test_a_missing_set_is_a_sentence(root: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "prepare", "sixray", "--data", str(root), "--out", str(place)]) == 2
    assert "academic use only" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_a_network_a_download_fails_with_a_sentence(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(FolderError, match=rf"{name} could not be downloaded \(.*no network.*Get it by hand"):
        download(name, root)


def test_other_sets_are_not_downloaded(root: Path) -> None:
    with pytest.raises(FolderError, match="only mnist and cifar10"):
        download("mvtec_ad", root)


def test_what_is_there_is_not_downloaded_again(root: Path, place: Path, write_mvtec: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(home: Path) -> None:
        raise AssertionError(f"fetched into {home}")

    monkeypatch.setitem(downloading._FETCH, "mnist", never)
    write_mvtec(root / "mnist" / "3")
    assert run(["datasets", "prepare", "mnist", "3", "--data", str(root), "--out", str(place), "--download"]) == 0
