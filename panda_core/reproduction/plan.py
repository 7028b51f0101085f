"""Which runs make the tables and figures, the most needed first. A plan is data: nothing is trained or read here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Literal

from panda_core.config import Config
from panda_core.datasets import DATASETS
from panda_core.datasets.catalogue import augment_of
from panda_core.errors import ConfigError
from panda_core.reproduction.systems import SYSTEMS, TRIVIAL, System, of_role, records_of
from panda_core.strict import dotted_names, value_at

What = Literal["table1", "table2", "table3", "fig3", "figures"]
DEAREST = "panda-specific"
"""A VGG19 that learns on each set and seed: four times the cost of any other training, so it comes last and gets fewer seeds."""
SEEDED = ("panda-pixel", "best")
"""Trainings that get further seeds on every set: PANDA with each frozen loss."""
SEEDED_FIRST = ("panda-dcgan", DEAREST)
"""Those that get them on the first sets only (in the full experiment on all). The others get the first seed only."""
IN_FIG3 = ("vae", "egbad", "ganomaly", "dadugt", "csi", "best", TRIVIAL)


@dataclass(frozen=True, slots=True)
class Target:
    """A category of a data set, and the table it stands in."""

    dataset: str
    category: str
    table: What
    small: bool = False
    """The anomalies are so small that the reduced run sees this set larger by half."""


FIRST = (
    Target("plantvillage", "apple", "table1"),
    Target("elpv", "mono", "table1"),
    Target("mvtec_ad", "bottle", "table2"),
)
FURTHER = (
    Target("plantvillage", "tomato", "table1"),
    Target("plantvillage", "grape", "table1"),
    Target("sixray_tip", "baggage", "table1"),
    Target("magnetic_tile", "tile", "table2"),
    Target("ucsd_ped1", "ped1", "table1", small=True),
)
ABLATED = FIRST[:2]
LEAVE_ONE_OUT = ("mnist", "cifar10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much of the experiment is done."""

    name: str
    size: int
    """Side of the images in Tables I to III."""
    steps: float
    """Of the systems in Tables I and II, as a multiple of their presets' steps."""
    few_steps: float
    """The same for PANDA in Table III, in Figure 3 and on the sets beyond the first three; the others keep ``steps``."""
    pretext_steps: int
    leave_out_size: int
    leave_out_limit: int | None
    """Images of each class of MNIST and CIFAR-10; None takes all."""
    leave_out_classes: int = 10
    limit: int | None = None
    further: bool = True
    """Whether the sets beyond the first three are measured."""


QUICK = Budget(
    name="quick",
    size=32,
    steps=0.03,
    few_steps=0.03,
    pretext_steps=10,
    leave_out_size=32,
    leave_out_limit=20,
    leave_out_classes=1,
    limit=60,
    further=False,
)
REDUCED = Budget(name="reduced", size=64, steps=1, few_steps=0.5, pretext_steps=200, leave_out_size=32, leave_out_limit=150)
FULL = Budget(name="full", size=128, steps=5, few_steps=5, pretext_steps=1000, leave_out_size=32, leave_out_limit=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training (or one fit of the trivial baseline) and the records it gives."""

    system: str
    target: Target
    seed: int
    size: int
    """0 for the trivial baseline, which takes images as they are."""
    limit: int | None
    budget: Budget

    @property
    def name(self) -> str:
        """Also the name of its folder among the runs."""
        target = self.target
        return f"{self.system}--{target.dataset}-{target.category}-{self.size}-seed{self.seed}-{self.budget.name}"

    @property
    def systems(self) -> tuple[System, ...]:
        """Whose records it gives."""
        return records_of(self.system)

    def config(self, augment: str = "none") -> Config:
        """What is trained. Raises ConfigError where the system's preset is not in this version."""
        config = SYSTEMS[self.system].config()
        changes: dict[str, Any] = {"data.size": self.size, "train.seed": self.seed}
        if config.data.augment != "none":  # a system that learns turns and mirror images is not to be given them
            changes["data.augment"] = augment
        if config.loss.reconstruction == "perceptual-specific":
            changes["train.pretext_steps"] = min(config.train.pretext_steps, self.budget.pretext_steps)
        for name in ("warmup_steps", "adversarial_steps"):
            steps = getattr(config.train, name)
            changes[f"train.{name}"] = max(2, round(steps * self._share)) if steps else 0
        if config.percept.enabled and self.size <= 32:
            changes["percept.size"] = 96  # features of a picture of 32 pixels at 224 cost five times as much and hold no more
        return config.override(**changes)

    @property
    def digest(self) -> str:
        """Of what is trained: of every field that differs from its default, so that a new field leaves it alone; so does a default that
        is changed. "" for the trivial baseline.
        """
        if self.system == TRIVIAL:
            return ""
        base, used = Config().to_dict(), self.config(augment_of(self.target.dataset, self.target.category)).to_dict()
        differing = {name: value for name in dotted_names(used) if (value := value_at(used, name)) != value_at(base, name)}
        return hashlib.sha256(json.dumps(differing, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def _share(self) -> float:
        system = SYSTEMS[self.system]
        few = system.role == "ablation" or (system.role == "panda" and self.target not in FIRST)
        return self.budget.few_steps if few else self.budget.steps

    @property
    def reduced(self) -> str:
        """What is smaller than in the paper, in words."""
        if self.system == TRIVIAL:
            return "" if self.limit is None else f"at most {self.limit} training images of a class"
        train = self.config().train
        parts = [f"{self.size} px", f"{train.warmup_steps + train.adversarial_steps} steps"]
        if SYSTEMS[self.system].config().loss.reconstruction == "perceptual-specific":
            parts.append(f"{train.pretext_steps} self-supervised steps")
        if self.limit is not None:
            parts.append(f"at most {self.limit} training images of a class")
        return ", ".join(parts)


def make_plan(whats: Iterable[What], *, budget: Budget = REDUCED, size: int | None = None, seeds: Sequence[int] = (0, 1, 2)) -> list[Job]:
    """The jobs of these tables and figures, each once, the most needed first.

    Order: every system on three sets, then on the others, the ablations, leave-one-out, further seeds of PANDA, and what costs most.
    ``size`` replaces the budget's. Raises ConfigError without a seed.
    """
    if not seeds:
        raise ConfigError("Name at least one seed.")
    wanted, budget = set(whats), budget if size is None else dataclasses.replace(budget, size=size)
    return [job for job in _all(budget, tuple(seeds)) if _wanted(job, wanted, seeds[0])]


def _wanted(job: Job, whats: set[What], first_seed: int) -> bool:
    shown = job.system == "best" and job.seed == first_seed and job.target.table in ("table1", "table2")
    table: What = "table3" if SYSTEMS[job.system].role == "ablation" else job.target.table
    return table in whats or ("figures" in whats and shown) or ("table3" in whats and job.system == TRIVIAL and job.target in ABLATED)


def _all(budget: Budget, seeds: tuple[int, ...]) -> Iterator[Job]:
    compared = [system.name for system in of_role("rival", "panda", "trivial") if not system.trained_as]
    ablations = [system.name for system in of_role("ablation")]
    further = _further(budget)
    yield from (_job(system, target, seeds[0], budget) for target in FIRST for system in compared)
    yield from (_job(system, target, seeds[0], budget) for target in further for system in compared if system != DEAREST)
    yield from (_job(system, target, seeds[0], budget) for target in (ABLATED if budget.further else ABLATED[1:]) for system in ablations)
    for dataset in LEAVE_ONE_OUT:
        for category in DATASETS[dataset].categories[: budget.leave_out_classes]:
            yield from (_job(system, Target(dataset, category, "fig3"), seeds[0], budget) for system in IN_FIG3)
    for seed in seeds[1:] if budget.further else ():
        for target in (*FIRST, *further):
            seeded = (*SEEDED, *SEEDED_FIRST) if target in FIRST or budget.name == "full" else SEEDED
            yield from (_job(system, target, seed, budget) for system in seeded)
    yield from (_job(DEAREST, target, seeds[0], budget) for target in further)


def _further(budget: Budget) -> tuple[Target, ...]:
    if not budget.further:
        return ()
    if budget.name != "full":
        return FURTHER
    known = {target.category for target in FIRST if target.dataset == "mvtec_ad"}
    return (*FURTHER, *(Target("mvtec_ad", name, "table2") for name in DATASETS["mvtec_ad"].categories if name not in known))


def _job(system: str, target: Target, seed: int, budget: Budget) -> Job:
    size, limit = budget.size * 3 // 2 if target.small and budget.size == REDUCED.size else budget.size, budget.limit
    if target.table == "fig3":
        size, limit = budget.leave_out_size, budget.leave_out_limit
    return Job(system=system, target=target, seed=seed, size=0 if system == TRIVIAL else size, limit=limit, budget=budget)


def chosen(jobs: Iterable[Job], patterns: Sequence[str]) -> list[Job]:
    """The jobs that one of the patterns SYSTEM/SET names; "*" and "?" stand for any text. No pattern chooses all.

    SET is DATASET or DATASET-CATEGORY; SYSTEM may be any that the training gives a record of. Raises ConfigError on a pattern without
    "/", or one that names no job.
    """
    jobs = list(jobs)
    for pattern in patterns:
        if "/" not in pattern:
            raise ConfigError(f"--only {pattern}: write SYSTEM/SET, e.g. --only best/elpv or --only '*/mvtec_ad-bottle'.")
        if not any(_named(job, pattern) for job in jobs):
            raise ConfigError(f"--only {pattern} names no run of this plan. See them with --dry-run.")
    return [job for job in jobs if not patterns or any(_named(job, pattern) for pattern in patterns)]


def _named(job: Job, pattern: str) -> bool:
    system, _, data = pattern.partition("/")
    sets = (job.target.dataset, f"{job.target.dataset}-{job.target.category}")
    return any(fnmatch(s.name, system) for s in job.systems) and any(fnmatch(name, data) for name in sets)
