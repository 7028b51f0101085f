"""Tables from made-up records: what is missing is shown, both conventions stand side by side, the trivial baseline is last."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from reproduction.made_up import made_up

from panda_core.reproduction.failures import Failure
from panda_core.reproduction.formats import comma_separated, latex, markdown, write_tables
from panda_core.reproduction.further_tables import ablation_table, all_tables, errors_table, leave_one_out_table
from panda_core.reproduction.plan import FIRST, FURTHER
from panda_core.reproduction.systems import SYSTEMS
from panda_core.reproduction.tables import Results, Table, overview_table, set_table

ELPV = next(target for target in FIRST if target.dataset == "elpv")
APPLE = next(target for target in FIRST if target.category == "apple")
PED1 = next(target for target in FURTHER if target.dataset == "ucsd_ped1")
WHATS = ("table1", "table2", "table3", "fig3")


def row_of(table: Table, start: str) -> dict[str, str]:
    row = next(row for row in table.rows if row[0].startswith(start))
    return dict(zip(table.header, row, strict=True))


def test_rows_without_a_record_say_so_and_failures_say_why() -> None:
    failure = Failure(system="csi", dataset="elpv", category="mono", seed=0, sentence="The loss is not finite.")
    table = set_table(Results([made_up()], [failure]), ELPV)
    assert row_of(table, "VAE")["AUROC"] == "missing"
    assert "not finite" in row_of(table, "CSI")["AUROC"]
    assert row_of(table, "PANDA, general")["AUROC"].startswith("0.700 (0.600")


def test_the_trivial_baseline_is_the_bottom_row_of_every_table() -> None:
    results = Results([made_up(), made_up(dataset="mnist", category="0"), made_up(system="anomalib-padim", detector="padim", preset="")])
    tables = [table for table in all_tables(results, WHATS) if table.rows]
    assert len(tables) > 10
    for table in tables:
        if "fig3" not in table.name and table.name != "errors":  # one class each; errors of one system
            assert table.rows[-1][0] == SYSTEMS["trivial"].title
    trivial = made_up(system="trivial", detector="trivial", preset="", dataset="mnist", category="0", size=0)
    fig3 = leave_one_out_table(Results([made_up(dataset="mnist", category="0"), trivial]), "mnist", positive="normal")
    assert [row[0].split(":")[0] for row in fig3.rows[-2:]] == ["guessing", "trivial"]


def test_foreign_systems_appear_with_their_records() -> None:
    table = set_table(Results([made_up(system="anomalib-padim", detector="padim", preset="", size=224, auroc=0.75)]), ELPV)
    assert row_of(table, "PaDiM (anomalib)")["AUROC"].startswith("0.750")


def test_three_seeds_give_an_interval_and_two_do_not() -> None:
    seeds = [made_up(seed=seed, auroc=0.7 + seed / 100) for seed in range(3)]
    assert row_of(set_table(Results(seeds), ELPV), "PANDA, general")["AUROC over seeds"].startswith("0.710 (0.6")
    assert row_of(set_table(Results(seeds[:2]), ELPV), "PANDA, general")["AUROC over seeds"] == "0.705"
    assert row_of(set_table(Results(seeds[:1]), ELPV), "PANDA, general")["AUROC over seeds"] == "–"
    assert "3 seeds" in row_of(overview_table(Results(seeds), "table1", [ELPV]), "PANDA, general")["elpv/mono"]


def test_both_conventions_of_auprc_stand_beside_their_chance() -> None:
    record = made_up(dataset="mnist", category="3", prevalence=0.1, auprc=0.2, auprc_ci=(0.15, 0.3), auprc_normal=0.95)
    anomalous = leave_one_out_table(Results([record]), "mnist", positive="anomalous")
    normal = leave_one_out_table(Results([record]), "mnist", positive="normal")
    assert row_of(anomalous, "PANDA, general")["3"] == "0.200 (0.150–0.300)" and row_of(anomalous, "guessing")["3"] == "0.100"
    assert row_of(normal, "PANDA, general")["3"] == "0.950" and row_of(normal, "guessing")["3"] == "0.900"


def test_the_auprc_has_its_intervals_too() -> None:
    seeds = [made_up(seed=seed, auprc=0.5 + seed / 100, auprc_normal=0.8, auprc_normal_ci=(0.7, 0.9)) for seed in range(3)]
    row = row_of(set_table(Results(seeds), ELPV), "PANDA, general")
    assert row["AUPRC over seeds"].startswith("0.510 (0.4") and row["AUPRC, normal positive"] == "0.800 (0.700–0.900)"


def test_what_is_reduced_is_said_of_the_rows_that_are_shown() -> None:
    shown = made_up(reduced="64 px, 9 steps")
    hidden = made_up(system="ablation-pixel-full", reduced="64 px, 5 steps")
    notes = set_table(Results([shown, hidden]), ELPV).notes
    assert any(SYSTEMS["panda-general"].title in note and "64 px, 9 steps" in note for note in notes)
    assert not any("5 steps" in note for note in notes)
    assert "64 px, 5 steps (pixel loss)" in ablation_table(Results([shown, hidden]), ELPV).notes[-1]


def test_times_of_several_machines_are_told_apart() -> None:
    quick = [made_up(seed=seed, device="GPU") for seed in range(2)]
    slow = made_up(system="panda-pixel", device="old laptop")
    (note,) = [note for note in set_table(Results([*quick, slow]), ELPV).notes if note.startswith("Times are of")]
    assert f"GPU ({SYSTEMS['panda-general'].title}); old laptop ({SYSTEMS['panda-pixel'].title});" in note
    (note,) = [note for note in set_table(Results(quick), ELPV).notes if note.startswith("Times are of")]
    assert note.startswith("Times are of: GPU; machines")


def test_prevalence_is_printed_in_both_conventions() -> None:
    text = markdown(set_table(Results([made_up(prevalence=0.6, normal=40, anomalous=60)]), ELPV))
    assert "60 of 100" in text and "AUPRC 0.600 with anomalous, 0.400 with normal" in text


def test_the_papers_numbers_stand_beside_ours_and_are_labelled() -> None:
    table = set_table(Results([made_up(dataset="ucsd_ped1", category="ped1", eer=0.3)]), PED1)
    assert row_of(table, "PANDA, general")["the paper"] == "0.950, EER 0.75"
    assert row_of(table, "PANDA, general")["EER"] == "0.300"
    assert "paper only" in row_of(table, "AED-GAN")["system"]
    assert any("as printed" in note for note in table.notes)
    plants = set_table(Results([made_up(dataset="plantvillage", category="apple")]), APPLE)
    assert row_of(plants, "PANDA, general")["the paper"] == "0.740 (0.730–0.750), rec. error 0.4, adv. error 0.993, ms 20"
    ablations = ablation_table(Results([made_up(system="ablation-pixel-full", auroc=0.66)]), ELPV)
    assert row_of(ablations, "two latents, E_high^1, E_low^1")["pixel loss, the paper"] == "0.420"


def test_what_goes_wrong_at_the_boundary_stands_in_a_sets_table() -> None:
    seeds = [made_up(seed=seed, false_alarm_rate=0.1 + seed / 10, miss_rate=0.5) for seed in range(2)]
    table = set_table(Results([*seeds, made_up(system="vae", false_alarm_rate=None, miss_rate=None)]), ELPV)
    assert row_of(table, "PANDA, general")["false alarms, missed"] == "15 %, 50 %"
    assert row_of(table, "VAE")["false alarms, missed"] == "–"


def test_each_error_stands_alone_beside_what_it_weighs() -> None:
    alone = [{"recon": 0.8 + seed / 100, "adv_x": 0.3} for seed in range(3)]
    seeds = [
        made_up(system="best", seed=seed, auroc=0.9, error_auroc=errors, weights={"recon": seed / 4, "adv_x": 0.0})
        for seed, errors in enumerate(alone)
    ]
    row = row_of(errors_table(Results(seeds), [ELPV, APPLE]), "elpv/mono")
    assert row["reconstruction"].startswith("0.810 (0.7") and row["critic on the image"].startswith("0.300")
    assert row["perceptual, local"] == "–" and row["the score"].startswith("0.900") and row["seeds"] == "3"
    assert row["weights in it"] == "reconstruction 0.25"
    assert len(errors_table(Results(seeds), [ELPV, APPLE]).rows) == 1


def test_every_format_holds_every_cell(tmp_path: Path) -> None:
    table = Table("name", "A & B_1", ("system", "50 %"), (("=x|y", "1"), ("b", "")), ("a note",))
    assert "| =x/y | 1 |" in markdown(table) and "- a note" in markdown(table)
    assert r"A \& B\_1" in latex(table) and r"50 \%" in latex(table) and latex(table).count(r"\\") == 3
    assert list(csv.reader(io.StringIO(comma_separated(table)))) == [["system", "50 %"], ["'=x|y", "1"], ["b", ""]]
    assert sorted(path.name for path in write_tables(tmp_path, [table])) == ["name.csv", "name.md", "name.tex"]


@pytest.mark.parametrize("what", WHATS)
def test_no_records_make_tables_full_of_missing(what: str) -> None:
    for table in all_tables(Results([]), [what]):
        assert all(len(row) == len(table.header) for row in table.rows), table.name
