"""Four models of laptop, each with every part in its place; only what differs between two units of a model is random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from panda_core.procedural import parts
from panda_core.procedural.noise import Rng
from panda_core.procedural.radiograph import Radiograph

Outline = tuple[float, float]
"""Width and height of a device in mm, centred in the picture."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of laptop: ``build`` adds what all units share, ``vary`` what is different in each."""

    outline: Outline
    build: Callable[[Radiograph, Outline], None]
    vary: Callable[[Radiograph, Outline, Rng], None]


def assemble(name: str, side: int, rng: Rng) -> Radiograph:
    """One unit of a model (a key of MODELS) alone in the beam, at ``side`` x ``side`` pixels."""
    scan = _shared(name, side).copy()
    model = MODELS[name]
    model.vary(scan, model.outline, rng)
    _lay_cables(scan, rng, model.outline)
    return scan


@lru_cache(maxsize=8)
def _shared(name: str, side: int) -> Radiograph:
    scan = Radiograph(side)
    MODELS[name].build(scan, MODELS[name].outline)
    return scan


def _fixed(model: str) -> Rng:
    """The stream that places chips and traces: the same for all units of a model."""
    return np.random.default_rng([7, *model.encode()])


def _wobble(points: list[tuple[float, float]], rng: Rng) -> list[tuple[float, float]]:
    """Cables are laid by hand: inner points move by a few mm."""
    return [points[0], *((x + float(rng.normal(0, 2.0)), y + float(rng.normal(0, 2.0))) for x, y in points[1:-1]), points[-1]]


def _screws(scan: Radiograph, width: float, height: float, columns: int) -> None:
    for x in np.linspace(-width / 2 + 9, width / 2 - 9, columns):
        for y in (-height / 2 + 11, height / 2 - 9):
            parts.add_screw(scan, float(x), float(y))
    for x in (-width / 2 + 9, width / 2 - 9):
        parts.add_screw(scan, float(x), 4.0)


def _build_slim(scan: Radiograph, outline: Outline) -> None:
    """Aluminium ultrabook: board along the back, one fan, four pouch cells."""
    w, h = outline
    x, y = -w / 2, -h / 2
    fixed = _fixed("slim")
    parts.add_shell(scan, (x, y, w, h), "aluminium", mm=2.2, wall=1.6)
    parts.add_display(scan, (x + 7, y + 8, w - 14, h - 22))
    parts.add_keyboard(scan, (x + 16, y + 22, w - 32, 92), columns=14)
    parts.add_board(scan, [(x + 64, y + 16, 190, 62), (x + 14, y + 20, 52, 40)], fixed)
    parts.add_chip(scan, (x + 128, y + 32, 30, 24), fixed, die=True)
    parts.add_fins(scan, (x + w - 70, y + 9, 52, 8))
    parts.add_heat_pipe(scan, [(x + 132, y + 46), (x + 196, y + 46), (x + 222, y + 14), (x + w - 20, y + 13)])
    parts.add_stick_drive(scan, x + 22, y + 86)
    parts.add_pouch_cells(scan, (x + 38, y + 124, w - 76, 76), count=4)
    parts.add_touchpad(scan, (-52, y + 128, 104, 68))
    parts.add_speaker(scan, x + 8, y + 140)
    parts.add_speaker(scan, -x - 30, y + 140)
    _finish(scan, outline, columns=4)
    parts.add_plugs(scan, x + 2, [y + 24, y + 42], width=10)


def _vary_slim(scan: Radiograph, outline: Outline, rng: Rng) -> None:
    w, h = outline
    x, y = -w / 2, -h / 2
    parts.add_fan(scan, x + w - 42, y + 40, 21, turn=float(rng.uniform(0, 6)))


def _build_classic(scan: Radiograph, outline: Outline) -> None:
    """Plastic notebook: hard drive, round cells at the back, two memory modules (some units have one)."""
    w, h = outline
    x, y = -w / 2, -h / 2
    fixed = _fixed("classic")
    parts.add_shell(scan, (x, y, w, h), "plastic", mm=6.0, wall=2.5)
    parts.add_display(scan, (x + 9, y + 10, w - 18, h - 26))
    parts.add_keyboard(scan, (x + 18, y + 46, w - 36, 98))
    parts.add_round_cells(scan, x + 58, y + 4, count=3, rows=2)
    parts.add_board(scan, [(x + 12, y + 46, 150, 84), (x + 162, y + 46, 60, 44)], fixed, density=0.9)
    parts.add_chip(scan, (x + 60, y + 62, 34, 34), fixed, die=True)
    parts.add_fins(scan, (x + 5, y + 130, 9, 54))
    parts.add_heat_pipe(scan, [(x + 80, y + 79), (x + 60, y + 110), (x + 14, y + 116), (x + 10, y + 180)])
    parts.add_memory(scan, x + 176, y + 96)
    parts.add_touchpad(scan, (-48, y + 166, 84, 52))
    parts.add_plugs(scan, x + w - 15, [y + 50, y + 68, y + 86])
    _finish(scan, outline, columns=4)


def _vary_classic(scan: Radiograph, outline: Outline, rng: Rng) -> None:
    w, h = outline
    x, y = -w / 2, -h / 2
    parts.add_fan(scan, x + 34, y + 158, 22, turn=float(rng.uniform(0, 6)))
    if rng.random() < 0.6:
        parts.add_memory(scan, x + 176, y + 130)
    parts.add_hard_drive(scan, x + w - 82, y + h - 112, arm=float(rng.uniform(0.55, 1.1)))


def _build_workstation(scan: Radiograph, outline: Outline) -> None:
    """Heavy machine: two fans, three heat pipes, wide board, three large cells."""
    w, h = outline
    x, y = -w / 2, -h / 2
    fixed = _fixed("workstation")
    parts.add_shell(scan, (x, y, w, h), "magnesium", mm=3.6, wall=2.2)
    parts.add_display(scan, (x + 8, y + 9, w - 16, h - 25))
    parts.add_keyboard(scan, (x + 14, y + 58, w - 28, 96), columns=18)
    parts.add_board(scan, [(x + 70, y + 16, w - 140, 100), (x + 14, y + 82, 56, 40), (x + w - 70, y + 82, 56, 40)], fixed, density=0.85)
    parts.add_chip(scan, (x + 112, y + 42, 38, 30), fixed, die=True)
    parts.add_chip(scan, (x + 196, y + 40, 36, 36), fixed, die=True)
    for fx in (x + 42, x + w - 42):
        parts.add_fins(scan, (fx - 27, y + 7, 54, 10))
    parts.add_heat_pipe(scan, [(x + 18, y + 14), (x + 90, y + 20), (x + 124, y + 52), (x + 150, y + 56)])
    parts.add_heat_pipe(scan, [(x + w - 18, y + 14), (x + w - 90, y + 20), (x + 226, y + 52), (x + 192, y + 58)])
    parts.add_heat_pipe(scan, [(x + 104, y + 66), (x + 160, y + 72), (x + 236, y + 66)])
    parts.add_memory(scan, x + 138, y + 84)
    parts.add_stick_drive(scan, x + 20, y + 136)
    parts.add_pouch_cells(scan, (x + 52, y + 168, w - 104, 68), count=3, mm=6.5)
    parts.add_speaker(scan, x + 12, y + 178)
    parts.add_speaker(scan, -x - 34, y + 178)
    parts.add_plugs(scan, x + 2, [y + 96, y + 114])
    parts.add_plugs(scan, x + w - 15, [y + 96, y + 114])
    _finish(scan, outline, columns=5)


def _vary_workstation(scan: Radiograph, outline: Outline, rng: Rng) -> None:
    w, h = outline
    x, y = -w / 2, -h / 2
    for fx in (x + 42, x + w - 42):
        parts.add_fan(scan, fx, y + 48, 25, turn=float(rng.uniform(0, 6)))
    if rng.random() < 0.5:
        parts.add_stick_drive(scan, x + w - 102, y + 136)


def _build_compact(scan: Radiograph, outline: Outline) -> None:
    """Small fanless machine: board in the middle, a large cell on either side."""
    w, h = outline
    x, y = -w / 2, -h / 2
    fixed = _fixed("compact")
    parts.add_shell(scan, (x, y, w, h), "aluminium", mm=1.8, wall=1.4)
    parts.add_display(scan, (x + 6, y + 7, w - 12, h - 20))
    parts.add_keyboard(scan, (x + 12, y + 24, w - 24, 82), columns=13)
    parts.add_board(scan, [(-58, y + 16, 116, 58), (-30, y + 74, 60, 26)], fixed, density=1.1)
    parts.add_chip(scan, (-24, y + 30, 26, 22), fixed, die=True)
    parts.add_heat_pipe(scan, [(-50, y + 34), (-12, y + 41), (50, y + 36)])
    parts.add_pouch_cells(scan, (x + 14, y + 30, 58, 112), count=1, mm=5.2)
    parts.add_pouch_cells(scan, (-x - 72, y + 30, 58, 112), count=1, mm=5.2)
    parts.add_stick_drive(scan, -40, y + 104)
    parts.add_touchpad(scan, (-46, y + 116, 92, 58))
    parts.add_plugs(scan, x + 2, [y + 12], width=10)
    parts.add_plugs(scan, -x - 12, [y + 12], width=10)
    _finish(scan, outline, columns=3)


def _vary_compact(scan: Radiograph, outline: Outline, rng: Rng) -> None:
    """Nothing but the cables differs."""


def _finish(scan: Radiograph, outline: Outline, *, columns: int) -> None:
    """Hinges and case screws, which every model has."""
    w, h = outline
    x, y = -w / 2, -h / 2
    parts.add_hinge(scan, x + 20, y + 1, mirror=False)
    parts.add_hinge(scan, -x - 20, y + 1, mirror=True)
    _screws(scan, w, h, columns)


def _lay_cables(scan: Radiograph, rng: Rng, outline: Outline) -> None:
    """Display cable and the two antenna wires."""
    w, h = outline
    x, y = -w / 2, -h / 2
    parts.add_cable(scan, _wobble([(x + 50, y + 6), (x + 54, y + 24), (x + 74, y + 30), (x + 92, y + 26)], rng), width=2.4)
    back = y + h * 0.5
    parts.add_cable(scan, _wobble([(x + 12, y + 10), (x + 12, back), (x + 60, back + 8), (x + 100, back + 2)], rng))
    parts.add_cable(scan, _wobble([(-x - 12, y + 10), (-x - 14, back), (60, back + 10), (x + 104, back + 4)], rng))


MODELS: dict[str, Model] = {
    "slim": Model((304.0, 212.0), _build_slim, _vary_slim),
    "classic": Model((322.0, 232.0), _build_classic, _vary_classic),
    "workstation": Model((346.0, 248.0), _build_workstation, _vary_workstation),
    "compact": Model((268.0, 184.0), _build_compact, _vary_compact),
}
"""Name -> model."""
