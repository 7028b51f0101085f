"""Gradio is imported without writing stub files, and whole."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import ast, gc, inspect, json

searched = []
search = ast.get_source_segment
ast.get_source_segment = lambda *given, **named: searched.append(1) or search(*given, **named)
before = inspect.getfile
{start}
import gradio as gr
with gr.Blocks() as page:
    gr.Button("Go").click(lambda: "done", None, gr.Textbox())
same = inspect.getfile is before
print(json.dumps(dict(stubs=len(searched), restored=same, collects=gc.isenabled(), events=len(page.fns))))
"""
QUICK = "from panda_core.ui.quick_import import import_gradio; import_gradio(); import_gradio()"


def imported(start: str) -> dict[str, object]:
    run = subprocess.run([sys.executable, "-c", SCRIPT.format(start=start)], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_gradio_comes_without_stub_files_and_leaves_python_as_it_was() -> None:
    assert imported(QUICK) == {"stubs": 0, "restored": True, "collects": True, "events": 1}


def test_a_plain_import_works_at_stubs_so_the_quick_one_is_still_worth_it() -> None:
    assert imported("")["stubs"] != 0
