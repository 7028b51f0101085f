"""A job from data to record: really trained, stopped and gone on with, failed, spread over processes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reproduction.made_up import disc_job

from panda_core.data.folders import labelled_test
from panda_core.data.images import list_images
from panda_core.durable import read_object
from panda_core.errors import FolderError, TrainingError
from panda_core.presets import PRESETS, preset
from panda_core.reproduction import running
from panda_core.reproduction.failures import read_failures
from panda_core.reproduction.record import read_records, write_record
from panda_core.reproduction.running import Places, is_done, run_job
from panda_core.reproduction.session import spread, standing, work_through
from panda_core.runs import RunDir
from panda_core.scoring.metrics import auroc
from panda_core.trivial import trivial_baseline


def test_one_training_gives_the_records_of_both_systems(finished: Places) -> None:
    job = disc_job("best")
    assert standing(job, finished).state == "done"
    best, general = read_records(finished.out)
    assert (best.system, general.system) == ("best", "panda-general")
    assert set(best.error_auroc) - set(general.error_auroc) == {"percept", "percept_pooled"}
    assert best.parameters > general.parameters > 0 and general.preset == "balanced"
    assert best.critic == general.critic and best.critic["L_C"] > 0
    assert "percept.enabled" not in general.overrides and best.overrides["train.warmup_steps"] < 600
    kept = np.load(finished.scores(job, "best"))
    assert auroc(kept["labels"], kept["scores"]) == best.auroc
    assert best.normal + best.anomalous == len(kept["names"]) == len(labelled_test(finished.data / "mvtec_ad/bottle"))


def test_a_record_of_another_configuration_is_not_that_of_the_job(
    finished: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, out = disc_job("best"), tmp_path / "out"
    shutil.copytree(finished.out, out)
    assert is_done(job, out) and {record.configuration for record in read_records(out)} == {job.digest}
    settings = preset("best").override(**{"train.settling_share": 0.2})
    monkeypatch.setitem(PRESETS, "best", settings)
    assert disc_job("best").digest != "" and not is_done(job, out), "the steps are the same, what is done in them is not"
    for record in read_records(out):
        write_record(out, dataclasses.replace(record, configuration=""))
    assert is_done(job, out), "older records do not say it"


def test_the_training_is_not_shown_the_test_split(finished: Places) -> None:
    run = RunDir.open(finished.run(disc_job("best")))
    assert run.data.name == "train"
    assert json.loads((run.model_path / "card.json").read_text())["metrics"] == []


def test_the_trivial_baseline_is_that_of_the_evaluation(places: Places) -> None:
    (record,) = run_job(disc_job("trivial"), places) or ()
    folder = places.data / "mvtec_ad/bottle"
    assert record.auroc == trivial_baseline(list_images(folder / "train/good"), labelled_test(folder))
    assert record.parameters == 0 and record.size == 0 and record.pixel_auroc is None


def test_an_interrupted_job_goes_on_and_ends_as_if_undisturbed(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    job = disc_job("panda-dcgan")
    whole = run_job(job, Places(data=places.data, runs=places.runs / "undisturbed", out=places.out / "undisturbed", device="cpu"))

    def stop_early(run: RunDir, **options: object) -> str:
        run.cancel()
        return real(run, device="cpu")

    from panda_core import trainer

    real = trainer.run_training
    monkeypatch.setattr(trainer, "run_training", stop_early)
    assert not work_through([job], places, session="first")
    assert standing(job, places).state == "started" and read_records(places.out) == ()
    first = read_object(places.run(job) / "seconds.json")
    monkeypatch.setattr(trainer, "run_training", real)
    assert work_through([job], places, session="second")
    assert whole is not None
    (record,) = read_records(places.out)
    assert (record.auroc, record.rec_err, record.error_auroc) == (whole[0].auroc, whole[0].rec_err, whole[0].error_auroc)
    assert first is not None and record.train_seconds > first["train"] > 0 and record.train_cpu_seconds > first["cpu"] > 0, "both parts"


def test_a_run_of_another_configuration_is_not_gone_on_with(places: Places) -> None:
    job = disc_job("panda-dcgan")
    RunDir.create(places.run(job), job.config("none").override(**{"train.warmup_steps": 99}), places.data)
    with pytest.raises(TrainingError, match="another configuration"):
        run_job(job, places)


def test_a_finished_run_of_other_images_is_not_measured(places: Places, tmp_path: Path) -> None:
    job, places = disc_job("vae"), dataclasses.replace(places, data=Path(shutil.copytree(places.data, tmp_path / "data")))
    assert run_job(job, places) is not None
    first = list_images(places.data / "mvtec_ad/bottle/train/good")[0]
    picture = Image.open(first)
    picture.putpixel((0, 0), (9, 9, 9))
    picture.save(first)
    with pytest.raises(TrainingError, match="other images"):
        run_job(job, places)


def test_a_failed_job_is_noted_and_the_rest_goes_on(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, fine = disc_job("trivial", category="cable"), disc_job("trivial")
    ends: list[tuple[str, str]] = []
    assert work_through([lost, fine], places, session="s", on_end=lambda job, failure: ends.append((job.target.category, failure)))
    assert ends[0][0] == "cable" and "cable" in ends[0][1] and ends[1] == ("bottle", "")
    assert standing(lost, places).state == "failed" and standing(fine, places).state == "done"
    assert [(f.system, f.category) for f in read_failures(places.out)] == [("trivial", "cable")]
    with pytest.raises(FolderError):
        run_job(lost, places)


def test_a_defect_of_the_program_is_a_sentence_and_a_log(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.reproduction.session.run_job", lambda job, places: 1 / 0)
    job = disc_job("trivial")
    assert work_through([job], places, session="s")
    assert "ZeroDivisionError" in standing(job, places).detail
    assert "Traceback" in (places.run(job) / "log.txt").read_text()


def test_a_session_tries_a_job_once_and_a_death_is_noted(places: Places) -> None:
    job = disc_job("trivial")
    places.run(job).mkdir(parents=True)
    (places.run(job) / "session").write_text("s")
    assert work_through([job], places, session="s")
    assert "ended without a word" in standing(job, places).detail
    assert work_through([job], places, session="t")
    assert standing(job, places).state == "done"


def test_the_pretext_network_is_borrowed_from_a_run_with_the_same_images(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = disc_job("ablation-specific-flat"), disc_job("ablation-specific-deep")
    runs = [RunDir.create(places.run(job), job.config(), places.data / "mvtec_ad/bottle/train") for job in (first, second)]
    other = RunDir.create(
        places.run(disc_job("ablation-specific-deep", seed=1)), disc_job("ablation-specific-deep", seed=1).config(), runs[0].data
    )
    (runs[0].path / running.PRETEXT).write_bytes(b"weights")
    for run in (runs[1], other):
        running._borrow_pretext(second, run, places)
    assert (runs[1].path / running.PRETEXT).read_bytes() == b"weights"
    assert not (other.path / running.PRETEXT).exists(), "another seed splits the images otherwise"


@pytest.mark.slow
def test_two_processes_share_the_jobs(places: Places) -> None:
    jobs = [disc_job("trivial", seed=seed) for seed in range(4)] + [disc_job("trivial", category="cable")]
    ends: list[str] = []
    assert spread(jobs, places, workers=2, on_end=lambda job, failure: ends.append(failure))
    assert sorted(bool(failure) for failure in ends) == [False] * 4 + [True]
    assert len(read_records(places.out)) == 4


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_its_job_noted(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file that is opened once the job has begun ends the process, as the kernel does where memory is short."""
    (places.runs / "sitecustomize.py").parent.mkdir(parents=True)
    (places.runs / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"mark = {str(places.runs / 'died')!r}\n"
        f"begun = {str(places.runs / disc_job('trivial').name / 'session')!r}\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and os.path.exists(begun) and not os.path.exists(mark):\n"
        "        os.mkdir(mark)\n"
        "        os._exit(9)\n"
        "sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(places.runs), str(Path(__file__).resolve().parents[2])]))
    jobs = [disc_job("trivial"), disc_job("trivial", seed=1)]
    ends: list[str] = []
    assert spread(jobs, places, workers=1, on_end=lambda job, failure: ends.append(failure))
    assert "ended without a word" in ends[0] and ends[1:] == [""]
    assert standing(jobs[0], places).state == "failed" and standing(jobs[1], places).state == "done"
