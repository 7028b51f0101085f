"""How a page is mounted in a FastAPI application: with our look, our files and without Gradio's extras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from panda_core.history import History
from panda_core.ui.component import ASSETS, PREFIX, mount_assets
from panda_core.ui.history_tab import mount_thumbnails
from panda_core.ui.theme import build_theme

HERE = Path(__file__).parent
HEAD = (
    f'<link rel="manifest" href="{PREFIX}/manifest.webmanifest"><link rel="icon" href="{PREFIX}/icon.svg">'
    f'<link rel="apple-touch-icon" href="{PREFIX}/icon-192.png"><meta name="theme-color" content="#1d5fd6">'
)


def styles() -> str:
    """All style sheets of the page: page.css first, then those of its parts."""
    parts = sorted({*HERE.glob("*.css"), *ASSETS.glob("*.css")} - {HERE / "page.css"})
    return "\n".join(path.read_text(encoding="utf-8") for path in (HERE / "page.css", *parts))


def mount(application: FastAPI, page: gr.Blocks, *, history: History | None = None, mcp: bool = False) -> Any:
    """The page at the root of a FastAPI application, with our look and without Gradio's extras; returns the application.

    mcp: offer the public endpoints as tools, too (needs the package mcp).
    """
    mount_assets(application)
    if history is not None:
        mount_thumbnails(application, history)
    mounted = gr.mount_gradio_app(
        application,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=True,
        max_file_size="200mb",
        theme=build_theme(),
        css=styles(),
        head=HEAD,
        mcp_server=mcp,
    )
    # Only launch() sets these, and without them Gradio takes any server path in a forged upload into its public cache (6.31).
    page.is_running = page.has_launched = True
    return mounted
