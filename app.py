"""The app: inspect images in the browser. `python app.py`, then open the address it prints."""

from __future__ import annotations

import argparse
import atexit
import importlib.util
import ipaddress
import os
import sys
from functools import partial
from pathlib import Path

from panda_core.errors import PandaError
from panda_core.ui.server import Settings, build_application, serve

EXAMPLES = Path(__file__).parent / "examples"


def main(arguments: list[str] | None = None) -> int:
    """Parse the flags and serve until interrupted; returns the exit status (2: bad usage)."""
    parser = argparse.ArgumentParser(description="Inspect images in the browser.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--model", help="model to show first: name or folder (default: the one chosen in the tab Models, else the first)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    parser.add_argument(
        "--folder",
        action="append",
        type=Path,
        metavar="DIR",
        help="a folder of this computer whose images the page may read; may be given again (default: your home and the working "
        "folder; none where other machines are let in)",
    )
    parser.add_argument("--no-history", action="store_true", help="do not keep what is inspected")
    parser.add_argument("--mcp", action="store_true", help='offer the endpoints as MCP tools, too; needs: pip install "gradio[mcp]"')
    flags = parser.parse_args(arguments)
    missing = [folder for folder in flags.folder or () if not folder.is_dir()]
    if missing:
        parser.error(f"--folder {missing[0]}: there is no such folder")
    if flags.mcp and importlib.util.find_spec("mcp") is None:
        parser.error('--mcp needs one more package: pip install "gradio[mcp]"')
    settings = Settings(
        device=flags.device,
        model=flags.model,
        examples=EXAMPLES,
        roots=tuple(flags.folder) if flags.folder else None if _is_local(flags.host) else (),
        remember=not flags.no_history,
        mcp=flags.mcp,
    )
    try:
        return serve(partial(build_application, settings), host=flags.host, port=flags.port)
    except PandaError as error:
        print(error, file=sys.stderr)
        return 2


def _is_local(host: str) -> bool:
    """Whether only this machine can reach the address: strangers are not offered the owner's files."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _run() -> None:
    """The program: ends with main's status.

    A thread that is still in torch when the interpreter is torn down would abort the process, so after all that is to be
    done at exit (what is registered first comes last) the process simply ends.
    """
    status = [1]

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status[0])

    atexit.register(leave)
    try:
        status[0] = main()
    except SystemExit as error:  # argparse has said what is wrong
        status[0] = error.code if isinstance(error.code, int) else 1


if __name__ == "__main__":
    _run()
