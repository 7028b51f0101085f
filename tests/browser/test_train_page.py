"""A person trains: folder, check, settings, start, watch, keep, inspect with it; a reload and a second tab show the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from studio import prepare_tiny, set_field, wait_for_state
from visit import Visit

from panda_core.data.images import content_hash
from panda_core.presets import preset
from panda_core.runs import RunDir

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_from_a_folder_to_a_model_that_inspects(studio: Visit, images: Path, toy_folder: Path) -> None:
    page = studio.page
    prepare_tiny(studio, images, warm=40, game=20, name="Discs")
    assert "24" in page.inner_text(".train-counts") or "25" in page.inner_text(".train-counts")
    assert "black.png" in page.inner_text(".train-survey .train-pictures")
    page.click(".train-survey .train-pictures button")
    page.wait_for_selector(".train-left-out:has-text('1 left out')")

    set_field(studio, "train.seed", "-3")
    page.wait_for_selector(".train-line strong:has-text('not be negative')")
    page.click(".train-start")
    assert page.locator(".train-runs li").count() == 0, "a wrong field starts nothing"
    set_field(studio, "train.seed", "1")
    page.wait_for_function("() => [...document.querySelectorAll('.train-line strong')].every(one => one.hidden)")

    page.click(".train-start")
    page.wait_for_selector(".train-run:not([hidden])")
    wait_for_state(studio, "done")
    page.wait_for_selector(".train-run .losses .scatterlayer path, .train-run .losses canvas")
    page.wait_for_selector(".film img[src]")
    assert page.evaluate("() => document.querySelector('.film img').naturalWidth") > 0
    assert "colour statistics alone" in page.inner_text(".train-run .result") and "left out" not in page.inner_text(".train-run .result")

    other = Visit(studio.context.browser)
    other.open(page.url)
    other.page.get_by_role("tab", name="Train").click()
    other.page.click(".train-runs li button")
    other.page.wait_for_selector('.train-run[data-state="done"] .result:not([hidden])')
    assert other.page.inner_text(".train-run .result") == page.inner_text(".train-run .result"), "a second tab shows the same"
    assert other.complaints == []
    other.context.close()

    page.fill(".keep input", "Discs of mine")
    page.click(".keep button")
    page.wait_for_selector(".kept:has-text('Discs of mine')")
    page.click("#model input")
    page.click("#model li:has-text('Discs of mine')")
    studio.choose_file(toy_folder / "test" / "scar" / "000.png")
    page.wait_for_selector('.viewer[data-state="ready"][data-name="000.png"] .verdict')
    page.wait_for_selector("#foot:has-text('Discs of mine')")


def test_stop_resume_discard_and_undo(studio: Visit, images: Path) -> None:
    page = studio.page
    prepare_tiny(studio, images, warm=4000, game=20, name="Long")
    page.click(".train-start")
    wait_for_state(studio, "running")
    page.wait_for_function("() => /Step [1-9]/.test(document.querySelector('.train-run .pace').textContent)", timeout=60_000)
    studio.reload()
    page.wait_for_selector("#open:not([disabled])")
    page.get_by_role("tab", name="Train").click()
    page.click(".train-runs li button")
    page.click(".train-run .actions .cancel")
    wait_for_state(studio, "stopped")
    assert "Resume" in page.inner_text(".train-run .actions") and page.locator(".train-run > .result").is_hidden()
    page.click(".train-run .actions .resume")
    wait_for_state(studio, "running")
    page.click(".train-run .actions .cancel")
    wait_for_state(studio, "stopped")
    page.click(".train-run .actions .discard")
    page.wait_for_function("() => !document.querySelector('.train-runs li')")
    page.click(".train-undo button")
    page.wait_for_selector('.train-runs li[data-state="stopped"]')


def test_what_was_left_out_of_a_training_is_shown_when_it_is_tried_again(studio: Visit, images: Path, tmp_path: Path) -> None:
    black = images / "train" / "good" / "black.png"
    run = RunDir.create(tmp_path / "home" / "runs" / "0001-discs", preset("tiny"), images, name="Discs", exclude=[content_hash(black)])
    run.write_status("stopped", step=1, total=10)
    page = studio.page
    page.click(".train-runs li button:has-text('Discs')")
    page.click(".train-run .actions button:has-text('Change and try again')")
    page.click(".train-check")
    figure = page.locator(".train-survey figure:has-text('black.png')")
    figure.wait_for()
    assert "left out by you" in figure.inner_text() and figure.locator("img[src]").count() == 1
    figure.locator("button").click()
    page.wait_for_selector(".train-survey figure:has-text('left out until now')")
    page.click(".train-left-out button")
    page.wait_for_selector(".train-survey figure:has-text('blank or much blurrier')")


def test_deep_images_are_read_by_the_range_that_was_found_on_one_press(studio: Visit, images: Path) -> None:
    page, folder = studio.page, images.parent / "deep"
    folder.mkdir()
    ramp = np.add.outer(np.arange(48) * 100, np.arange(48) * 10)
    for number in range(24):
        cv2.imwrite(str(folder / f"{number}.png"), (ramp + 2000 + 150 * number).astype(np.uint16))
    page.fill(".train input[name=folder]", str(folder))
    page.click(".train-check")
    button = page.locator(".train-range")
    button.wait_for()
    low, high = (int(word) for word in button.inner_text().split() if word.isdigit())
    assert 2000 <= low < 2200 and 10400 < high <= 10620
    button.click()
    page.wait_for_selector(f".train-advice:has-text('all are read by the range from {low} to {high}')")
    assert button.count() == 0 and page.locator(".train-left-out").count() == 0
    changed = page.locator('.train-advanced .train-line[data-changed="yes"]')
    assert [line.split("\n")[0] for line in changed.all_inner_texts()] == ["deep_low", "deep_high"]
    set_field(studio, "data.deep_high", "1")
    page.wait_for_selector(f".train-line [role=alert]:has-text('be above data.deep_low, which is {low}')")


def test_a_system_of_the_comparison_brings_its_own_preset(studio: Visit) -> None:
    page = studio.page
    page.select_option(".train select[name=detector]", "ganomaly")
    assert page.input_value(".train select[name=preset]") == "ganomaly" and "GANomaly" in page.inner_text(".train-preset")
    page.select_option(".train select[name=detector]", "panda")
    assert page.input_value(".train select[name=preset]") == "best"
    page.select_option(".train select[name=preset]", "unet")
    assert page.input_value(".train select[name=detector]") == "unet"


def test_only_fields_that_the_chosen_system_reads_are_asked_for(studio: Visit) -> None:
    page = studio.page
    page.evaluate("() => { for (const one of document.querySelectorAll('.train details')) one.open = true; }")

    def shown(group: str) -> bool:
        return bool(page.locator(f".train fieldset[name={group}]").is_visible())

    def offered(field: str) -> bool:
        return page.locator(f".train-grid-row:first-of-type option[value='{field}']").count() > 0

    assert shown("critic") and shown("loss") and not shown("baseline")
    assert offered("loss.latent_weight") and not offered("baseline.latent")
    page.select_option(".train select[name=detector]", "ganomaly")
    assert shown("baseline") and shown("train") and not shown("critic") and not shown("loss")
    assert offered("baseline.latent") and not offered("loss.latent_weight")
    assert page.is_disabled(".train select[name='loss.reconstruction']")
    page.select_option(".train select[name=detector]", "panda")
    assert shown("critic") and not shown("baseline") and page.is_enabled(".train select[name='loss.reconstruction']")


def test_the_load_shown_names_a_gpu_where_one_trains(studio: Visit, tmp_path: Path) -> None:
    gpu = {"name": "Stand-in 9000", "memory": 3_000_000_000, "memory_total": 8_000_000_000}
    for number, load in enumerate((None, gpu), start=1):
        run = RunDir.create(tmp_path / "home" / "runs" / f"000{number}-parts", preset("tiny"), tmp_path, name=f"Parts {number}")
        run.record({"event": "resources", "cpu": 97.4, "memory": 1_200_000_000, "memory_total": 12_000_000_000, "gpu": load})
        run.write_status("stopped", step=1, total=10)
    page = studio.page
    for name, gpu_shown in (("Parts 1", False), ("Parts 2", True)):
        page.click(f".train-runs li button:has-text('{name}')")
        page.wait_for_selector(f".train-run h2:text-is('{name}')")
        page.wait_for_selector(".train-run .load:has-text('Processor 97 % of one core')")
        shown = page.inner_text(".train-run .load")
        assert "memory 1.2 GB of 12.0 GB (10 %)" in shown
        assert ("Stand-in 9000: 3.0 GB of 8.0 GB" in shown) == gpu_shown


def test_a_check_of_another_folder_is_not_shown_and_not_disturbed(studio: Visit, images: Path) -> None:
    page = studio.page
    page.fill(".train input[name=folder]", str(images / "train" / "good"))
    page.click(".train-check")
    page.wait_for_selector(".train-progress:not([hidden])")
    assert page.is_disabled(".train-estimate")
    page.fill(".train input[name=folder]", str(images))
    page.wait_for_selector(".train-progress", state="hidden")
    assert page.locator(".train-survey").is_hidden() and page.is_enabled(".train-estimate")
    page.click(".train-check")
    page.wait_for_selector(".train-survey:not([hidden])")


def test_what_is_under_way_is_shown_beside_the_button_that_began_it(studio: Visit, images: Path) -> None:
    page = studio.page
    page.fill(".train input[name=folder]", str(images / "train" / "good"))
    page.click(".train-advanced summary")
    for button in (".train-estimate", ".train-start"):
        page.locator(button).scroll_into_view_if_needed()
        page.click(button)
        page.wait_for_selector(".train-progress:visible")
        below = page.locator(".train-progress").bounding_box()["y"] - page.locator(button).bounding_box()["y"]
        assert abs(below) < 40, "it is far from where the person looks"
        page.locator(".train-progress button").click()
        page.wait_for_selector(".train-progress", state="hidden")
    page.click(".train-check")
    page.wait_for_selector(".train-progress:visible")
    assert page.locator(".train-source + .train-progress").count() == 1


def test_a_wrong_field_that_is_folded_away_is_brought_into_sight(studio: Visit, images: Path) -> None:
    page = studio.page
    page.fill(".train input[name=folder]", str(images / "train" / "good"))
    page.click(".train-advanced summary")
    seed = page.locator(".train-line", has_text="seed").first.locator("input")
    seed.fill("-3")
    seed.blur()
    page.wait_for_selector('.train-line input[aria-invalid="true"]')
    page.click(".train-advanced summary")
    page.click(".train-start")
    page.wait_for_selector(".train-message:has-text('A field is wrong')")
    page.wait_for_function("() => document.activeElement.ariaInvalid === 'true' && document.activeElement.checkVisibility()")
    page.select_option(".train select[name=preset]", "balanced")
    page.wait_for_selector(".train-message:has-text('as in the preset again')")


def test_images_are_dropped_and_folders_are_not_mixed(studio: Visit, images: Path) -> None:
    page, good = studio.page, images / "train" / "good"
    studio.drag(".train-form", good, until="dragOver")
    assert "Drop normal images" in (page.get_attribute(".train", "data-drop") or "")
    studio.drag(".train-form", images)
    page.wait_for_selector(".train-message:has-text('several folders')")
    assert page.input_value(".train input[name=folder]") == "" and page.get_attribute(".train", "data-drop") is None
    studio.drag(".train-form", good)
    page.wait_for_selector(".train-survey:not([hidden])")
    assert page.inner_text(".train-counts").splitlines()[:2] == ["normal", str(len(list(good.iterdir())))]


def test_a_fine_tuned_model_is_measured_beside_the_one_it_came_from(studio: Visit, tmp_path: Path) -> None:
    better = {"parent_auroc": 0.81, "auroc": 0.97, "gain": 0.16, "gain_ci": [0.1, 0.22]}
    unsure = {"parent_auroc": 0.81, "auroc": 0.8, "gain": -0.01, "gain_ci": [-0.05, 0.03]}
    rates = {"parent_false_alarm_rate": 0.3, "false_alarm_rate": 0.1, "parent_miss_rate": 0.25, "miss_rate": 0.05}
    held_out = {
        "parent": "leaf",
        "normal": 20,
        "anomalous": 0,
        "parent_false_alarms": 9,
        "false_alarms": 1,
        "parent_misses": 0,
        "misses": 0,
    }
    for name, test in (("Better", better), ("Unsure", unsure), ("Untested", None)):
        run = RunDir.create(tmp_path / "home" / "runs" / name, preset("tiny"), tmp_path, name=name)
        run.record({"event": "data", "train": 80, "validation": 20, "anomalous": 0, "fingerprint": ""})
        run.record({"event": "compared", **held_out, **({} if test is None else {"test": test | rates | {"normal": 30, "anomalous": 40}})})
        run.record({"event": "done", "seconds": 60.0, "boundary": 1.0, "boundary_kind": "synthetic"})
        run.write_status("done", step=10, total=10)
    page, said = studio.page, {}
    for name in ("Better", "Unsure", "Untested"):
        page.click(f".train-runs li button:has-text('{name}')")
        page.wait_for_selector(f".train-run h2:text-is('{name}')")
        page.wait_for_selector(".train-run .result:has-text('9 → 1')")
        said[name] = page.inner_text(".train-run .result")
    assert "AUROC 0.810 → 0.970, false alarms 30 % → 10 %, missed 25 % → 5.0 %. The new model tells them apart better" in said["Better"]
    assert "difference in AUROC +0.160, 95 % between +0.100 and +0.220" in said["Better"]
    assert "do not show which of the two is better" in said["Unsure"] and "−0.010, 95 % between −0.050 and +0.030" in said["Unsure"]
    assert "test images" not in said["Untested"] and "which this training has not used" in said["Better"]
