"""Configuration: what is written comes back, mistakes are named, presets hold together."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from panda_core.config import Config
from panda_core.errors import ConfigError
from panda_core.presets import PRESETS, preset

SECTIONS = [f.name for f in dataclasses.fields(Config) if dataclasses.is_dataclass(getattr(Config(), f.name))]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json_unchanged(name: str) -> None:
    config = preset(name)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.preset == name


def test_an_empty_object_is_the_default() -> None:
    assert Config.from_dict({}) == Config()


def test_presets_differ() -> None:
    assert len({json.dumps(config.to_dict()) for config in PRESETS.values()}) == len(PRESETS)


def test_the_paper_preset_is_literal() -> None:
    config = preset("paper")
    assert (config.train.generator_lr, config.train.critic_lr, config.train.batch, config.train.optimiser) == (7e-6, 1e-5, 15, "adam")
    assert (config.loss.reconstruction, config.generator.norm, config.critic.norm, config.critic.stages) == ("pixel", "batch", "batch", 4)
    assert config.train.warmup_steps == 0 and config.loss.kl_weight == 0 and not config.percept.enabled
    assert config.loss.feature_matching == config.loss.label_smoothing == config.train.ema == 0
    assert config.loss.critic_accuracy_cap == 1 and config.scoring.fusion == "sum"
    assert {config.loss.reconstruction_weight, config.loss.adversarial_weight, config.loss.latent_weight} == {1.0}


def test_best_is_balanced_with_perceptual_evidence() -> None:
    best, balanced = preset("best"), preset("balanced")
    assert best.percept.enabled and not balanced.percept.enabled
    assert dataclasses.replace(best, preset="", percept=balanced.percept) == dataclasses.replace(balanced, preset="")


def test_an_unknown_preset_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'balanced'.*paper"):
        preset("ballanced")


@pytest.mark.parametrize(
    ("values", "nearest"),
    [({"trian": {}}, "train"), ({"loss": {"kl_wieght": 1}}, "kl_weight"), ({"train": {"steps": 3}}, "warmup_steps")],
)
def test_an_unknown_field_is_answered_with_the_nearest(values: dict[str, Any], nearest: str) -> None:
    with pytest.raises(ConfigError, match=nearest):
        Config.from_dict(values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data.size", 100),
        ("data.size", 0),
        ("data.validation_fraction", 1.0),
        ("data.minimum", 1),
        ("generator.width", 0),
        ("critic.stages", 5),
        ("critic.filters", 0),
        ("loss.kl_weight", -1.0),
        ("loss.label_smoothing", 0.5),
        ("loss.critic_accuracy_cap", 0.4),
        ("percept.shrinkage", 0.0),
        ("percept.size", 100),
        ("scoring.false_alarm_rate", 0.0),
        ("scoring.pixel_false_alarm_rate", 0.6),
        ("scoring.smoothing", -1.0),
        ("train.batch", 1),
        ("train.ema", 1.0),
        ("train.generator_lr", 0.0),
        ("train.warmup_steps", -1),
        ("train.weight_decay", -1.0),
        ("train.clip", -1.0),
        ("train.clip", float("nan")),
        ("train.clip", float("inf")),
        ("train.clip", 10**400),
        ("train.seed", -1),
        ("train.seed", 2**63),
        ("scoring.smoothing", 33.0),
        ("critic.width", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_full_name(field: str, value: float) -> None:
    section, name = field.split(".")
    with pytest.raises(ConfigError, match=section) as caught:
        Config().override(**{field: value})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train.batch", "15"),
        ("train.batch", 15.0),
        ("train.batch", True),
        ("train.channels_last", 1),
        ("critic.norm", "layer"),
        ("data", 3),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    nested: dict[str, Any] = value
    for part in reversed(field.split(".")):
        nested = {part: nested}
    with pytest.raises(ConfigError, match=field.split(".")[-1]):
        Config.from_dict(nested)


def test_a_whole_number_is_taken_where_a_real_one_is_meant() -> None:
    assert Config().override(**{"loss.kl_weight": 1}).loss.kl_weight == 1.0


def test_contradictions_between_fields_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"where generator\.high_level is off"):
        Config().override(**{"generator.high_level": False})
    with pytest.raises(ConfigError, match="at least 1"):
        Config().override(**{"train.warmup_steps": 0, "train.adversarial_steps": 0})


def test_an_override_changes_its_field_and_nothing_else() -> None:
    before = preset("best")
    after = before.override(**{"train.seed": 3})
    assert after.train.seed == 3 and before.train.seed != 3
    assert after.override(**{"train.seed": before.train.seed}) == before


@pytest.mark.parametrize("field", ["train.sed", "trian.seed", "seed", "train"])
def test_an_override_of_an_unknown_field_is_refused(field: str) -> None:
    with pytest.raises(ConfigError):
        Config().override(**{field: 3})


@pytest.mark.parametrize("section", SECTIONS)
def test_configurations_cannot_be_changed_in_place(section: str) -> None:
    part = getattr(Config(), section)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part, dataclasses.fields(part)[0].name, None)
