"""The loop: resume equals never having stopped, stopping keeps a checkpoint, nonsense is refused, ranks agree."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric

from panda_core import trainer, training
from panda_core.config import Config
from panda_core.data.batches import Batches
from panda_core.data.images import list_images
from panda_core.detectors import DETECTORS, build_detector
from panda_core.errors import ModelError, TrainingError
from panda_core.fabric import make_fabric
from panda_core.presets import preset
from panda_core.resume import load_state, save_state
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.training import Progress, Trainer, TrainState, step_seed
from panda_core.worker import work


def make_trainer(config: Config, state: TrainState | None = None) -> Trainer:
    torch.manual_seed(7)
    return Trainer(build_detector(config, pretrained=True), config=config.train, fabric=Fabric(accelerator="cpu", devices=1), state=state)


def make_batches(folder: Path, config: Config) -> Batches:
    return Batches(
        list_images(folder / "train" / "good"), size=config.data.size, augment="flip", batch=config.train.batch, seed=config.train.seed
    )


def stop_after(steps: int) -> Any:
    calls = iter(range(1000))
    return lambda: next(calls) >= steps


@pytest.mark.parametrize("pause", [3, 8], ids=["in-warm-up", "in-the-game"])
@pytest.mark.parametrize("detector", DETECTORS)
def test_resume_equals_an_uninterrupted_training_bit_for_bit(toy_folder: Path, tmp_path: Path, detector: str, pause: int) -> None:
    config = replace(preset("tiny"), detector=detector)
    with make_batches(toy_folder, config) as batches:
        whole = make_trainer(config).fit(batches)
    with make_batches(toy_folder, config) as batches:
        half = make_trainer(config).fit(batches, should_stop=stop_after(pause))
    assert half.step == pause
    save_state(tmp_path / "state.safetensors", half)
    with make_batches(toy_folder, config) as batches:
        again = make_trainer(config, load_state(tmp_path / "state.safetensors")).fit(batches)
    assert again.step == whole.step
    assert again.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(again.tensors[name], value) for name, value in whole.tensors.items())


def test_another_seed_gives_another_model(toy_folder: Path) -> None:
    states = []
    for seed in (0, 1):
        config = preset("tiny").override(**{"train.seed": seed, "train.adversarial_steps": 0})
        with make_batches(toy_folder, config) as batches:
            states.append(make_trainer(config).fit(batches))
    assert any(not torch.equal(value, states[1].tensors[name]) for name, value in states[0].tensors.items())


def test_step_seeds_do_not_repeat() -> None:
    seeds = {step_seed(seed, step, rank, phase) for seed in range(5) for step in range(50) for rank in range(2) for phase in ("a", "b")}
    assert len(seeds) == 5 * 50 * 2 * 2


def test_a_loss_that_is_not_finite_stops_with_step_phase_and_term(toy_folder: Path) -> None:
    config = preset("tiny")
    trainer = make_trainer(config)
    with torch.no_grad():
        next(trainer.module.generator.parameters()).fill_(float("nan"))  # type: ignore[union-attr, operator]
    with make_batches(toy_folder, config) as batches, pytest.raises(TrainingError, match=r"step 0, phase warmup: rec=nan"):
        trainer.fit(batches)


def test_a_saturated_critic_is_reported() -> None:
    trainer = make_trainer(preset("tiny"))
    said: list[str] = []
    for step in range(1, 61):
        trainer.step = step
        said += trainer._watch({"critic.L_C": 0.01})
    assert said and "saturated" in said[0]
    trainer.recent = []
    for step in range(1, 61):
        trainer.step = step
        assert not trainer._watch({"critic.L_C": 0.9})


def let_it_judge(detector: Any, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch, *, mistakes: int) -> None:
    """The critic says of the four images of ``x`` and of their reconstructions which is which, with so many mistakes."""
    seen, fake = detector.critic(x), -torch.ones(4)
    fake[:mistakes] = 1.0
    pair = replace(seen, logit=torch.ones(4, requires_grad=True)), replace(seen, logit=fake.requires_grad_())
    monkeypatch.setattr(detector, "_critique_pair", lambda *images: pair)


@pytest.mark.parametrize(("mistakes", "waits"), [(0, True), (1, True), (2, False), (4, False)])
def test_the_critic_waits_while_it_is_too_good(mistakes: int, waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    detector: Any = make_trainer(preset("tiny").override(**{"loss.critic_accuracy_cap": 0.75})).module
    x = torch.rand(4, 3, 32, 32)
    let_it_judge(detector, x, monkeypatch, mistakes=mistakes)
    terms = detector.loss("critic", x, 6)
    assert terms["_accuracy"] == 1 - mistakes / 8
    assert ("critic" not in terms) == all(name.startswith("_") for name in terms) == waits


@pytest.mark.parametrize(("cap", "waits"), [(0.95, True), (1.0, False)])
def test_while_it_settles_the_critic_has_a_cap_of_its_own(cap: float, waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = preset("tiny").override(**{"train.settling_share": 0.5, "loss.settling_accuracy_cap": cap})
    detector: Any = make_trainer(config).module
    x = torch.rand(4, 3, 32, 32)
    let_it_judge(detector, x, monkeypatch, mistakes=0)
    in_the_game, at_the_end = (detector.loss("critic", x, step) for step in (6, 8))
    assert in_the_game["_accuracy"] == at_the_end["_accuracy"] == 1.0
    assert "critic" not in in_the_game and ("critic" not in at_the_end) == waits


def test_checkpoints_take_no_more_than_their_share_of_the_time(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, saved, costs = [0.0], list[int](), iter([1.0, 1.0, 1000.0, 1.0, 1.0, 1.0, 1.0])
    monkeypatch.setattr(training.time, "perf_counter", lambda: clock[0])

    def on_step(progress: Progress) -> None:
        clock[0] += 1.0

    def on_checkpoint(state: TrainState) -> None:
        saved.append(state.step)
        clock[0] += next(costs)

    config = preset("tiny").override(**{"train.warmup_steps": 200, "train.adversarial_steps": 0, "train.settling_share": 0.0})
    with make_batches(toy_folder, config) as batches:
        make_trainer(config).fit(batches, on_step=on_step, on_checkpoint=on_checkpoint, checkpoint_every=5)
    # One second in twenty; after a disk that stood still, two minutes; whatever it costs, one at the end.
    assert saved == [5, 25, 45, 165, 185, 200]


def test_at_the_end_the_critic_learns_alone(toy_folder: Path) -> None:
    config = preset("tiny").override(**{"train.settling_share": 0.5})
    with make_batches(toy_folder, config) as batches:
        before = make_trainer(config).fit(batches, should_stop=stop_after(8)).tensors
    with make_batches(toy_folder, config) as batches:
        after = make_trainer(config).fit(batches).tensors
    moved = {name.split(".")[1] for name, value in after.items() if name.startswith("detector.") and not torch.equal(value, before[name])}
    assert moved == {"critic"}


@pytest.mark.parametrize("ema", [0.99, 0.0])
def test_a_settling_critic_sees_the_reconstructions_that_are_scored(ema: float) -> None:
    config = preset("tiny").override(**{"train.ema": ema, "critic.crop": False, "critic.drop": False})
    detector: Any = make_trainer(config).module
    seen: list[torch.Tensor] = []
    detector.critic.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.rand(4, 3, 32, 32)
    for step in (6, 9):
        detector.train()
        detector.loss("critic", x, step)
    in_the_game, settling = (images[4:] for images in seen)
    scored = detector.examine(x).reconstruction
    assert torch.equal(settling, scored)
    assert not torch.equal(in_the_game, scored)


def test_a_checkpoint_that_is_damaged_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, TrainState(3, {"detector.a": torch.ones(2)}))
    loaded = load_state(path)
    assert loaded is not None and loaded.step == 3
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TrainingError, match="damaged"):
        load_state(path)
    assert load_state(tmp_path / "none.safetensors") is None


def test_calibration_images_are_never_trained_on(tiny_run: RunDir) -> None:
    data = next(event for event in tiny_run.events() if event["event"] == "data")
    assert data["train"] + data["validation"] == 24 and data["validation"] >= 4


def test_a_run_leaves_steps_validation_and_a_preview(tiny_run: RunDir) -> None:
    kinds = [event["event"] for event in tiny_run.events()]
    assert kinds.count("step") == 10 and "validation" in kinds and kinds[-1] == "done"
    assert tiny_run.preview_path.exists() and tiny_run.status().state == "done"


def test_a_run_that_is_done_is_not_trained_again(tiny_run: RunDir) -> None:
    before = {path.name: path.read_bytes() for path in tiny_run.model_path.iterdir()}
    for train in (run_training, work):
        with pytest.raises(TrainingError, match="nothing to go on with"):
            train(tiny_run, device="cpu")
    assert tiny_run.status().state == "done" and {path.name: path.read_bytes() for path in tiny_run.model_path.iterdir()} == before


def test_a_place_that_the_model_cannot_take_is_said_before_the_first_step(toy_folder: Path, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", preset("tiny"), toy_folder)
    run.model_path.mkdir()
    (run.model_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="is not empty and no model"):
        run_training(run, device="cpu")
    assert not [event for event in run.events() if event["event"] == "step"] and run.status().state == "failed"


def test_a_run_that_another_process_has_just_ended_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, honest = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path), RunDir.hold

    def hold(self: RunDir) -> Any:
        self.write_status("done")  # by the other, while we waited for it to let go
        return honest(self)

    monkeypatch.setattr(RunDir, "hold", hold)
    with pytest.raises(TrainingError, match="nothing to go on with"):
        work(run, device="cpu")
    assert run.status().state == "done"


def test_a_failed_training_says_why_and_leaves_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path / "empty")
    with pytest.raises(Exception, match="empty"):
        run_training(run, device="cpu")
    assert run.status().state == "failed" and not run.model_path.exists()


def panda(*arguments: str, **kwargs: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "panda_core", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs
    )


def test_sigterm_keeps_a_checkpoint_and_resume_finishes(toy_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    steps = ("--set", "train.warmup_steps=150", "--set", "train.adversarial_steps=0")
    process = panda("train", str(toy_folder), "--run", str(path), "--preset", "tiny", "--device", "cpu", *steps)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if (path / "events.jsonl").exists() and '"event": "step"' in (path / "events.jsonl").read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    run = RunDir.open(path)
    assert run.status().state == "stopped" and 0 < run.status().step < 150
    process = panda("train", "--run", str(path), "--resume", "--device", "cpu")
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert RunDir.open(path).status().state == "done" and (path / "model" / "card.json").exists()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_two_machines_train_one_model(toy_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    arguments = ("train", str(toy_folder), "--run", str(path), "--preset", "tiny", "--device", "cpu", "--machines", "2")
    machines = [panda(*arguments, env={**os.environ, **meeting, "NODE_RANK": rank}) for rank in ("1", "0")]
    said = [machine.communicate(timeout=240)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    run = RunDir.open(path)
    assert [event["step"] for event in run.events() if event["event"] == "step"] == list(range(1, 11))
    assert run.status().state == "done" and (path / "model" / "card.json").exists()


def test_machines_that_could_not_find_each_other_are_told_how(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError, match=r"NODE_RANK, MASTER_ADDR, MASTER_PORT is not set"):
        make_fabric(preset("tiny"), "cpu", 1, 2)


def test_the_library_that_moves_tensors_says_nothing_of_its_own() -> None:
    speaker = logging.getLogger("lightning_fabric.utilities.rank_zero")
    logging.getLogger("lightning_fabric").setLevel(logging.INFO)  # as it sets itself when it is imported
    assert speaker.isEnabledFor(logging.INFO)
    make_fabric(preset("tiny").override(**{"train.precision": "bf16"}), "cpu", 1)
    assert not speaker.isEnabledFor(logging.INFO) and speaker.isEnabledFor(logging.WARNING)


def test_two_processes_train_one_model(toy_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    arguments = ("train", str(toy_folder), "--run", str(path), "--preset", "tiny", "--device", "cpu", "--devices", "2")
    process = panda(*arguments, env=environment)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    run = RunDir.open(path)
    steps = [event for event in run.events() if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 11)), "each step once: only rank 0 writes"
    assert run.status().state == "done" and said.count("Done.") == 1


def test_the_time_of_a_training_is_that_of_all_its_parts() -> None:
    def part(*times: float) -> list[dict[str, object]]:
        return [{"event": "data" if not number else "step", "time": time} for number, time in enumerate(times)]

    assert trainer._worked([]) == 0
    assert trainer._worked(part(100, 107)) == 7
    assert trainer._worked([*part(100, 107), *part(5000), *part(9000, 9001, 9030)]) == 37, "not what lay between them"
