"""The plan holds every run that the tables need, the most needed first, and nothing twice."""

from __future__ import annotations

import pytest

from panda_core.errors import ConfigError
from panda_core.presets import PRESETS
from panda_core.reproduction.plan import (
    FIRST,
    FULL,
    FURTHER,
    IN_FIG3,
    LEAVE_ONE_OUT,
    QUICK,
    REDUCED,
    SEEDED,
    SEEDED_FIRST,
    chosen,
    make_plan,
)
from panda_core.reproduction.systems import NETWORKS, SYSTEMS, of_role, records_of

ALL = ("table1", "table2", "table3", "fig3", "figures")


def given(jobs: list, target: object, seed: int = 0) -> set[str]:  # type: ignore[type-arg]
    return {system.name for job in jobs if job.target == target and job.seed == seed for system in job.systems}


def test_every_system_has_a_run_on_every_set_of_its_table() -> None:
    jobs = make_plan(ALL)
    compared = {system.name for system in of_role("rival", "panda", "trivial")}
    for target in (*FIRST, *FURTHER):
        assert compared <= given(jobs, target), target
    ablations = {system.name for system in of_role("ablation")}
    assert len(ablations) == 3 * len(NETWORKS)
    for target in FIRST[:2]:
        assert ablations <= given(jobs, target)
    for dataset in LEAVE_ONE_OUT:
        ours = [job for job in jobs if job.target.dataset == dataset]
        assert len({job.target.category for job in ours}) == 10 and len(ours) == 10 * len(IN_FIG3)


def test_only_panda_gets_further_seeds_and_at_least_three() -> None:
    jobs = make_plan(ALL)
    seeded = (*SEEDED, *SEEDED_FIRST)
    assert {job.system for job in jobs if job.seed} == set(seeded)
    variants = {system.name for system in of_role("panda")}
    assert variants == {record.name for system in seeded for record in records_of(system)}, "a variant of PANDA without further seeds"
    for target in (*FIRST, *FURTHER):
        for system in seeded:
            few = system in SEEDED_FIRST and target in FURTHER
            assert {job.seed for job in jobs if job.target == target and job.system == system} == ({0} if few else {0, 1, 2})


@pytest.mark.parametrize("budget", [QUICK, REDUCED, FULL], ids=lambda budget: budget.name)
def test_names_are_unique_and_the_first_sets_come_first(budget) -> None:  # type: ignore[no-untyped-def]
    jobs = make_plan(ALL, budget=budget)
    assert len({job.name for job in jobs}) == len(jobs)
    compared = sum(not system.trained_as for system in of_role("rival", "panda", "trivial"))
    assert {job.target for job in jobs[: 3 * compared]} == set(FIRST)
    wanted = [next(at for at, job in enumerate(jobs) if SYSTEMS[job.system].role == "ablation")]
    wanted += [next(at for at, job in enumerate(jobs) if job.target.table == "fig3")]
    wanted += [at for at, job in enumerate(jobs) if job.seed][:1]
    assert wanted == sorted(wanted)


def test_a_part_of_the_paper_brings_only_its_own_runs() -> None:
    assert {job.target.table for job in make_plan(["table2"])} == {"table2"}
    assert {SYSTEMS[job.system].role for job in make_plan(["table3"])} == {"ablation", "trivial"}
    assert {job.system for job in make_plan(["figures"])} == {"best"}


def test_every_run_can_be_configured_where_its_preset_exists() -> None:
    for job in make_plan(ALL):
        if job.system != "trivial" and SYSTEMS[job.system].exists():
            config = job.config("flip-rotate")
            turns_are_its_lesson = job.system in ("dadugt", "csi")
            wanted = "none" if turns_are_its_lesson else "flip-rotate"
            assert (config.data.size, config.train.seed, config.data.augment) == (job.size, job.seed, wanted)
            assert job.reduced.startswith(f"{job.size} px, ")


def test_the_reduced_run_trains_panda_as_its_preset_and_the_quick_one_less() -> None:
    full, train = make_plan(["table1"], budget=REDUCED), PRESETS["balanced"].train
    job = next(job for job in full if job.system == "panda-pixel")
    assert (job.config().train.warmup_steps, job.config().train.adversarial_steps) == (train.warmup_steps, train.adversarial_steps)
    halved = [job.config().train for job in full if SYSTEMS[job.system].role == "panda" and job.target in FURTHER]
    assert halved and {(few.warmup_steps, few.adversarial_steps) for few in halved} == {
        (train.warmup_steps // 2, train.adversarial_steps // 2)
    }
    quick = next(job for job in make_plan(["table1"], budget=QUICK) if job.system == "panda-pixel").config().train
    assert 2 <= quick.adversarial_steps < quick.warmup_steps < 50
    assert next(job for job in full if job.target.dataset == "ucsd_ped1" and job.system == "best").size == 96


def test_runs_can_be_chosen_by_pattern() -> None:
    jobs = make_plan(ALL)
    assert {(job.system, job.target.dataset) for job in chosen(jobs, ["panda-general/elpv"])} == {("best", "elpv")}
    assert {job.target.category for job in chosen(jobs, ["*/mvtec_ad-bottle"])} == {"bottle"}
    assert chosen(jobs, []) == jobs
    with pytest.raises(ConfigError, match="names no run"):
        chosen(jobs, ["nobody/elpv"])
    with pytest.raises(ConfigError, match="SYSTEM/SET"):
        chosen(jobs, ["elpv"])


def test_a_plan_without_a_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed"):
        make_plan(ALL, seeds=[])
