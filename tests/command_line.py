"""Calls the command as a terminal does, in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from panda_core.__main__ import run

Captured = pytest.CaptureFixture[str]


def call(capsys: Captured, *arguments: object) -> tuple[int, str, str]:
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def call_json(capsys: Captured, *arguments: object) -> Any:
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)
