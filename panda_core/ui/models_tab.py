"""The Models tab: what there is, what it can do, and keeping order among it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panda_core import model_archive
from panda_core.ui.component import ASSETS, build_component, listener
from panda_core.ui.models_desk import ModelsDesk
from panda_core.ui.uploads import field, said, uploaded_file


class ModelsTab:
    """Component of the tab; build it inside a ``gr.Tab`` of a ``gr.Blocks``.

    ``models_event`` fires when the set of models, a name or the default has changed.
    """

    def __init__(self, *, on_change: Callable[[str], None] = lambda name: None) -> None:
        """``on_change`` is called with the name of a model that is no longer what it was: renamed, deleted, brought back."""
        self._on_change = on_change
        html = (ASSETS / "models.html").read_text(encoding="utf-8")
        functions = [said(function) for function in self._functions()]
        self.panel = build_component({}, module="models", html=html, elem_id="models", server_functions=functions)
        self.desk = ModelsDesk(self.panel.move_resource_to_block_cache)

    @property
    def models_event(self) -> Any:
        """Listener: ``tab.models_event(handler, inputs, outputs, ...)``."""
        return listener(self.panel, "models")

    def _functions(self) -> list[Callable[[Any], dict[str, Any]]]:
        def models(data: Any) -> dict[str, Any]:
            return self.desk.models()

        def act(data: Any) -> dict[str, Any]:
            model = str(field(data, "id"))
            answer = self.desk.act(str(field(data, "what")), model, str(field(data, "name") or ""))
            for name in {model, str(answer.get("model", model))}:
                self._on_change(name)
            return answer

        def pack(data: Any) -> dict[str, Any]:
            with tempfile.TemporaryDirectory(prefix="panda-export-") as place:
                return self.desk.export(str(field(data, "id")), Path(place), onnx=bool(field(data, "onnx")))

        def bring(data: Any) -> dict[str, Any]:
            file = uploaded_file(str(field(data, "file")))
            return {"model": model_archive.import_model(file).name}

        return [models, act, pack, bring]
