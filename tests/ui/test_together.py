"""People who wait for the network share its next pass, and each gets his own answer, or his own error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from panda_core.errors import ImageError, ModelError
from panda_core.ui.together import Together

FITTING = 3


class Passes:
    """A network that is held until `open`, notes what it saw at once, and gives each file's name for an inspection."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, list[str]]] = []
        self.open = threading.Event()
        self.together = Together(ThreadPoolExecutor(1), self.look, lambda paths: paths[:FITTING])

    def look(self, model: str, paths: Sequence[Path]) -> Any:
        self.seen.append((model, [path.name for path in paths]))
        assert self.open.wait(10)
        if model == "broken":
            raise ModelError("broken is damaged")
        return [ImageError(path, "cannot be read") if path.name == "bad" else f"{model}: {path.name}" for path in paths]

    def waiting(self) -> int:
        return len(self.together._waiting)


@pytest.fixture
def passes() -> Passes:
    return Passes()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def ask(passes: Passes, *wishes: tuple[str, str]) -> list[Future[Any]]:
    """The first has the network before the others ask, one after the other; they get it when all wait."""
    with ThreadPoolExecutor(len(wishes)) as pool:
        asked = []
        for at, (model, name) in enumerate(wishes):
            asked.append(pool.submit(passes.together.inspect, model, Path(name)))
            until(lambda at=at: passes.seen and passes.waiting() == at)  # type: ignore[misc]
        passes.open.set()
    return asked


def test_those_who_wait_share_a_pass(passes: Passes) -> None:
    asked = ask(passes, *(("leaf", str(number)) for number in range(4)))
    assert [one.result() for one in asked] == [f"leaf: {number}" for number in range(4)]
    assert [len(names) for _, names in passes.seen] == [1, 3]
    assert passes.waiting() == 0


def test_no_pass_holds_more_than_fit(passes: Passes) -> None:
    asked = ask(passes, *(("leaf", str(number)) for number in range(6)))
    assert [one.result() for one in asked] == [f"leaf: {number}" for number in range(6)]
    assert [len(names) for _, names in passes.seen] == [1, FITTING, 2]


def test_another_model_gets_a_pass_of_its_own(passes: Passes) -> None:
    asked = ask(passes, ("leaf", "0"), ("leaf", "1"), ("xray", "2"), ("leaf", "3"))
    assert [one.result() for one in asked] == ["leaf: 0", "leaf: 1", "xray: 2", "leaf: 3"]
    assert sorted((model, sorted(names)) for model, names in passes.seen) == [("leaf", ["0"]), ("leaf", ["1", "3"]), ("xray", ["2"])]


def test_a_file_that_cannot_be_read_fails_for_its_asker_only(passes: Passes) -> None:
    first, bad, good = ask(passes, ("leaf", "first"), ("leaf", "bad"), ("leaf", "good"))
    with pytest.raises(ImageError, match="cannot be read"):
        bad.result()
    assert (first.result(), good.result()) == ("leaf: first", "leaf: good")


def test_a_model_that_fails_is_said_to_all_and_the_next_is_served(passes: Passes) -> None:
    asked = ask(passes, ("leaf", "first"), ("broken", "a"), ("broken", "b"))
    for one in asked[1:]:
        with pytest.raises(ModelError, match="damaged"):
            one.result()
    assert passes.together.inspect("leaf", Path("after")) == "leaf: after"  # type: ignore[comparison-overlap]
    assert [names for model, names in passes.seen if model == "broken"] in ([["a", "b"]], [["b", "a"]])
