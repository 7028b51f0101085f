"""The model folder: what is saved comes back; what is damaged, foreign or hostile is a sentence, never code and never a crash."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from panda_core import checkpoint
from panda_core.card import CARD_FILE, TENSOR_FILE, Card, read_card
from panda_core.checkpoint import load_model, save_model
from panda_core.errors import ModelError
from panda_core.inspection import Picture
from panda_core.inspector import Inspector, examine_images

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder to damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def edit_card(folder: Path, edit: Edit) -> None:
    values = json.loads((folder / CARD_FILE).read_text())
    edit(values)
    (folder / CARD_FILE).write_text(json.dumps(values))


def edit_tensors(folder: Path, edit: Edit) -> None:
    """Change tensors and sign them again, as someone would who wants them to be loaded."""
    tensors = load_file(folder / TENSOR_FILE)
    edit(tensors)
    save_file(tensors, folder / TENSOR_FILE)
    sign(folder)


def sign(folder: Path) -> None:
    digest = hashlib.sha256((folder / TENSOR_FILE).read_bytes()).hexdigest()
    edit_card(folder, lambda card: card.update(sha256=digest))


def put(*path: str, value: object) -> Edit:
    """An edit that sets one nested entry."""

    def edit(values: dict[str, Any]) -> None:
        for name in path[:-1]:
            values = values[name]
        values[path[-1]] = value

    return edit


def scores(model: checkpoint.Model, pictures: list[Picture]) -> np.ndarray:
    return np.array([inspection.score for inspection in Inspector(model).inspect_many(pictures)])


def in_fp32(model: checkpoint.Model) -> checkpoint.Model:
    """The model, computing in fp32: where a processor multiplies bf16, every layer rounds, and hides what storing has rounded."""
    model.config = replace(model.config, train=replace(model.config.train, precision="fp32"))
    return model


def test_a_saved_model_comes_back_with_the_same_scores(tiny_model: Path, tmp_path: Path, normal_pictures: list[Picture]) -> None:
    model = load_model(tiny_model)
    save_model(tmp_path / "copy", model)
    again = load_model(tmp_path / "copy")
    assert np.array_equal(scores(again, normal_pictures), scores(model, normal_pictures))
    assert again.config == model.config and again.calibration is not None and model.calibration is not None
    for name in ("errors", "boundary", "lo", "hi", "pixel_threshold", "fusion", "count", "fingerprint", "source"):
        assert getattr(again.calibration, name) == getattr(model.calibration, name)


def test_a_card_of_an_earlier_version_does_not_say_where_its_anomalies_come_from(folder: Path) -> None:
    before = load_model(folder).calibration
    assert before is not None and before.source == "synthetic"
    edit_card(folder, lambda card: card["calibration"].pop("source"))
    again = load_model(folder).calibration
    assert again is not None and again.source == "" and again.boundary == before.boundary


def test_half_storage_takes_half_the_room_and_moves_scores_little(
    tiny_model: Path, tmp_path: Path, normal_pictures: list[Picture], scarred_pictures: list[Picture]
) -> None:
    model = load_model(tiny_model)
    save_model(tmp_path / "half", model, half=True)
    pictures = normal_pictures + scarred_pictures
    exact, stored = (scores(in_fp32(one), pictures) for one in (model, load_model(tmp_path / "half")))
    assert np.abs(stored - exact).max() < 1e-2 * np.ptp(exact)
    assert (tmp_path / "half" / TENSOR_FILE).stat().st_size < 0.6 * (tiny_model / TENSOR_FILE).stat().st_size


def test_half_storage_keeps_what_does_not_fit_and_all_of_the_calibration(tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model)
    model.percept.mu[0, 0, 0] = 1e6  # type: ignore[union-attr]
    save_model(tmp_path / "half", model, half=True)
    stored, exact = load_file(tmp_path / "half" / TENSOR_FILE), load_file(tiny_model / TENSOR_FILE)
    assert stored["percept.mu"][0, 0, 0] == 1e6
    assert any(value.dtype == torch.float16 for value in stored.values())
    calibration = [name for name in exact if name.startswith("calibration.")]
    assert calibration and all(torch.equal(stored[name], exact[name]) for name in calibration)
    loaded = load_model(tmp_path / "half").detector.inference_state().values()
    assert all(value.dtype == torch.float32 for value in loaded if value.is_floating_point())


def test_saving_replaces_a_model_and_leaves_nothing_beside_it(tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model)
    save_model(tmp_path / "model", model)
    (tmp_path / "model" / "stale.txt").write_text("from the model before")
    save_model(tmp_path / "model", model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [CARD_FILE, TENSOR_FILE]


@pytest.mark.parametrize("existing", [True, False], ids=["over-a-model", "as-a-new-model"])
def test_a_failed_save_leaves_the_place_as_it_was(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool) -> None:
    model = load_model(folder)
    target = folder if existing else tmp_path / "new"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(OSError, match="No space"):
        save_model(target, model)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert target.exists() == existing


@pytest.mark.skipif(sys.platform != "linux", reason="the docstring promises it on Linux")
def test_a_model_that_is_replaced_is_there_at_every_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, real, looks = load_model(folder), os.replace, []

    def replace(source: Path, target: Path) -> None:
        real(source, target)
        looks.append(read_card(folder))

    monkeypatch.setattr(os, "replace", replace)
    save_model(folder, model)
    assert looks


def test_a_link_in_the_place_of_a_model_is_replaced_and_not_what_it_leads_to(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "place").mkdir()
    target = tmp_path / "place" / "model"
    target.symlink_to(tmp_path / "elsewhere")
    save_model(target, load_model(tiny_model))
    assert load_model(target) and (tmp_path / "elsewhere").is_dir()
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_model_replaced_between_its_card_and_its_tensors_is_read_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, seen = load_model(folder), []
    new = load_model(folder)
    new.percept.mu[0, 0, 0] += 1  # type: ignore[union-attr]

    def read(place: Path) -> Card:
        card = read_card(place)
        if not seen:
            save_model(folder, new)
        seen.append(card)
        return card

    monkeypatch.setattr(checkpoint, "read_card", read)
    found = load_model(folder)
    assert found.card == seen[-1] != old.card and torch.equal(found.percept.mu, new.percept.mu)  # type: ignore[union-attr]


def test_a_replacement_that_fails_halfway_brings_the_old_model_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, real, calls = load_model(folder), os.replace, 0

    def replace(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("Input/output error")
        real(source, target)

    monkeypatch.setattr("panda_core.durable.exchange", lambda one, other: False)
    save_model(folder, model)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="Input/output"):
        save_model(folder, model)
    assert load_model(folder).name == model.name
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_other_people_may_read_a_saved_model(tiny_model: Path, tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        save_model(tmp_path / "shared", load_model(tiny_model))
    finally:
        os.umask(mask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "shared", *(tmp_path / "shared").iterdir())}
    assert modes == {"shared": 0o755, CARD_FILE: 0o644, TENSOR_FILE: 0o644}


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def test_a_pickle_under_our_name_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (folder / TENSOR_FILE).write_bytes(pickle.dumps(Bomb(trace)))
    sign(folder)
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model(folder)
    assert not trace.exists()


def test_a_missing_tensor_file_says_which_and_what_to_do(folder: Path) -> None:
    (folder / TENSOR_FILE).unlink()
    with pytest.raises(ModelError, match=rf"{TENSOR_FILE} is missing\. Copy"):
        load_model(folder)


@pytest.mark.parametrize("keep", [0, 7, 1000, -1], ids=["empty", "without-header", "in-the-header", "last-byte-lost"])
def test_a_truncated_tensor_file_is_refused_signed_or_not(folder: Path, keep: int) -> None:
    content = (folder / TENSOR_FILE).read_bytes()
    (folder / TENSOR_FILE).write_bytes(content[:keep])
    with pytest.raises(ModelError, match="truncated"):
        load_model(folder)
    sign(folder)
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model(folder)


def test_one_changed_byte_is_noticed(folder: Path) -> None:
    content = bytearray((folder / TENSOR_FILE).read_bytes())
    content[-5] ^= 1
    (folder / TENSOR_FILE).write_bytes(content)
    with pytest.raises(ModelError, match="not the file its card describes"):
        load_model(folder)


def test_a_header_that_claims_terabytes_is_refused_without_reserving_them(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (folder / TENSOR_FILE).write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 64)
    sign(folder)
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model(folder)


def test_a_tensor_file_larger_than_any_model_is_refused_unread(folder: Path) -> None:
    with (folder / TENSOR_FILE).open("r+b") as file:
        file.truncate(1 << 40)  # sparse: it takes no room on the disk
    with pytest.raises(ModelError, match="too large"):
        load_model(folder)


def test_safetensors_of_something_else_are_refused(folder: Path) -> None:
    save_file({"encoder.weight": torch.zeros(3, 3)}, folder / TENSOR_FILE)
    sign(folder)
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(folder)


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    def reshape(tensors: dict[str, torch.Tensor]) -> None:
        name = next(name for name, value in tensors.items() if name.startswith("detector.") and value.ndim == 4)
        tensors[name] = tensors[name][:1].clone()

    edit_tensors(folder, reshape)
    with pytest.raises(ModelError, match="another shape"):
        load_model(folder)


@pytest.mark.parametrize("prefix", ["detector.", "percept.", "calibration.", ""], ids=["detector", "percept", "calibration", "nowhere"])
def test_a_tensor_too_many_is_refused_in_every_part(folder: Path, prefix: str) -> None:
    edit_tensors(folder, put(f"{prefix}intruder", value=torch.zeros(2)))
    with pytest.raises(ModelError, match="intruder"):
        load_model(folder)


@pytest.mark.parametrize("prefix", ["detector.", "percept.", "calibration."])
def test_a_tensor_too_few_is_refused_in_every_part(folder: Path, prefix: str) -> None:
    edit_tensors(folder, lambda tensors: tensors.pop(next(name for name in sorted(tensors) if name.startswith(prefix))))
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(folder)


def test_the_card_of_another_model_is_refused(folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    with torch.no_grad():
        next(iter(model.detector.inference_state().values())).add_(1)
    save_model(tmp_path / "other", model)
    shutil.copy(tmp_path / "other" / CARD_FILE, folder / CARD_FILE)
    with pytest.raises(ModelError, match="not the file its card describes"):
        load_model(folder)


@pytest.mark.parametrize("field", [("generator", "width"), ("critic", "width"), ("generator", "high_channels"), ("percept", "dimensions")])
def test_a_configuration_of_other_sizes_is_refused_before_memory_is_taken(folder: Path, field: tuple[str, str]) -> None:
    edit_card(folder, put("config", *field, value=3_000_000))
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(folder)


def test_networks_without_tensors_in_the_file_are_refused_before_memory_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = checkpoint.build_detector, []

    def build(*arguments: Any, **options: Any) -> Any:
        made.append(real(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(checkpoint, "build_detector", build)
    edit_tensors(folder, lambda tensors: [tensors.pop(name) for name in sorted(tensors) if name.startswith("detector.")])
    edit_card(folder, put("config", "generator", "width", value=64))
    with pytest.raises(ModelError, match=r"tensors are missing \(e\.g\. detector\."):
        load_model(folder)
    assert made and all(parameter.is_meta for detector in made for parameter in detector.parameters())


@pytest.mark.parametrize("field", [("data", "size"), ("percept", "size")])
def test_an_enormous_image_size_is_refused_before_memory_is_taken(
    folder: Path, field: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = torch.zeros, []
    with torch.device("meta"):  # torch looks up which functions it redirects once: before one of them is replaced here
        real(1)

    def zeros(*shape: int, **options: Any) -> torch.Tensor:
        made: torch.Tensor = real(*shape, **options)
        taken.append(0 if made.is_meta else made.numel())
        return made

    monkeypatch.setattr(torch, "zeros", zeros)
    edit_card(folder, put("config", *field, value=32 * 100))
    with pytest.raises(ModelError):
        load_model(folder)
    assert max(taken, default=0) < 1_000_000


def test_calibration_arrays_that_are_not_finite_are_refused(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors["calibration.maps.residual.mean"].__setitem__((0, 0), float("nan")))
    with pytest.raises(ModelError, match="not finite"):
        load_model(folder)


@pytest.mark.parametrize("field", [("lo",), ("pixel_threshold",), ("smoothing",), ("boundary", "value"), ("maps", "residual")])
def test_calibration_numbers_that_are_not_finite_are_refused(folder: Path, field: tuple[str, ...]) -> None:
    edit_card(folder, put("calibration", *field, value=float("nan")))
    with pytest.raises(ModelError, match="finite"):
        load_model(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("errors", "recon", "sigma"), 0.0),
        (("errors", "recon", "sigma"), "wide"),
        (("errors", "recon", "weight"), -1.0),
        (("fusion",), "loudest"),
        (("boundary", "kind"), "guessed"),
        (("boundary", "reason"), 7),
        (("hi",), -1e9),
        (("smoothing",), -2.0),
        (("smoothing",), 1e9),
        (("maps", "residual"), -0.5),
        (("count",), "many"),
        (("errors",), []),
        (("maps",), {}),
        (("maps",), {"residual": 0.0, "percept": 0.0}),
        (("boundary", "false_alarm_rate"), "often"),
        (("boundary", "miss_rate"), 1.5),
        (("fingerprint",), 5),
        (("source",), "hearsay"),
        (("lo",), 1e9),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else repr(value),
)
def test_calibration_numbers_that_mean_nothing_are_refused(folder: Path, path: tuple[str, ...], value: object) -> None:
    edit_card(folder, put("calibration", *path, value=value))
    with pytest.raises(ModelError, match=r"[Cc]alibrat|belong together"):
        load_model(folder)


def test_a_spread_that_is_not_positive_is_refused(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors["calibration.maps.residual.std"].zero_())
    with pytest.raises(ModelError, match="positive"):
        load_model(folder)


def test_a_calibration_without_normal_scores_is_refused(folder: Path) -> None:
    edit_tensors(folder, put("calibration.normal_scores", value=torch.zeros(0, dtype=torch.float64)))
    with pytest.raises(ModelError, match="no normal scores"):
        load_model(folder)


def test_a_map_of_another_size_is_refused(folder: Path) -> None:
    def shrink(tensors: dict[str, torch.Tensor]) -> None:
        for part in ("mean", "std"):
            tensors[f"calibration.maps.residual.{part}"] = torch.ones(5, 5)

    edit_tensors(folder, shrink)
    with pytest.raises(ModelError, match="residual"):
        load_model(folder)


def test_an_error_the_model_does_not_measure_is_refused(folder: Path) -> None:
    edit_card(folder, put("calibration", "errors", "smell", value={"mu": 0.0, "sigma": 1.0, "weight": 1.0}))
    with pytest.raises(ModelError, match="smell"):
        load_model(folder)


def test_an_uncalibrated_model_loads_but_cannot_inspect(tiny_model: Path, tmp_path: Path, normal_pictures: list[Picture]) -> None:
    model = load_model(tiny_model)
    model.calibration = None
    save_model(tmp_path / "raw", model)
    loaded = load_model(tmp_path / "raw")
    assert loaded.calibration is None and list(examine_images(loaded, normal_pictures[:1]))
    with pytest.raises(ModelError, match="not calibrated"):
        Inspector(loaded)
    assert read_card(tmp_path / "raw").calibration == {}


@pytest.mark.parametrize("other", ["notes.txt", "deeper/card.json", ""])
def test_a_model_takes_no_place_where_something_else_lies(tiny_model: Path, tmp_path: Path, other: str) -> None:
    place = tmp_path / "place"
    file = place / other if other else place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(ModelError, match="choose another folder"):
        save_model(place, load_model(tiny_model))
    assert file.read_text() == "mine" and [path.name for path in tmp_path.iterdir()] == ["place"]
