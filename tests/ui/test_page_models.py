"""What the page decides between its tabs, without a browser."""

from __future__ import annotations

import dataclasses

import pytest
from engine_double import LEAF, XRAY, FakeEngine

from panda_core.ui.page import model_of_result


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("other", "other"), ("leaf", "leaf"), (None, "leaf"), ("deleted", "leaf"), (XRAY.name, "leaf")],
)
def test_a_result_is_opened_with_the_model_that_gave_it(wanted: str | None, expected: str) -> None:
    assert XRAY.problem, "the double's model that cannot be used"
    assert model_of_result(FakeEngine(LEAF, dataclasses.replace(LEAF, name="other"), XRAY), wanted, "leaf") == expected
