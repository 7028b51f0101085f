"""The architecture as a test: imports point downwards, torch and Gradio stay where they belong, modules stay readable."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import panda_core

ROOT = Path(panda_core.__file__).resolve().parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.read_text(encoding="utf-8").strip())
LONGEST = 300

# From the ground up. A part may import the parts of lower layers, and itself; never its own layer's others.
LAYERS: tuple[set[str], ...] = (
    {"errors", "places", "spreadsheet", "locks", "memory", "stopping", "kernels", "version", "run_status", "printable"},
    {"__init__", "strict", "roots", "durable", "events", "shelf"},
    {"config"},
    {"rivals", "fields"},
    {"presets"},
    {"inspection", "devices", "runs"},
    {"points", "turns"},
    {"card"},
    {"scoring", "nets", "data", "procedural", "history", "roi", "jobs", "card_changes", "origins"},
    {"pretrained", "pooled", "sweep", "datasets", "trivial"},
    {"detectors", "percept", "sweeper", "searches", "fabric"},
    {"training", "checkpoint"},
    {"inspector", "resume", "pretext", "tuning", "watching", "own_models"},
    {"calibration", "evaluation", "model_archive", "portable"},
    {"comparison"},
    {"finishing", "feedback"},
    {"trainer"},
    {"rendering", "worker", "estimate"},
    {"batch", "video"},
    {"report"},
    {"reproduction"},
    {"cli", "ui"},
    {"__main__"},
)
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}

FREE_OF_TORCH = (
    *(
        "scoring",
        "data",
        "datasets",
        "procedural",
        "points",
        "card",
        "card_changes",
        "runs",
        "events",
        "turns",
        "jobs",
        "shelf",
        "sweep",
        "sweeper",
        "searches",
    ),
    *(
        "locks",
        "memory",
        "worker",
        "own_models",
        "model_archive",
        "history",
        "roi",
        "evaluation",
        "rendering",
        "batch",
        "video",
        "report",
        "reproduction",
        "cli",
        "__main__",
        "ui",
    ),
)
"""Parts whose import must not load torch: arithmetic and decoding stay light, and the page and `--help` open at once."""


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all imports of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: write absolute imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(path: Path) -> str:
    return ".".join(("panda_core", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_downwards(path: Path) -> None:
    here = part_of(path)
    for name in imported(path):
        head, _, rest = name.partition(".")
        there = rest.partition(".")[0]
        if head == "panda_core" and there != here:
            assert HEIGHT[there] < HEIGHT[here], f"{here} imports {name}, which is not below it"


def test_every_part_has_a_place_in_the_layers() -> None:
    assert {part_of(path) for path in MODULES} <= set(HEIGHT)
    assert sum(map(len, LAYERS)) == len(HEIGHT), "a part stands in two layers"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_only_the_page_knows_gradio(path: Path) -> None:
    assert part_of(path) == "ui" or not [name for name in imported(path) if name.split(".")[0] == "gradio"]


@pytest.mark.parametrize("path", [p for p in MODULES if part_of(p) == "nets"], ids=dotted)
def test_networks_know_tensors_only(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"numpy", "cv2", "PIL", "scipy", "pathlib", "os"}


@pytest.mark.parametrize("path", [p for p in MODULES if part_of(p) == "scoring"], ids=dotted)
def test_scoring_opens_no_files(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"pathlib", "os", "io", "PIL", "tempfile", "shutil"}


@pytest.mark.parametrize("part", FREE_OF_TORCH)
def test_importing_this_part_does_not_load_torch(part: str) -> None:
    names = [dotted(path) for path in MODULES if part_of(path) == part]
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names!r}]; sys.exit('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr or f"{part} loads torch"


def test_modules_are_named_by_what_they_hold() -> None:
    assert not {path.stem for path in MODULES} & {"utils", "util", "common", "helpers", "misc", "tools"}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_module_is_longer_than_a_person_reads(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{dotted(path)} has {lines} lines; split it by noun"
