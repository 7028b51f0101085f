"""Writes the example images: ``python -m panda_core.procedural.gallery [folder]`` (default: examples)."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from panda_core.durable import written_aside
from panda_core.procedural.dataset import KINDS

SIZE = 512
"""Side of an example in pixels."""
EXAMPLES: dict[str, tuple[str, int, str | None]] = {
    "leaf_healthy": ("leaf", 900_006, None),
    "leaf_lesion": ("leaf", 900_001, "lesion"),
    "leaf_mildew": ("leaf", 900_005, "mildew"),
    "xray_normal": ("xray", 900_001, None),
    "xray_screw": ("xray", 900_002, "screw"),
    "xray_blade": ("xray", 900_003, "blade"),
}
"""Name -> kind, seed, anomaly. Seeds from 900000 on are kept out of training sets."""


def write_gallery(folder: Path) -> list[Path]:
    """Draws EXAMPLES at SIZE and writes them as <name>.jpg (quality 92) into ``folder``, replacing older ones; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (kind, seed, anomaly) in EXAMPLES.items():
        image, _ = KINDS[kind][0](seed, size=SIZE, anomaly=anomaly)
        encoded = io.BytesIO()
        Image.fromarray(image).save(encoded, "JPEG", quality=92)
        path = folder / f"{name}.jpg"
        with written_aside(path, durable=False) as temporary:
            temporary.write_bytes(encoded.getvalue())
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write_gallery(Path(sys.argv[1] if len(sys.argv) > 1 else "examples")):
        print(written)
