"""What docs/api.md shows of the library runs as it stands, with a smaller preset and the toy folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import panda_core
from panda_core.inspector import Inspector

ROOT = Path(__file__).resolve().parent.parent


def test_what_the_page_shows_of_training_measuring_and_calibrating_runs(
    toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("## In Python")[1].split("## Without this package")[0]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    shutil.copytree(toy_folder, tmp_path / "parts")
    shutil.copytree(toy_folder / "train" / "good", tmp_path / "new_light")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    (tmp_path / "photo.png").write_bytes((toy_folder / "test" / "scar" / "000.png").read_bytes())
    for block in (*blocks[1:], blocks[0]):
        small = block.replace('preset("best")', 'preset("tiny")').replace('load("leaf")', 'load("models/parts-2")')
        exec(compile(small, "docs/api.md", "exec"), found)
    assert found["outcome"] == "done" and (found["report"].normal, found["report"].anomalous) == (6, 6)
    assert Inspector.load("models/parts-2").calibration.boundary.kind == "tail"
    assert json.loads(json.dumps(found["said"])).keys() >= {"score", "verdict", "regions"}
    assert {picture.shape[:2] for picture in found["pictures"].values()} == {(48, 48)}


def test_the_package_says_its_version_and_costs_nothing_to_import() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert panda_core.__version__ in (declared, "unknown")
    assert not hasattr(panda_core, "anything_else")
    code = "import panda_core, sys; sys.exit(any(name in sys.modules for name in ('importlib.metadata', 'numpy', 'torch')))"
    assert subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=False).returncode == 0


def test_type_checkers_are_told_that_the_package_has_types() -> None:
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["panda_core"]
    assert "py.typed" in packaged and (ROOT / "panda_core" / "py.typed").is_file()
