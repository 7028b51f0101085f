"""Beer-Lambert: attenuation adds up, transmission multiplies."""

import numpy as np
import pytest

from panda_core.procedural.device import MODELS, assemble
from panda_core.procedural.radiograph import ATTENUATION, FIELD, Radiograph, rectangle

PLATE = rectangle(-60, -60, 120, 120)


def test_two_plates_transmit_the_product_of_what_each_transmits():
    steel, plastic, both = Radiograph(64), Radiograph(64), Radiograph(64)
    for scan in (steel, both):
        scan.add([PLATE], "steel", 0.5)
    for scan in (plastic, both):
        scan.add([PLATE], "plastic", 9.0)
    np.testing.assert_allclose(both.transmission(), steel.transmission() * plastic.transmission(), rtol=1e-5)


@pytest.mark.parametrize("material", ATTENUATION)
def test_a_plate_transmits_exp_of_minus_mu_t(material):
    scan = Radiograph(64)
    scan.add([PLATE], material, 2.0)
    np.testing.assert_allclose(scan.transmission()[32, 32], np.exp(-2.0 * np.array(ATTENUATION[material])), rtol=1e-3)
    assert (scan.transmission()[0, 0] == 1).all()


def test_overlapping_shapes_of_one_part_count_once():
    scan = Radiograph(64)
    scan.add([PLATE, PLATE + 10], "steel", 1.0)
    assert scan.soft.max() == pytest.approx(ATTENUATION["steel"][0])


def test_a_part_beyond_the_picture_is_cut_off_or_left_out():
    scan = Radiograph(64)
    scan.add([PLATE + 3 * FIELD], "steel", 1.0)
    assert not scan.soft.any()
    scan.add([PLATE + FIELD / 2], "steel", 1.0)
    assert scan.soft[-1, -1] > 0


def test_a_hole_never_leaves_less_than_nothing():
    scan = Radiograph(64)
    scan.add([PLATE], "steel", 1.0)
    scan.add([PLATE], "steel", -5.0)
    assert scan.soft.min() == 0


@pytest.mark.parametrize("name", MODELS)
def test_two_units_of_a_model_share_nearly_all_and_assembling_leaves_the_shared_part_alone(name):
    first = assemble(name, 96, np.random.default_rng(1)).soft
    second = assemble(name, 96, np.random.default_rng(2)).soft
    again = assemble(name, 96, np.random.default_rng(1)).soft
    assert np.array_equal(first, again)
    assert 0 < np.mean(np.abs(first - second) > 0.05) < 0.25
