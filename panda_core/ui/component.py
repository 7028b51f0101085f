"""Our own components: a gr.HTML whose behaviour is an ES module of `assets/`, served by this program and by nobody else.

A module exports ``mount({element, props, trigger, watch, upload, server})``: `element` is the component's node, `props.value` its value,
`watch('value', run)` runs after the server sets a new one, `trigger(event, data)` reaches the Python handler of that event as
`gr.EventData`, `await upload(file)` stores a File and gives ``{path, url}``, and `server` calls the ``server_functions`` given to the
component, or throws where no answer comes. Text from files and people goes into the page by ``textContent`` only.
"""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import FileResponse
from gradio.events import EventListener
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ASSETS = Path(__file__).parent / "assets"
PREFIX = "panda-assets"
_serials = itertools.count(1)


class _Assets(StaticFiles):
    """Always asked whether they are still the same: an update of the program must not meet yesterday's script."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def build_component(value: Any, *, module: str, html: str, elem_id: str, **options: Any) -> gr.HTML:
    """A component of fixed ``html`` that ``assets/<module>.js`` brings to life; ``options`` go to gr.HTML.

    A plain gr.HTML, not a subclass: Gradio writes a stub file beside every subclass. ``html`` must not contain ``${...}`` of the
    value, or every new value rebuilds the component.
    """
    script = (
        f"Promise.all(['{module}', 'calls'].map(name => import(new URL('{PREFIX}/' + name + '.js', document.baseURI))))"
        ".then(([module, {insist}]) => module.mount("
        "{element, props, trigger, watch, upload, server: typeof server === 'undefined' ? null : insist(server)}));"
    )
    return gr.HTML(value, html_template=html, js_on_load=script, apply_default_css=False, elem_id=elem_id, **options)


def fresh(value: dict[str, Any]) -> dict[str, Any]:
    """The same value, unlike any before: of one that equals the component's last value the browser is told nothing."""
    return {**value, "serial": next(_serials)}


def listener(component: gr.HTML, name: str) -> Any:
    """Listener for an event that the component's script triggers; Gradio only offers those it knows as attributes."""
    return partial(EventListener(name).listener, component)


def mount_assets(application: FastAPI) -> None:
    """Serve `assets/` and the plotly.js that comes with the Python package; call before the page is mounted at the root."""
    import plotly

    bundle = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

    @application.get(f"/{PREFIX}/plotly.min.js", include_in_schema=False)
    async def plotly_bundle() -> FileResponse:
        return FileResponse(bundle, media_type="text/javascript", headers={"cache-control": "max-age=86400"})

    application.mount(f"/{PREFIX}", _Assets(directory=ASSETS))
