"""A root of data sets with one small set in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reproduction.made_up import disc_job

from panda_core.reproduction.running import Places, run_job


@pytest.fixture(scope="session")
def data_root(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs in the place of bottles. Read-only for tests."""
    root = tmp_path_factory.mktemp("datasets")
    shutil.copytree(toy_folder, root / "mvtec_ad" / "bottle")
    return root


@pytest.fixture
def places(data_root: Path, tmp_path: Path) -> Places:
    return Places(data=data_root, runs=tmp_path / "runs", out=tmp_path / "results", device="cpu")


@pytest.fixture(scope="session")
def finished(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Where the job "best" on the discs has been done, really trained. Read-only for tests."""
    place = tmp_path_factory.mktemp("finished")
    places = Places(data=data_root, runs=place / "runs", out=place / "results", device="cpu")
    run_job(disc_job("best"), places)
    return places
