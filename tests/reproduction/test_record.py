"""Records: what is written comes back, and what cannot be is refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reproduction.made_up import made_up

from panda_core.reproduction.record import Record, RecordError, read_record, read_records, record_path, write_record


def test_a_record_survives_its_file_unchanged(tmp_path: Path) -> None:
    record = made_up(auprc_ci=(0.5, 0.7), eer=0.2, error_auroc={"recon": 0.6}, critic={"L_C": 1.1}, overrides={"critic.kind": "dcgan"})
    path = write_record(tmp_path, record)
    assert read_record(path) == record
    assert read_records(tmp_path) == (record,)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "a temporary file was left behind"


def test_a_record_lies_where_the_convention_says(tmp_path: Path) -> None:
    place = {"system": "anomalib-padim", "dataset": "elpv", "size": 224, "seed": 1}
    assert record_path(tmp_path, category="mono", **place) == tmp_path / "records/anomalib-padim/elpv-mono-224-seed1.json"
    assert record_path(tmp_path, category="", **place).name == "elpv-224-seed1.json"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"auroc": 1.2}, "auroc"),
        ({"auroc": float("nan")}, "auroc"),
        ({"auroc_ci": (0.8, 0.6)}, "auroc_ci"),
        ({"seed": True}, "seed"),
        ({"pixel_auroc": "0.9"}, "pixel_auroc"),
        ({"system": "../up"}, "system"),
        ({"error_auroc": {"recon": None}}, "error_auroc"),
    ],
)
def test_a_record_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=f"'{said}'"):
        made_up(**changes)


def test_unknown_and_missing_fields_are_named(tmp_path: Path) -> None:
    values = made_up().to_dict()
    with pytest.raises(RecordError, match=r"'aurroc'.*Did you mean 'auroc'"):
        Record.from_dict(values | {"aurroc": 1})
    del values["device"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(values))
    with pytest.raises(RecordError, match=r"record\.json.*device"):
        read_record(path)


@pytest.mark.parametrize("text", ["", "[1]", '{"system": '])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "torn.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"torn\.json"):
        read_record(path)


def test_a_record_in_the_place_of_another_is_noticed(tmp_path: Path) -> None:
    path = write_record(tmp_path, made_up(seed=0))
    path.rename(path.with_name(path.name.replace("seed0", "seed1")))
    with pytest.raises(RecordError, match="seed0"):
        read_records(tmp_path)
