"""The app: inspect images in the browser. `python app.py`, then open the address it prints."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from panda_core.errors import PandaError
from panda_core.ui.server import build_application, serve

EXAMPLES = Path(__file__).parent / "examples"


def main(arguments: list[str] | None = None) -> int:
    """Parse the flags and serve until interrupted; returns the exit status (2: bad usage)."""
    parser = argparse.ArgumentParser(description="Inspect images in the browser.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--model", help="model to show first: its name or folder (default: the first one found)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    flags = parser.parse_args(arguments)
    try:
        return serve(
            partial(build_application, device=flags.device, model=flags.model, examples=EXAMPLES), host=flags.host, port=flags.port
        )
    except PandaError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
