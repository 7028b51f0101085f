"""Parts of a laptop as an X-ray sees them; each function adds one part to a Radiograph (lengths in mm)."""

from __future__ import annotations

import numpy as np

from panda_core.procedural.noise import Rng
from panda_core.procedural.radiograph import Radiograph, disc, frame, rectangle, wire

Box = tuple[float, float, float, float]
"""x, y, width, height."""


def add_shell(scan: Radiograph, box: Box, material: str, *, mm: float, wall: float) -> None:
    """Bottom, palm rest and lid in one plate, and the side walls, which the beam passes edgewise."""
    x, y, w, h = box
    outer = rectangle(x, y, w, h, corner=9)
    scan.add([outer], material, mm)
    scan.add([frame(outer, rectangle(x + wall, y + wall, w - 2 * wall, h - 2 * wall, corner=8))], material, 6 * mm)
    scan.add([frame(outer, rectangle(x + 5, y + 5, w - 10, h - 10, corner=6))], "plastic", 3.0)


def add_display(scan: Radiograph, box: Box) -> None:
    """Glass, light guide and the strip with the drivers at its lower edge."""
    x, y, w, h = box
    scan.add([rectangle(x, y, w, h)], "glass", 1.1)
    scan.add([rectangle(x, y, w, h)], "plastic", 2.0)
    scan.add([rectangle(x + 6, y + h - 7, w - 12, 5)], "laminate", 1.4)
    scan.add([rectangle(x + 14 + i * 22, y + h - 6, 11, 2) for i in range(int((w - 28) // 22))], "silicon", 0.9)


def add_keyboard(scan: Radiograph, box: Box, *, rows: int = 6, columns: int = 15) -> None:
    """Thin steel tray, key caps and the rubber domes under them."""
    x, y, w, h = box
    dx, dy = w / columns, h / rows
    scan.add([rectangle(x, y, w, h, corner=2)], "steel", 0.10)
    keys = []
    for row in range(rows):
        shift = 0.25 * dx * (row % 3) if row < rows - 1 else 0.0
        for column in range(columns - (1 if shift else 0)):
            if row == rows - 1 and 4 <= column <= 8:
                continue
            keys.append(rectangle(x + column * dx + shift + 0.9, y + row * dy + 0.9, dx - 1.8, dy - 1.8, corner=1.2))
    keys.append(rectangle(x + 4 * dx + 0.9, y + h - dy + 0.9, 5 * dx - 1.8, dy - 1.8, corner=1.2))
    scan.add(keys, "plastic", 3.6)
    scan.add([frame(k, 0.72 * (k - k.mean(axis=0)) + k.mean(axis=0)) for k in keys], "plastic", 2.4)


def add_pouch_cells(scan: Radiograph, box: Box, *, count: int, mm: float = 4.5) -> None:
    """Flat lithium cells side by side: wound layers show as faint bands, tabs and the protection board at the upper edge."""
    x, y, w, h = box
    pitch = w / count
    scan.add(
        [frame(rectangle(x - 2, y - 9, w + 4, h + 11, corner=2), rectangle(x - 0.8, y - 7.8, w + 1.6, h + 8.6, corner=2))], "plastic", 7
    )
    scan.add([rectangle(x + 4, y - 7, w - 8, 5)], "laminate", 1.6)
    scan.add([rectangle(x + w * k / 9, y - 6.2, 3.5, 3) for k in range(1, 9)], "silicon", 1.6)
    for i in range(count):
        left, width = x + i * pitch + 1, pitch - 2
        cell = rectangle(left, y, width, h, corner=2.5)
        scan.add([cell], "lithium cell", mm)
        scan.add([rectangle(left + 3, y + 2, width - 6, h - 4, corner=2)], "lithium cell", 0.35 * mm)
        scan.add([rectangle(left + 1, y + 1, 2.0, h - 2), rectangle(left + width - 3, y + 1, 2.0, h - 2)], "copper", 0.12)
        scan.add([rectangle(left + width * 0.25, y - 5, 5, 6), rectangle(left + width * 0.65, y - 5, 5, 6)], "copper", 0.35)


def add_round_cells(scan: Radiograph, x: float, y: float, *, count: int, rows: int = 1) -> None:
    """Cylindrical cells (18 x 65 mm) lying in ``rows``: thicker in the middle, steel can, spot-welded strips."""
    length, diameter = 65.0, 18.4
    for row in range(rows):
        for i in range(count):
            left, top = x + i * (length + 1.5), y + row * diameter
            # The chord through a cylinder in steps: enough for its rounded look.
            for step in np.linspace(0.08, 0.98, 9):
                half = diameter / 2 * float(np.sqrt(1 - step**2))
                scan.add([rectangle(left, top + diameter / 2 - half, length, 2 * half)], "lithium cell", 1.15)
            scan.add([rectangle(left, top, length, 1.0), rectangle(left, top + diameter - 1.0, length, 1.0)], "steel", 0.9)
            scan.add(
                [rectangle(left, top + 1, 1.5, diameter - 2), rectangle(left + length - 3.5, top + 3, 2.5, diameter - 6)], "steel", 0.9
            )
        scan.add([rectangle(x - 3, y + row * diameter + 5, 4.5, 8)], "copper", 0.4)


def add_board(scan: Radiograph, boxes: list[Box], rng: Rng, *, density: float = 1.0) -> None:
    """Printed circuit board in rectangles: copper planes and traces, chips with solder balls, small parts, plugs at the edge."""
    scan.add([rectangle(*box) for box in boxes], "laminate", 1.3)
    for x, y, w, h in boxes:
        area = w * h * density
        traces = [_trace(rng, (x, y, w, h)) for _ in range(int(area / 120))]
        scan.add(traces, "copper", 0.10)
        for _ in range(int(area / 900)):
            cw, ch = rng.uniform(4, 13, 2)
            cx, cy = x + rng.uniform(2, max(3, w - cw - 2)), y + rng.uniform(2, max(3, h - ch - 2))
            add_chip(scan, (cx, cy, float(cw), float(ch)), rng)
        small = rng.uniform((x + 2, y + 2), (x + w - 3, y + h - 3), (int(area / 55), 2))
        scan.add([rectangle(px, py, *rng.choice([(2.0, 1.1), (1.1, 2.0), (1.4, 0.8)])) for px, py in small], "silicon", 1.7)
        coils = rng.uniform((x + 5, y + 5), (x + w - 8, y + h - 8), (int(area / 2200) + 1, 2))
        scan.add([rectangle(px, py, 5.5, 5.5, corner=0.8) for px, py in coils], "steel", 1.1)
        scan.add([rectangle(px, py, 2.6, 2.6) for px, py in coils - 7], "silicon", 3.0)


def _trace(rng: Rng, box: Box) -> np.ndarray:
    x, y, w, h = box
    start = np.array([rng.uniform(x + 1, x + w - 1), rng.uniform(y + 1, y + h - 1)])
    points = [start]
    for _ in range(3):
        direction = rng.choice([(1, 0), (0, 1), (-1, 0), (0, -1), (0.7, 0.7), (-0.7, 0.7)])
        points.append(np.clip(points[-1] + direction * rng.uniform(4, 22), (x + 1, y + 1), (x + w - 1, y + h - 1)) + 1e-6 * len(points))
    return wire([(float(px), float(py)) for px, py in points], 0.8)


def add_chip(scan: Radiograph, box: Box, rng: Rng, *, die: bool = False) -> None:
    """A packaged chip: body, die, and its pins along two edges; ``die`` gives a processor with a grid of solder balls."""
    x, y, w, h = box
    scan.add([rectangle(x, y, w, h)], "silicon", 1.0)
    scan.add([rectangle(x + w * 0.28, y + h * 0.28, w * 0.44, h * 0.44)], "silicon", 2.2 if die else 0.9)
    if die:
        balls = [disc(x + 2 + i * 2.4, y + 2 + j * 2.4, 0.7) for i in range(int((w - 2) / 2.4)) for j in range(int((h - 2) / 2.4))]
        scan.add(balls, "copper", 0.35)
        return
    count = int(w / 1.8)
    pins = [rectangle(x + 0.6 + i * 1.8, edge, 0.8, 1.2) for i in range(count) for edge in (y - 1.0, y + h - 0.2)]
    if pins:
        scan.add(pins, "copper", 0.35 * float(rng.uniform(0.7, 1.2)))


def add_fan(scan: Radiograph, x: float, y: float, radius: float, *, turn: float) -> None:
    """Blower at centre (x, y): housing, blades (``turn`` in radians), motor magnet and axle."""
    scan.add([rectangle(x - radius - 3, y - radius - 3, 2 * radius + 6, 2 * radius + 6, corner=5)], "plastic", 1.6)
    scan.add([frame(disc(x, y, radius + 2.5), disc(x, y, radius + 1.2))], "plastic", 9)
    scan.add([disc(x, y, radius * 0.42)], "plastic", 3)
    blades = []
    for k in range(23):
        a = turn + 2 * np.pi * k / 23
        bend = ((0.0, radius * 0.42), (0.5, radius * 0.7), (1.0, radius * 0.97))
        blades.append(wire([(x + r * float(np.cos(a + 0.35 * s)), y + r * float(np.sin(a + 0.35 * s))) for s, r in bend], 0.9))
    scan.add(blades, "plastic", 7)
    scan.add([frame(disc(x, y, radius * 0.36), disc(x, y, radius * 0.27))], "magnet", 0.8)
    coils = [disc(x + radius * 0.18 * np.cos(k * np.pi / 2), y + radius * 0.18 * np.sin(k * np.pi / 2), radius * 0.08) for k in range(4)]
    scan.add(coils, "copper", 0.9)
    scan.add([disc(x, y, 1.3)], "steel", 4)


def add_fins(scan: Radiograph, box: Box) -> None:
    """Heat exchanger: a block of thin copper fins."""
    x, y, w, h = box
    scan.add([rectangle(x, y, w, h)], "copper", 0.25)
    scan.add([rectangle(x + i * 2.2, y, 0.9, h) for i in range(int(w / 2.2))], "copper", 0.9)


def add_heat_pipe(scan: Radiograph, points: list[tuple[float, float]]) -> None:
    """Flattened copper pipe: thin top and bottom, edgewise walls."""
    scan.add([wire(points, 7.0, rounded=True)], "copper", 0.64)
    scan.add([wire(points, 4.8, rounded=True)], "copper", -0.14)


def add_hard_drive(scan: Radiograph, x: float, y: float, *, arm: float) -> None:
    """2.5 inch drive: cast frame, platter, spindle, arm (angle ``arm`` in radians) and voice-coil magnet."""
    scan.add([rectangle(x, y, 70, 100, corner=3)], "aluminium", 3.2)
    scan.add([frame(rectangle(x, y, 70, 100, corner=3), rectangle(x + 3, y + 3, 64, 94, corner=3))], "aluminium", 5)
    scan.add([disc(x + 35, y + 36, 32.5)], "aluminium", 2.4)
    scan.add([frame(disc(x + 35, y + 36, 12), disc(x + 35, y + 36, 9))], "aluminium", 5)
    scan.add([disc(x + 35, y + 36, 7)], "steel", 2.2)
    pivot = (x + 55, y + 78)
    tip = (pivot[0] - 43 * np.cos(arm), pivot[1] - 43 * np.sin(arm))
    scan.add([wire([pivot, (float(tip[0]), float(tip[1]))], 4.5)], "aluminium", 4)
    scan.add([disc(*pivot, 5)], "steel", 1.6)
    scan.add([rectangle(x + 42, y + 80, 22, 13, corner=3)], "magnet", 1.1)
    scan.add([rectangle(x + 8, y + 72, 26, 20)], "laminate", 1.5)
    scan.add([rectangle(x + 10, y + 96, 32, 4)], "copper", 0.5)


def add_memory(scan: Radiograph, x: float, y: float) -> None:
    """Memory module in its socket: eight chips, contacts, steel clips."""
    scan.add([rectangle(x, y, 68, 30)], "laminate", 1.2)
    scan.add([rectangle(x + 3 + i * 16, y + 3 + j * 12, 12, 9) for i in range(4) for j in range(2)], "silicon", 1.3)
    scan.add([rectangle(x + 2 + i * 1.8, y + 27, 0.9, 3) for i in range(36)], "copper", 0.35)
    scan.add([rectangle(x - 3, y + 2, 2.5, 26), rectangle(x + 68.5, y + 2, 2.5, 26)], "steel", 0.5)


def add_stick_drive(scan: Radiograph, x: float, y: float) -> None:
    """Solid-state drive on a 22 x 80 mm stick, lying along x."""
    scan.add([rectangle(x, y, 80, 22)], "laminate", 1.0)
    scan.add([rectangle(x + 8, y + 3, 14, 15), rectangle(x + 34, y + 3, 16, 16), rectangle(x + 56, y + 3, 16, 16)], "silicon", 1.3)
    scan.add([rectangle(x, y + 2 + i * 1.6, 3, 0.8) for i in range(11)], "copper", 0.4)
    scan.add([disc(x + 79, y + 11, 2.6)], "steel", 1.3)


def add_hinge(scan: Radiograph, x: float, y: float, *, mirror: bool) -> None:
    """Steel hinge: barrel along the back edge and a bracket with three screws."""
    sign = -1.0 if mirror else 1.0
    left = x - (26 if mirror else 0)
    scan.add([rectangle(left, y, 26, 6.5, corner=2)], "steel", 2.6)
    scan.add([rectangle(x - (9 if mirror else 0), y + 5, 9, 26, corner=2)], "steel", 0.9)
    for dy in (12, 20, 27):
        add_screw(scan, x + sign * 4.5, y + dy)


def add_screw(scan: Radiograph, x: float, y: float) -> None:
    """Case screw seen along its axis: flat head around a longer shaft."""
    scan.add([disc(x, y, 2.9)], "steel", 0.8)
    scan.add([disc(x, y, 1.35)], "steel", 3.6)


def add_speaker(scan: Radiograph, x: float, y: float) -> None:
    """Speaker box 22 x 48 mm with its ring magnet."""
    scan.add([frame(rectangle(x, y, 22, 48, corner=4), rectangle(x + 1.5, y + 1.5, 19, 45, corner=3))], "plastic", 8)
    scan.add([rectangle(x + 4, y + 8, 14, 30, corner=6)], "steel", 0.22)
    scan.add([rectangle(x + 7, y + 14, 8, 18, corner=3)], "magnet", 0.7)


def add_touchpad(scan: Radiograph, box: Box) -> None:
    """Glass plate with a small controller underneath."""
    x, y, w, h = box
    scan.add([rectangle(x, y, w, h, corner=3)], "glass", 1.0)
    scan.add([frame(rectangle(x, y, w, h, corner=3), rectangle(x + 1.2, y + 1.2, w - 2.4, h - 2.4, corner=2))], "steel", 0.3)
    scan.add([rectangle(x + w / 2 - 6, y + h / 2 - 5, 12, 10)], "silicon", 1.0)


def add_plugs(scan: Radiograph, x: float, tops: list[float], *, width: float = 13.0) -> None:
    """Sockets of folded steel along an edge."""
    for top in tops:
        scan.add([rectangle(x, top, width, 13)], "steel", 0.55)
        scan.add([rectangle(x + 2, top + 2.5, width - 4, 8)], "plastic", 4)
        scan.add([rectangle(x + 3, top + 4 + i * 2, width - 6, 0.8) for i in range(3)], "copper", 0.4)


def add_cable(scan: Radiograph, points: list[tuple[float, float]], *, width: float = 1.3) -> None:
    """Insulated copper cable."""
    scan.add([wire(points, width, rounded=True)], "copper", 0.28)
    scan.add([wire(points, width + 1.2, rounded=True)], "plastic", 1.0)
