"""The stage: the views of one image in a component whose pictures change without being rebuilt; it takes dropped and pasted files too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from panda_core.ui.view import VIEWS

HERE = Path(__file__).parent


def build_stage(value: Mapping[str, Any], *, elem_id: str) -> gr.HTML:
    """The component. Its value holds ``pictures`` (name -> file reference) or ``notice`` (title, text, command, kind).

    Its event ``upload`` carries ``path``. A plain gr.HTML, not a subclass: Gradio writes a stub file beside every subclass.
    """
    script = (HERE / "stage.js").read_text(encoding="utf-8")
    return gr.HTML(value, html_template=_template(), js_on_load=script, apply_default_css=False, elem_id=elem_id)


def _template() -> str:
    buttons = "".join(_button(name, label) for name, label in {"all": "All", **VIEWS}.items())
    figures = "".join(_figure(name, label) for name, label in VIEWS.items())
    return (
        f'<div class="stage" data-view="all" data-state="empty"><div class="views" role="group" aria-label="View">{buttons}</div>'
        f'<div class="frame">{figures}<div class="notice" role="alert"><h2></h2><p></p><code hidden></code></div></div></div>'
    )


def _button(name: str, label: str) -> str:
    return f'<button type="button" data-view="{name}" aria-pressed="{"true" if name == "all" else "false"}">{label}</button>'


def _figure(name: str, label: str) -> str:
    return f'<figure data-name="{name}"><img alt="{label}" hidden><figcaption>{label}</figcaption></figure>'
