"""Videos: frames with their times, scores frame by frame, exports. Small files are written here and read back."""

from __future__ import annotations

import csv
import dataclasses
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine
from PIL import Image

from panda_core.errors import FolderError, ImageError
from panda_core.inspection import Inspection
from panda_core.video import sources
from panda_core.video.exports import mark, write_csv, write_overlay_video, write_zip
from panda_core.video.scores import FrameResult, reduce_map, score_video
from panda_core.video.sources import VideoError, check_count, open_frames, open_video, stride_for

SIZE = (96, 64)


def draw(number: int, *, spot: bool = False) -> np.ndarray:
    """A dark frame with its number as brightness; with a bright spot where it is anomalous."""
    frame = np.full((SIZE[1], SIZE[0], 3), 40 + number, np.uint8)
    if spot:
        cv2.circle(frame, (48, 32), 8, (250, 250, 250), -1)
    return frame


def write_video(path: Path, codec: str, *, count: int = 12, rate: float = 10.0) -> Path:
    """Frames 5 to 7 have a spot."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, SIZE)
    for number in range(count):
        writer.write(draw(number, spot=5 <= number < 8))
    writer.release()
    return path


def write_stills(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), draw(number, spot=5 <= number < 8))
    return folder


def look(pictures: Sequence[np.ndarray]) -> Iterator[Inspection | ImageError]:
    """The engine double, on arrays."""
    engine = FakeEngine(LEAF)
    with tempfile.TemporaryDirectory() as folder:
        for picture in pictures:
            path = Path(folder) / "frame.bmp"
            cv2.imwrite(str(path), picture[..., ::-1])
            yield engine.inspect("leaf", path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[FrameResult]:
    folder = write_stills(tmp_path_factory.mktemp("clip") / "clip")
    return list(score_video(look, open_video(folder)))


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "VP80"), ("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "VP80")])
def test_a_video_file_gives_all_its_frames_in_order_with_their_times(tmp_path: Path, name: str, codec: str) -> None:
    video = open_video(write_video(tmp_path / name, codec))
    frames = list(video.frames())
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.seconds for frame in frames] == pytest.approx([number / 10 for number in range(12)], abs=0.02)
    assert frames[0].picture.shape == (64, 96, 3)
    assert frames[6].picture.max() > 200 > frames[4].picture.max()
    assert video.problems == [] and video.rate == pytest.approx(10)


class Irregular:
    """A capture of 90 frames, 25 a second with a jitter, whose file tells no rate: the decoder guesses 1000."""

    def __init__(self) -> None:
        self.at = -1

    def grab(self) -> bool:
        self.at += 1
        return self.at < 90

    def get(self, what: int) -> float:
        size = {cv2.CAP_PROP_FRAME_WIDTH: 96.0, cv2.CAP_PROP_FRAME_HEIGHT: 64.0}
        guessed = {cv2.CAP_PROP_FPS: 1000.0, cv2.CAP_PROP_FRAME_COUNT: 3600.0} | size
        return 40.0 * self.at + self.at % 3 if what == cv2.CAP_PROP_POS_MSEC else guessed[what]

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((64, 96, 3), np.uint8)

    def release(self) -> None:
        pass


def test_the_rate_of_a_file_that_tells_none_is_that_of_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.webm", "VP80")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Irregular())
    monkeypatch.setattr(Irregular, "isOpened", lambda self: True, raising=False)
    video = open_video(path)
    assert video.rate == pytest.approx(25, rel=0.02) and video.count is None
    assert len(list(video.frames(stride=stride_for(video, 5)))) == 18 and video.problems == []


def test_a_gif_has_the_rate_of_all_its_frames(tmp_path: Path) -> None:
    pages = [Image.fromarray(draw(number * 20)) for number in range(4)]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:], duration=[1000, 100, 100, 100])
    assert open_video(tmp_path / "a.gif").rate == pytest.approx(4 / 1.3)


def test_every_nth_frame_keeps_its_own_place_and_time(tmp_path: Path) -> None:
    video = open_video(write_video(tmp_path / "a.webm", "VP80"))
    frames = list(video.frames(stride=5))
    assert [frame.index for frame in frames] == [0, 5, 10]
    assert [round(frame.seconds, 2) for frame in frames] == [0, 0.5, 1]
    assert frames[1].picture.max() > 200
    assert stride_for(video, 2) == 5 and stride_for(video, 100) == 1


def test_a_video_can_be_read_again(tmp_path: Path) -> None:
    video = open_video(write_video(tmp_path / "a.webm", "VP80"))
    next(video.frames())
    assert len(list(video.frames())) == 12


def test_numbered_pictures_are_a_video_in_natural_order(tmp_path: Path) -> None:
    video = open_video(write_stills(tmp_path / "clip"), rate=20)
    frames = list(video.frames())
    assert [frame.name for frame in frames] == [f"{number}.png" for number in range(12)]
    assert frames[2].seconds == pytest.approx(0.1)
    assert video.count == 12 and video.title == "clip"


def test_a_picture_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_stills(tmp_path / "clip")
    (folder / "3.png").write_bytes(b"\x89PNG broken")
    video = open_video(folder)
    assert [frame.index for frame in video.frames()] == [0, 1, 2, *range(4, 12)]
    assert len(video.problems) == 1 and video.problems[0].startswith("3.png ")


@pytest.mark.parametrize("kind", ["tif", "gif"])
def test_pages_of_one_file_are_a_video(tmp_path: Path, kind: str) -> None:
    pages = [Image.fromarray(draw(number * 20)) for number in range(4)]
    path = tmp_path / f"pages.{kind}"
    pages[0].save(path, save_all=True, append_images=pages[1:], **({"duration": 50} if kind == "gif" else {}))
    frames = list(open_video(path, rate=5).frames())
    assert [frame.picture.mean() for frame in frames] == pytest.approx([40, 60, 80, 100], abs=2)
    assert frames[2].seconds == pytest.approx(0.1 if kind == "gif" else 0.4)


def test_a_video_that_is_cut_off_gives_what_there_is_and_says_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.avi", "MJPG", count=60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    video = open_video(tmp_path / "cut.avi")
    video.count = 60
    assert 5 < len(list(video.frames())) < 60
    assert "cut off" in video.problems[0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"not a video at all, just words", "no video that can be read"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n", "no video that can be read"),
        ("concat.avi", b"ffconcat version 1.0\nfile '/etc/passwd'\n", "no video that can be read"),
        ("broken.mp4", b"\0\0\0\x18ftypisom" + b"\0" * 64, "cannot be decoded"),
        ("broken.tif", b"II*\0" + b"\0" * 20, "cannot be decoded"),
        ("broken.gif", b"GIF89a" + b"\0" * 2, "cannot be decoded"),
    ],
)
def test_what_is_no_video_is_refused_in_words(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=reason) as refused:
        open_video(tmp_path / name)
    assert name in str(refused.value)


def test_a_missing_file_an_empty_folder_and_a_folder_of_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be opened"):
        open_video(tmp_path / "nothing.mp4")
    (tmp_path / "none").mkdir()
    with pytest.raises(VideoError, match="holds no pictures"):
        open_video(tmp_path / "none")
    (tmp_path / "many" / "Test001").mkdir(parents=True)
    with pytest.raises(VideoError, match="Choose one of them: Test001"):
        open_video(tmp_path / "many")
    with pytest.raises((VideoError, FolderError)):
        open_frames([], title="nothing")


def test_too_many_frames_are_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="Take every 6th frame"):
        check_count(108_000, 1)
    check_count(108_000, 6)
    monkeypatch.setattr(sources, "MOST_FRAMES", 5)
    video = open_video(write_stills(tmp_path / "clip"))
    video.count = None
    assert len(list(video.frames())) == 5
    assert "Only the first 5" in video.problems[0]


def test_absurd_sizes_are_refused_before_decoding(tmp_path: Path) -> None:
    header = b"GIF89a" + (60000).to_bytes(2, "little") * 2 + b"\x80\0\0" + b"\0" * 6 + b","
    (tmp_path / "huge.gif").write_bytes(header + b"\0" * 4 + (60000).to_bytes(2, "little") * 2 + b"\0\x02\x02\x44\x01\0;")
    with pytest.raises(VideoError, match="more than 50,000,000 pixels"):
        open_video(tmp_path / "huge.gif")


def test_each_frame_gets_the_score_of_its_picture(results: list[FrameResult]) -> None:
    assert [result.score.index for result in results] == list(range(12))
    assert [result.score.index for result in results if result.margin > 0] == [5, 6, 7]
    assert [result.score.regions for result in results] == [0] * 5 + [1] * 3 + [0] * 4
    for result in results:
        assert result.margin == pytest.approx(result.score.score - 6.0)


def test_the_small_map_holds_the_values_of_the_large_one() -> None:
    values = np.random.default_rng(0).normal(0, 2, (400, 300)).astype(np.float32)
    values = cv2.GaussianBlur(values, (0, 0), 15) * 20
    small = reduce_map(values)
    assert max(small.levels.shape) == 128 and small.levels.dtype == np.uint8
    assert np.abs(small.values(400, 300) - values.clip(0)).max() < 0.1 * values.max()
    assert reduce_map(np.full((4, 4), -1, np.float32)).values(4, 4).max() == 0


def test_scoring_stops_after_the_present_group(tmp_path: Path) -> None:
    video = open_video(write_stills(tmp_path / "clip", count=30))
    taken: list[FrameResult] = []
    for result in score_video(look, video, should_stop=lambda: len(taken) >= 3):
        taken.append(result)
    assert len(taken) == 8


def test_a_frame_the_engine_refuses_is_left_out_and_named(tmp_path: Path) -> None:
    def refuses(pictures: Sequence[np.ndarray]) -> Iterator[Inspection | ImageError]:
        for number, result in enumerate(look(pictures)):
            yield ImageError("x", "is too dark") if number == 1 else result

    video = open_video(write_stills(tmp_path / "clip", count=4))
    assert [result.score.index for result in score_video(refuses, video)] == [0, 2, 3]
    assert video.problems == ["Frame 1 is too dark."]


def test_a_video_without_a_frame_is_an_error(tmp_path: Path) -> None:
    folder = write_stills(tmp_path / "clip", count=1)
    (folder / "0.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(VideoError, match="no frame that can be read"):
        list(score_video(look, open_video(folder)))


def test_the_table_names_each_frame_and_no_name_becomes_a_formula(tmp_path: Path, results: list[FrameResult]) -> None:
    scores = [result.score for result in results]
    scores[0] = dataclasses.replace(scores[0], name="=1+1.png")
    write_csv(tmp_path / "frames.csv", scores, boundary=6.0)
    with (tmp_path / "frames.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and rows[0]["name"] == "'=1+1.png"
    assert [row["frame"] for row in rows if row["verdict"] == "anomalous"] == ["5", "6", "7"]
    assert list(tmp_path.iterdir()) == [tmp_path / "frames.csv"]


def test_the_zip_holds_the_frames_above_the_boundary_with_their_marks(tmp_path: Path, results: list[FrameResult]) -> None:
    video = open_video(write_stills(tmp_path / "clip"))
    maps = {result.score.index: result.map for result in results}
    steps: list[int] = []
    write_zip(
        tmp_path / "out.zip",
        video,
        [result.score for result in results],
        maps.__getitem__,
        boundary=6.0,
        pixel_threshold=3.0,
        on_step=lambda: steps.append(1),
    )
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = set(archive.namelist())
        frame = cv2.imdecode(np.frombuffer(archive.read("frames/frame-000006.png"), np.uint8), cv2.IMREAD_COLOR)
        marked = cv2.imdecode(np.frombuffer(archive.read("overlays/frame-000006.png"), np.uint8), cv2.IMREAD_COLOR)
    assert names == {"frames.csv", *(f"{part}/frame-{n:06}.png" for part in ("frames", "overlays") for n in (5, 6, 7))}
    assert np.array_equal(frame, draw(6, spot=True))
    red = (marked[..., 2].astype(int) - marked[..., 1] > 60).mean()
    assert 0.01 < red < 0.5 and len(steps) == 3


def test_the_overlay_video_plays_and_marks_only_what_is_above_the_boundary(tmp_path: Path, results: list[FrameResult]) -> None:
    video = open_video(write_stills(tmp_path / "clip"))
    maps = {result.score.index: result.map for result in results}
    scores = [result.score for result in results]
    write_overlay_video(tmp_path / "out.webm", video, scores, maps.__getitem__, boundary=6.0, pixel_threshold=3.0)
    frames = list(open_video(tmp_path / "out.webm").frames())
    red = [(frame.picture[..., 0].astype(int) - frame.picture[..., 1] > 60).mean() > 0.01 for frame in frames]
    assert red == [5 <= number < 8 for number in range(12)]


def test_a_stopped_export_leaves_nothing(tmp_path: Path, results: list[FrameResult]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    video = open_video(write_stills(tmp_path / "clip"))
    maps = {result.score.index: result.map for result in results}
    for write, name in ((write_zip, "a.zip"), (write_overlay_video, "a.webm")):
        write(
            folder / name,
            video,
            [r.score for r in results],
            maps.__getitem__,
            boundary=0.0,
            pixel_threshold=3.0,
            should_stop=lambda: True,
        )
    assert list(folder.iterdir()) == []


def test_marks_lie_where_the_map_is_above_the_threshold(results: list[FrameResult]) -> None:
    marked = mark(draw(6, spot=True), results[6].map, 3.0)
    changed = (marked != draw(6, spot=True)).any(axis=2)
    assert changed[32, 48] and not changed[:8].any() and not changed[:, :12].any()
