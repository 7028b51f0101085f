"""The Video tab without a browser: what a session sends, what it refuses, and what the camera's frames come back as."""

from __future__ import annotations

import base64
import csv
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import LEAF, XRAY, FakeEngine, draw_spot

from panda_core.errors import PandaError
from panda_core.roi import RegionOfInterest, Shape, save_roi
from panda_core.ui.video_session import VideoSession
from panda_core.ui.video_tab import look_at_camera_frame
from panda_core.ui.work import Register
from panda_core.video.exports import write_csv
from panda_core.video.sources import open_video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """20 numbered frames; 5 to 8 have a spot."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(20):
        draw_spot(folder / f"{number}.png", strength=200 if 5 <= number < 9 else 0)
    return folder


@pytest.fixture
def session() -> Iterator[VideoSession]:
    made = VideoSession(FakeEngine(LEAF))
    yield made
    made.close()


def score(session: VideoSession, clip: Path, **options: Any) -> dict[str, Any]:
    session.score("leaf", lambda place, stop: open_video(clip), **options)
    assert session.job is not None and session.job.wait(30)
    return session.message()


def test_frames_come_in_packs_with_their_pictures_and_maps(session: VideoSession, clip: Path) -> None:
    message = score(session, clip)
    rows = [row for pack in message["packs"] for row in pack["rows"]]
    assert [row["index"] for row in rows] == list(range(20))
    assert [pack["first"] for pack in message["packs"]] == [0, 8, 16]
    assert [row["index"] for row in rows if row["score"] > message["thresholds"]["own"]] == [5, 6, 7, 8]
    pack, row = message["packs"][0], rows[6]
    data = pack["path"].read_bytes()
    picture = cv2.imdecode(np.frombuffer(data[row["at"] : row["at"] + row["jpeg"]], np.uint8), cv2.IMREAD_COLOR)
    width, height = row["map"]
    levels = np.frombuffer(data, np.uint8, width * height, row["at"] + row["jpeg"]).reshape(height, width)
    assert picture.shape == (96, 96, 3) and picture[48, 48].min() > 200
    assert levels.max() == 255 and levels[2, 2] < 20 and row["high"] == pytest.approx(row["peak"], rel=0.01)
    assert np.array_equal(session.map_of(6).levels, levels)


def test_a_message_holds_what_the_browser_does_not_have(session: VideoSession, clip: Path) -> None:
    score(session, clip)
    for _ in range(2):  # an answer may be lost on its way
        message = session.message(1)
        assert message["from"] == 1 and [pack["first"] for pack in message["packs"]] == [8, 16]
        assert not message["working"]
    assert session.message(99)["packs"] == []


def test_fewer_frames_can_be_taken_by_step_or_by_rate(clip: Path) -> None:
    for options, expected in (({"stride": 5}, [0, 5, 10, 15]), ({"rate": 2.0}, [0, 5, 10, 15]), ({"rate": 100.0}, list(range(20)))):
        session = VideoSession(FakeEngine(LEAF))
        message = score(session, clip, **options)
        assert [row["index"] for pack in message["packs"] for row in pack["rows"]] == expected
        session.close()


def test_exports_follow_the_boundary_of_the_slider(session: VideoSession, clip: Path) -> None:
    score(session, clip)
    for kind, suffix in (("csv", ".csv"), ("zip", ".zip"), ("webm", ".webm")):
        session.export(kind, 20.0)
        assert session.job is not None and session.job.wait(30) and session.job.state == "done", session.job.message
        serial, path = session.message()["download"]
        assert path.name == f"video-clip{suffix}" and path.stat().st_size > 0
    assert serial == 3
    assert "anomalous" not in (path.parent / "video-clip.csv").read_text(encoding="utf-8-sig")


def test_a_video_says_that_the_model_looks_at_its_region_only(
    session: VideoSession, clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    save_roi("leaf", RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (0.5, 0.5))),)))
    assert "75.0 % of each image is ignored" in score(session, clip)["message"]
    assert {one.ignored for one in session.scores} == {0.75}
    write_csv(tmp_path / "frames.csv", session.scores, 6.0)
    table = (tmp_path / "frames.csv").read_text(encoding="utf-8-sig")
    assert {line["ignored"] for line in csv.DictReader(table.splitlines())} == {"0.75"}


def test_nothing_to_export_is_said_in_words(session: VideoSession) -> None:
    with pytest.raises(PandaError, match="No frame has been scored yet"):
        session.export("csv", None)


def test_without_a_model_the_person_is_told_how_to_get_one(session: VideoSession, clip: Path) -> None:
    with pytest.raises(PandaError, match="Train one in the tab Train"):
        session.score(None, lambda place, stop: open_video(clip))


def test_a_video_that_cannot_be_opened_ends_the_job_with_its_reason(session: VideoSession, tmp_path: Path) -> None:
    (tmp_path / "words.mp4").write_text("no video")
    message = score(session, tmp_path / "words.mp4")
    assert message["job"]["state"] == "failed" and "words.mp4 is no video" in message["message"]


def test_what_was_left_out_is_told_at_the_end(session: VideoSession, clip: Path) -> None:
    for number in range(5):
        (clip / f"{number}.png").write_bytes(b"\x89PNG broken")
    message = score(session, clip)
    assert message["message"].startswith("0.png ") and message["message"].endswith("And 2 more.")
    assert message["job"]["message"] == ""


def test_a_cancelled_video_keeps_what_is_scored(clip: Path) -> None:
    class Stopping(FakeEngine):
        session: VideoSession

        def inspect_many(self, model: str, paths: Any) -> Any:
            yield from super().inspect_many(model, paths)
            self.session.cancel()

    engine = Stopping(LEAF)
    engine.session = session = VideoSession(engine)
    message = score(session, clip)
    assert message["job"]["state"] == "stopped"
    assert sum(len(pack["rows"]) for pack in message["packs"]) == 8
    session.close()


def test_a_closed_session_leaves_no_files(clip: Path) -> None:
    session = VideoSession(FakeEngine(LEAF))
    place = score(session, clip)["packs"][0]["path"].parent
    assert place.exists()
    session.close()
    assert not place.exists()


def test_a_lost_connection_is_forgiven_for_a_while(session: VideoSession, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.ui.work.KEEP", 1.0)
    place = score(session, clip)["packs"][0]["path"].parent
    register: Register[VideoSession] = Register()
    register.enter("ann", session)
    register.leave("ann")
    assert register.find(session.id) is session and place.exists()
    end = time.monotonic() + 20
    while place.exists():
        assert time.monotonic() < end, "nobody asked, and it is still kept"
        time.sleep(0.02)
    assert register.find(session.id) is None


def camera_frame(tmp_path: Path, *, strength: int = 200) -> str:
    path = draw_spot(tmp_path / "camera.jpg", strength=strength)
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def test_a_camera_frame_comes_back_judged_and_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    answer = look_at_camera_frame(FakeEngine(LEAF), {"model": "leaf", "image": camera_frame(tmp_path)})
    assert answer["verdict"] == "anomalous" and answer["regions"] == 1
    assert answer["score"] > answer["boundary"] == 6.0
    small = answer["map"]
    assert len(base64.b64decode(small["levels"])) == small["width"] * small["height"]
    assert os.listdir(place) == []
    plain = look_at_camera_frame(FakeEngine(LEAF), {"model": "leaf", "image": camera_frame(tmp_path, strength=0)})
    assert plain["verdict"] == "normal"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "No model"),
        ({"model": "/etc", "image": ""}, "No model"),
        ({"model": "xray", "image": "data:image/jpeg;base64,AAAA"}, "is missing"),
        ({"model": "leaf", "image": None}, "did not arrive"),
        ({"model": "leaf", "image": "x" * 3_000_000}, "did not arrive"),
        ({"model": "leaf", "image": "data:image/jpeg;base64,?!"}, "damaged"),
        ({"model": "leaf", "image": "data:image/jpeg;base64,AAAA"}, "The camera's picture"),
    ],
)
def test_a_bad_camera_frame_is_answered_in_words(data: Any, reason: str) -> None:
    assert reason in look_at_camera_frame(FakeEngine(LEAF, XRAY), data)["error"]
