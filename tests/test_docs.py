"""The documents and the code say the same: commands, fields, errors and links that exist."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from panda_core import errors
from panda_core.__main__ import COMMANDS
from panda_core.config import Config
from panda_core.presets import PRESETS
from panda_core.rivals import RIVALS
from panda_core.strict import dotted_names

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
LINKED = [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"]
ERRORS = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.PandaError)]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command: str) -> None:
    assert f"panda {command}" in text("docs/cli.md")


@pytest.mark.parametrize("field", dotted_names(Config().to_dict()))
def test_every_field_is_described(field: str) -> None:
    row = re.search(rf"^\| `{re.escape(field)}` \|.*\| (.*) \|$", text("docs/configuration.md"), re.MULTILINE)
    assert row and row[1].strip(), f"give {field} a docstring in panda_core/config and run docs/make_configuration.py"


def test_the_page_of_the_configuration_is_what_the_code_says(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'docs')!r}); import make_configuration as m; sys.stdout.write(m.page())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=tmp_path).stdout.decode()
    assert made == text("docs/configuration.md"), "run: python docs/make_configuration.py"


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_described(error: str) -> None:
    assert any(f"`{error}`" in page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_described(name: str) -> None:
    assert f"`{name}`" in text("docs/method.md" if name in RIVALS else "README.md")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


def test_the_files_that_the_readme_names_exist() -> None:
    listing = text("README.md").split("## Files")[1].split("```")[1]
    names = [name for name in re.findall(r"[\w.]+/?", listing) if name.endswith("/") or re.search(r"\.(py|txt|toml|md)$", name)]
    assert len(names) > 8
    for name in names:
        assert (ROOT / name).exists() or (ROOT / "panda_core" / name).exists(), name


def test_the_tree_of_the_architecture_names_every_part() -> None:
    tree = text("docs/architecture.md").split("```")[1]
    named = set(re.findall(r"^  (\w+(?:\.py|/))", tree, re.MULTILINE))
    core = ROOT / "panda_core"
    modules = {path.name for path in core.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in core.glob("*/__init__.py")}
    assert named == modules | folders


def test_the_method_names_functions_that_exist() -> None:
    names = re.findall(r"`((?:nets|scoring|detectors|percept|pretext|inspection)(?:\.\w+)+)`", text("docs/method.md"))
    assert len(names) > 15
    for name in names:
        assert defined(name), f"docs/method.md names {name}"


def defined(dotted: str) -> bool:
    """Whether a dotted name has its module file and its last part is defined there; modules are read, not imported.

    Fields such as `percept.modes` are names of the configuration.
    """
    parts, place = dotted.split("."), ROOT / "panda_core"
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    module = place / f"{parts[0]}.py" if parts else place / "__init__.py"
    source = module.read_text(encoding="utf-8") if module.exists() else ""
    if all(re.search(rf"^\s*(?:class|def) {part}\b", source, re.MULTILINE) for part in parts[1:]) and source:
        return True
    return dotted in dotted_names(Config().to_dict())


def test_every_section_of_the_configuration_has_a_heading() -> None:
    sections = [field.name for field in dataclasses.fields(Config) if dataclasses.is_dataclass(getattr(Config(), field.name))]
    assert [s for s in sections if f"## `{s}`" not in text("docs/configuration.md")] == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("docs/api.md", ("TorchScript is not offered", "model.safetensors", "card.json", "user-guide.md#images-deeper-than-8-bits")),
        ("docs/user-guide.md", ("## Images deeper than 8 bits", "data.deep_low")),
        ("README.md", ("pip install -e", "pip wheel .")),
    ],
)
def test_what_somebody_who_embeds_it_must_know_is_said(page: str, words: tuple[str, ...]) -> None:
    said = " ".join(text(page).split())
    assert [word for word in words if word not in said] == []
