"""A person in the Train tab: fills the form with a training of seconds and waits for what becomes of it."""

from __future__ import annotations

from pathlib import Path

from visit import Visit


def set_field(visit: Visit, name: str, value: str) -> None:
    group, field = name.split(".")
    line = visit.page.locator(f'.train-advanced fieldset:has(legend:text-is("{group}")) .train-line:has(span:text-is("{field}")) input')
    line.fill(value)
    line.press("Tab")


def prepare_tiny(visit: Visit, images: Path, *, warm: int, game: int, name: str) -> None:
    page = visit.page
    page.set_default_timeout(20_000)
    page.fill(".train input[name=folder]", str(images))
    page.click(".train-check")
    page.wait_for_selector(".train-survey:not([hidden])")
    page.select_option(".train select[name=preset]", "tiny")
    page.fill(".train input[name=name]", name)
    page.click(".train-advanced summary")
    set_field(visit, "train.warmup_steps", str(warm))
    set_field(visit, "train.adversarial_steps", str(game))


def wait_for_state(visit: Visit, state: str) -> None:
    visit.page.wait_for_selector(f'.train-run[data-state="{state}"]', timeout=120_000)
