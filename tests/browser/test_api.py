"""The named endpoints, called as docs/api.md says. No browser needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_double import draw_spot
from gradio_client import Client, handle_file
from serving import ROOT


@pytest.fixture(scope="module")
def client(served: Any) -> Client:
    served.await_page()
    return Client(served.url, verbose=False)


def test_the_documented_example_runs_and_waits_for_the_page(served: Any, tmp_path: Path) -> None:
    source = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    photo = draw_spot(tmp_path / "photo.png")
    source = source.replace('"http://127.0.0.1:7860"', "URL").replace('"photo.png"', "PHOTO")
    found: dict[str, Any] = {"URL": served.url.rstrip("/"), "PHOTO": str(photo)}
    exec(compile(source, "docs/api.md", "exec"), found)
    assert found["report"]["verdict"] == "anomalous"
    assert [entry["file"] for entry in found["reports"]] == ["photo.png", "photo.png"]
    assert found["models"][0]["name"] == "leaf"


def test_a_batch_keeps_its_order_and_lists_what_cannot_be_read(client: Client, tmp_path: Path) -> None:
    paths = [draw_spot(tmp_path / "a.png"), tmp_path / "b.png", draw_spot(tmp_path / "c.png", strength=0)]
    paths[1].write_text("not a picture")
    found = client.predict([handle_file(str(path)) for path in paths], "leaf", api_name="/inspect_batch")
    assert [entry["file"] for entry in found] == ["a.png", "b.png", "c.png"]
    assert [entry.get("verdict") for entry in found] == ["anomalous", None, "normal"]
    assert found[1]["error"]


def test_thresholds_can_be_sent_and_pictures_come_back(client: Client, tmp_path: Path) -> None:
    photo = handle_file(str(draw_spot(tmp_path / "a.png")))
    plain = client.predict(photo, "leaf", api_name="/inspect")
    found = client.predict(photo, "leaf", api_name="/inspect_pictures")
    assert {name: found[name] for name in plain} == plain
    assert all(found["pictures"][name].startswith("data:image/png;base64,") for name in ("overlay", "mask", "map", "reconstruction"))
    above = client.predict(photo, "leaf", boundary=plain["score"] + 1, api_name="/inspect_pictures")
    assert (above["verdict"], above["boundary_kind"], above["score"]) == ("normal", "manual", plain["score"])
    far = client.predict(photo, "leaf", pixel_threshold=1e6, api_name="/inspect_pictures")
    assert plain["regions"] and (far["regions"], far["pixel_threshold"]) == ([], 1e6)
    for wrong in ("high", True, 10**400):
        with pytest.raises(Exception, match="boundary is not a finite number"):
            client.predict(photo, "leaf", wrong, api_name="/inspect_pictures")


def test_an_unknown_model_is_an_error_in_words(client: Client, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="nothing"):
        client.predict(handle_file(str(draw_spot(tmp_path / "a.png"))), "nothing", api_name="/inspect")


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/inspect", "/inspect_batch", "/inspect_pictures", "/models"}
