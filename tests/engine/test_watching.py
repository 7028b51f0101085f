"""What is noted of the machine's load while a model learns, also on a GPU that this machine does not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from panda_core import watching
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.training import Progress
from panda_core.ui.train_news import tell
from panda_core.watching import Watch

FREE, TOTAL = 5_000_000_000, 8_000_000_000


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", preset("tiny"), tmp_path)


def take_a_step(run: RunDir, device: str) -> None:
    watch = Watch(run, run.config.train, torch.device(device), step=0)
    watch.step(Progress(1, 10, {"warmup.rec": 0.5}, 0.1))
    watch.close()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A GPU by its name; gives the devices that were asked about."""
    asked: list[torch.device] = []

    def memory(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return FREE, TOTAL

    monkeypatch.setattr(torch.cuda, "mem_get_info", memory)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Stand-in {device.index}")
    return asked


def test_the_gpu_that_trains_is_named_with_its_memory(run: RunDir, stand_in: list[torch.device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "RESOURCE_SECONDS", 0.0)
    take_a_step(run, "cuda:1")
    (event,) = [event for event in run.events() if event["event"] == "resources"]
    assert event["gpu"] == {"name": "Stand-in 1", "memory": TOTAL - FREE, "memory_total": TOTAL}
    assert stand_in == [torch.device("cuda:1")], "of several, the one that trains"
    assert 0 < event["memory"] < event["memory_total"]
    told = tell(run, run.events(), str)["resources"]
    assert told is not None and told["gpu"] == event["gpu"], "and the page is told"


def test_without_a_gpu_none_is_reported_and_none_is_asked(
    run: RunDir, stand_in: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "RESOURCE_SECONDS", 0.0)
    take_a_step(run, "cpu")
    (event,) = [event for event in run.events() if event["event"] == "resources"]
    assert event["gpu"] is None and stand_in == []


def test_the_load_is_not_measured_at_every_step(run: RunDir) -> None:
    take_a_step(run, "cpu")
    assert [event["event"] for event in run.events()] == ["step"]


def test_a_preview_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "preview.jpg").mkdir()
    with pytest.raises(OSError, match=r"preview\.jpg"):
        watching._write_picture(tmp_path / "preview.jpg", np.zeros((4, 4, 3), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["preview.jpg"]
