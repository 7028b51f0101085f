"""The foreign systems are measured as ours are: same images, raw scores, our metrics. Most of it needs no anomalib."""

from __future__ import annotations

import argparse
import itertools
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import peer_systems, peers
from benchmarks.peer_systems import Material, Peer
from panda_core.config import DataConfig
from panda_core.data.folders import LabelledImage, labelled_test, scan
from panda_core.datasets import Prepared
from panda_core.errors import FolderError
from panda_core.reproduction.record import read_records

ROOT = Path(__file__).resolve().parent.parent
SYSTEM = "anomalib-padim"


class Brightest(nn.Module):
    """Stands in for a fitted network: the brightest pixel is the score, brightness the map. Only a scar is nearly white."""

    def __init__(self, *, maps: bool = True) -> None:
        super().__init__()
        self.maps = maps
        self.register_buffer("memory", torch.zeros(7))
        self.discriminator = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(pred_score=100 * x.amax(dim=(1, 2, 3)), anomaly_map=x.mean(dim=1, keepdim=True) if self.maps else None)


@pytest.fixture
def prepared(toy_folder: Path) -> Prepared:
    return Prepared(toy_folder, "flip", {}, "ab" * 32)


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[Material]:
    """`train` gives `Brightest` and notes what it was shown."""
    shown: list[Material] = []

    def train(peer: Peer, material: Material, seed: int) -> nn.Module:
        shown.append(material)
        return Brightest(maps=peer.size == 224)

    monkeypatch.setattr(peers, "train", train)
    monkeypatch.setattr(peers, "metadata", SimpleNamespace(version=lambda package: "none"))
    return shown


@pytest.fixture
def arguments(toy_folder: Path, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    monkeypatch.setattr(peers, "prepare_dataset", lambda name, category, *, root, place: prepared)
    return argparse.Namespace(out=tmp_path / "results", data=toy_folder, place=tmp_path)


def test_a_peer_is_trained_on_the_same_images_as_our_detectors(prepared: Prepared, trained_on: list[Material]) -> None:
    peers.measure(SYSTEM, "mvtec_ad", "discs", prepared, seed=3)
    ours = scan(prepared.folder, data=DataConfig(), seed=3)
    assert trained_on == [Material(ours.train, ours.validation)] and ours.validation


@pytest.mark.usefixtures("trained_on")
def test_scores_are_taken_raw_and_masks_are_used(prepared: Prepared) -> None:
    record = peers.measure(SYSTEM, "mvtec_ad", "discs", prepared, seed=0)
    assert record.auroc == record.auprc == record.auprc_normal == 1.0  # a clipped score would tie
    assert (record.normal, record.anomalous, record.prevalence) == (6, 6, 0.5)
    assert record.pixel_auroc is not None and record.pixel_auroc > 0.95 and record.aupro is not None
    assert record.eer is None and record.rec_err is None and record.adv_err is None


@pytest.mark.usefixtures("trained_on")
def test_a_system_without_a_map_has_no_pixel_figures(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = Peer(64, peer_systems.ganomaly, {}, "", errors=lambda network, x: {"rec": 0.25, "adv": 0.5})
    monkeypatch.setitem(peers.PEERS, SYSTEM, blind)
    record = peers.measure(SYSTEM, "mvtec_ad", "discs", prepared, seed=0)
    assert record.pixel_auroc is None and record.aupro is None
    assert (record.rec_err, record.adv_err) == (0.25, 0.5)


@pytest.mark.usefixtures("trained_on")
def test_images_of_one_group_are_resampled_together(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    def blur(network: nn.Module, peer: Peer, samples: list[LabelledImage]) -> peers.Seen:
        return peers.Seen(samples, scores=[float(n % 4 + (s.label != "good")) for n, s in enumerate(samples)], times=[1.0])

    monkeypatch.setattr(peers, "look", blur)
    names = [s.path.relative_to(prepared.folder).as_posix() for s in labelled_test(prepared.folder)]
    grouped = replace(prepared, groups={name: "a" if name[-5] > "2" else "b" for name in names})
    one_by_one, together = (peers.measure(SYSTEM, "ucsd_ped1", "ped1", data, seed=0) for data in (prepared, grouped))
    assert one_by_one.auroc == together.auroc and one_by_one.auroc_ci != together.auroc_ci
    assert together.eer is not None and 0 < together.eer < 1


@pytest.mark.parametrize(("images", "steps", "epochs"), [(64, 0, 1), (64, 4, 2), (65, 4, 2), (10, 3, 3)])
def test_steps_are_rounded_up_to_whole_epochs(images: int, steps: int, epochs: int) -> None:
    assert replace(peers.PEERS["anomalib-ganomaly"], steps=steps).epochs(images) == epochs


def test_a_system_sees_the_range_it_expects() -> None:
    picture = np.zeros((9, 9, 3), np.uint8)
    picture[:, 4:] = 255
    for system, lowest in (("anomalib-padim", -1.0), ("anomalib-efficientad", 0.0)):
        x = peers.PEERS[system].see(picture)
        assert x.shape[1:] == (peers.PEERS[system].size,) * 2 and (float(x.min()), float(x.max())) == (lowest, 1.0)


def test_other_data_sets_are_all_that_are_there_but_this_one(
    arguments: argparse.Namespace, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def only_bottles(name: str, category: str, **_: object) -> Prepared:
        asked.append(name)
        if name != "mvtec_ad":
            raise FolderError(f"{name} is not there")
        return prepared

    monkeypatch.setattr(peers, "prepare_dataset", only_bottles)
    assert peers.others_than("plantvillage", arguments) == list(scan(prepared.folder, data=DataConfig(), seed=0).train)
    assert asked and "plantvillage" not in asked
    with pytest.raises(FolderError, match="another data set"):
        peers.others_than("mvtec_ad", arguments)


def test_strangers_never_end_and_some_are_grey(toy_folder: Path) -> None:
    paths = sorted((toy_folder / "train" / "good").iterdir())[:3]
    torch.manual_seed(0)
    seen = [x for (x,) in itertools.islice(peer_systems.strangers(paths, peers.PEERS["anomalib-efficientad"]), 12)]
    assert {tuple(x.shape) for x in seen} == {(1, 3, 256, 256)} and all(x.min() >= 0 and x.max() <= 1 for x in seen)
    grey = [bool((x == x[:, :1]).all()) for x in seen]
    assert any(grey) and not all(grey)


def test_the_size_counts_statistics_but_not_what_gives_no_score() -> None:
    assert peers.parameters(Brightest()) == 7


def test_a_record_that_is_there_is_not_made_again(arguments: argparse.Namespace, trained_on: list[Material]) -> None:
    for _ in range(2):
        peers.run(SYSTEM, "mvtec_ad/discs", 0, arguments)
    assert len(trained_on) == 1
    assert [(r.system, r.dataset, r.category) for r in read_records(arguments.out)] == [(SYSTEM, "mvtec_ad", "discs")]


@pytest.mark.usefixtures("trained_on")
def test_a_missing_data_set_is_said_and_leaves_no_record(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object, **__: object) -> Prepared:
        raise FolderError("discs is not there")

    monkeypatch.setattr(peers, "prepare_dataset", missing)
    peers.run(SYSTEM, "mvtec_ad/discs", 0, arguments)
    assert "discs is not there" in capsys.readouterr().out and read_records(arguments.out) == ()


def test_nothing_but_the_benchmark_knows_anomalib() -> None:
    users = [path for folder in ("panda_core", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    knowing = {path.name for path in users if re.search(r"^\s*(from|import) anomalib", path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert knowing == {"peers.py", "peer_systems.py"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("system", peers.PEERS)
def test_each_system_is_really_trained(system: str, prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anomalib", reason="anomalib is not installed: pip install -r requirements-peers.txt, in an environment of its own")
    monkeypatch.setitem(peers.PEERS, system, replace(peers.PEERS[system], steps=min(peers.PEERS[system].steps, 1)))
    others = scan(prepared.folder, data=DataConfig(), seed=0).train
    record = peers.measure(system, "mvtec_ad", "discs", prepared, seed=0, others=others)
    assert record.parameters > 100_000 and "anomalib" in record.versions
    if system in ("anomalib-padim", "anomalib-patchcore"):
        assert record.auroc > 0.9
