"""Results and errors go through pickle and copy: to another process and back, as read-only as before."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import panda_core
from panda_core.data.depth import RefusedError
from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Decision, Evidence, Inspection
from panda_core.inspector import Inspector, examine_images
from panda_core.scoring.decision import decide

Trip = Callable[[Any], Any]


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.fixture(params=[through_pickle, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def trip(request: pytest.FixtureRequest) -> Trip:
    return request.param  # type: ignore[no-any-return]


def assert_read_only(*arrays: np.ndarray) -> None:
    assert not any(array.flags.writeable for array in arrays)


def test_an_inspection_arrives_whole_and_read_only(inspector: Inspector, scarred_pictures: list[np.ndarray], trip: Trip) -> None:
    sent = inspector.inspect(scarred_pictures[0])
    got: Inspection = trip(sent)
    assert (got.score, got.errors, got.contributions, got.p_value) == (sent.score, sent.errors, sent.contributions, sent.p_value)
    assert np.array_equal(got.anomaly_map, sent.anomaly_map) and np.array_equal(got.image, sent.image)
    assert_read_only(got.image, got.reconstruction, got.residual, got.anomaly_map, got.calibration.normal_scores)
    assert_read_only(*(array for stats in got.calibration.maps.values() for array in (stats.mean, stats.std)))
    for mapping in (got.errors, got.contributions, got.calibration.errors, got.calibration.maps):
        with pytest.raises(TypeError):
            mapping["recon"] = 0.0  # type: ignore[index]

    judged, told = decide(sent), decide(got)
    moved: Decision = trip(told)
    assert (moved.verdict, moved.margin, moved.regions) == (judged.verdict, judged.margin, judged.regions)
    assert_read_only(moved.mask)


def test_evidence_arrives_whole_and_read_only(inspector: Inspector, scarred_pictures: list[np.ndarray], trip: Trip) -> None:
    sent = next(examine_images(inspector.model, scarred_pictures[:1]))
    got: Evidence = trip(sent)
    assert got.errors == sent.errors and got.maps.keys() == sent.maps.keys()
    assert all(np.array_equal(got.maps[name], sent.maps[name]) for name in sent.maps)
    assert_read_only(got.reconstruction, *got.maps.values())


def kinds(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def test_every_error_arrives_with_its_sentence(trip: Trip) -> None:
    for module in pkgutil.walk_packages(panda_core.__path__, "panda_core."):
        if not module.name.startswith(("panda_core.ui", "panda_core.__main__")):
            importlib.import_module(module.name)
    names = [kind for kind in (*kinds(PandaError), RefusedError) if kind.__module__.startswith("panda_core") and kind is not ImageError]
    assert len(names) > 10
    for error in (*(kind("a sentence") for kind in names), ImageError("a.png", "is no image")):
        error.add_note("seen at noon")
        got = trip(error)
        assert (type(got), str(got), vars(got)) == (type(error), str(error), vars(error))
