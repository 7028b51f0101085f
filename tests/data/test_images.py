from __future__ import annotations

import errno
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
import tifffile
from dicom_files import write_dicom
from PIL import Image

from panda_core.data.images import IMAGE_SUFFIXES, content_hash, list_images, pixels_of, prepare, read_image, resize
from panda_core.errors import FolderError, ImageError

Draw = Callable[..., np.ndarray]


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
def test_lossless_files_keep_every_pixel(tmp_path: Path, draw: Draw, name: str) -> None:
    Image.fromarray(draw(0)).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    np.testing.assert_array_equal(read_image(tmp_path / name), draw(0))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_colour_modes_become_the_rgb_that_pillow_gives(tmp_path: Path, draw: Draw, mode: str) -> None:
    image = Image.fromarray(draw(0)).convert(mode)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("broken", [0, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_hot_or_dead_pixel_does_not_change_the_picture_around_it(tmp_path: Path, broken: int, channels: int) -> None:
    values = np.linspace(1000, 4000, 40 * 48).astype(np.uint16).reshape(40, 48)
    values = values if channels == 1 else np.dstack([values] * 3)
    pictures = []
    for name in ("sound", "broken"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), values)
        pictures.append(read_image(tmp_path / f"{name}.png").astype(int))
        values[20, 20] = broken
    pictures[1][20, 20] = pictures[0][20, 20]  # the pixel itself aside
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_of_8_bits_that_was_written_with_16_is_the_same_picture(tmp_path: Path, draw: Draw, name: str) -> None:
    picture = draw(0) // 2 + 20
    cv2.imwrite(str(tmp_path / name), picture[:, :, ::-1].astype(np.uint16) * 257)
    assert np.array_equal(read_image(tmp_path / name), picture)


def test_a_lone_bright_pixel_of_a_deep_image_is_seen(tmp_path: Path) -> None:
    values = np.full((40, 48), 500, np.uint16)
    values[5, 6] = 900
    cv2.imwrite(str(tmp_path / "one.png"), values)
    assert np.argwhere(read_image(tmp_path / "one.png")[:, :, 0] == 255).tolist() == [[5, 6]]


def test_a_deep_image_is_stretched_from_its_own_range_in_every_container(tmp_path: Path) -> None:
    values = np.arange(1000, 1000 + 40 * 48, dtype=np.uint16).reshape(40, 48)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    cv2.imwrite(str(tmp_path / "lzw.tif"), values)
    tifffile.imwrite(tmp_path / "b.tif", values)
    tifffile.imwrite(tmp_path / "c.tif", values.astype(np.float32) / 7e4)
    tifffile.imwrite(tmp_path / "d.tif", values.astype(np.int32) - 5000)
    write_dicom(tmp_path / "e.dcm", values)
    expected = np.rint((values - 1000.0) / (values.size - 1) * 255)
    for path in list_images(tmp_path):
        found = read_image(path)
        assert (found[0, 0, 0], found[-1, -1, 0]) == (0, 255), path.name
        np.testing.assert_allclose(found[:, :, 1], expected, atol=1, err_msg=path.name)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_deep_colour_keeps_its_channels_and_their_common_range(tmp_path: Path, draw: Draw, name: str) -> None:
    values = draw(0).astype(np.uint16) * 16
    cv2.imwrite(str(tmp_path / name), values[:, :, ::-1])
    low, high = int(values.min()), int(values.max())
    np.testing.assert_allclose(read_image(tmp_path / name), (values - low) / (high - low) * 255.0, atol=1)


def test_of_a_deep_image_the_exposure_is_not_seen_as_the_guide_says(tmp_path: Path, draw: Draw) -> None:
    values = draw(0).astype(np.uint16) * 64
    found = []
    for name, picture in (("as it is", values), ("dark", values // 4)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
        found.append(read_image(tmp_path / f"{name}.png").astype(int))
    np.testing.assert_allclose(found[1], found[0], atol=1)


def test_a_constant_or_partly_non_finite_deep_image_is_readable(tmp_path: Path) -> None:
    values = np.full((8, 8), 700.0, np.float32)
    tifffile.imwrite(tmp_path / "flat.tif", values)
    values[0, 0], values[1, 1], values[2, 2] = np.nan, np.inf, 900.0
    tifffile.imwrite(tmp_path / "holes.tif", values)
    assert np.ptp(read_image(tmp_path / "flat.tif")) == 0
    assert read_image(tmp_path / "holes.tif")[[0, 1, 2], [0, 1, 2], 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white_and_opaque_ones_stay(tmp_path: Path, draw: Draw, mode: str) -> None:
    image = Image.fromarray(draw(0)).convert(mode)
    alpha = np.zeros((40, 48), np.uint8)
    alpha[:, 24:] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert (found[:, :24] == 255).all()
    np.testing.assert_array_equal(found[:, 24:], np.asarray(image.convert("RGB"))[:, 24:])


def test_a_transparent_palette_colour_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((3, 3), 1)
    for name in ("a.png", "a.gif"):
        image.save(tmp_path / name, transparency=0)
        found = read_image(tmp_path / name)
        assert found[0, 0].tolist() == [255, 255, 255]
        assert found[3, 3].tolist() == [200, 100, 50]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_to_shallow_and_deep_images(tmp_path: Path, draw: Draw, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(draw(0))
    stored.save(tmp_path / "a.png", exif=exif)
    stored.save(tmp_path / "a.tif", exif=exif)
    deep = draw(0).astype(np.uint16)
    deep[0, 0], deep[0, 1] = 0, 255
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb", extratags=[(0x0112, "H", 1, orientation, True)])
    turns = [None, None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"]
    turn = turns[orientation]

    def upright(pixels: np.ndarray) -> np.ndarray:
        image = Image.fromarray(pixels)
        return np.asarray(image.transpose(Image.Transpose[turn]) if turn else image)

    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), upright(draw(0)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), upright(draw(0)))
    np.testing.assert_array_equal(read_image(tmp_path / "deep.tif"), upright(deep.astype(np.uint8)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_that_another_library_decodes_is_turned_once(tmp_path: Path, draw: Draw, orientation: int) -> None:
    values = draw(0)[:, :, 0].astype(np.uint16) * 37
    for name, compression in (("lzw", "tiff_lzw"), ("plain", None)):  # tifffile decodes no LZW without a further package
        Image.fromarray(values).save(tmp_path / f"{name}.tif", compression=compression, tiffinfo={0x0112: orientation})
    np.testing.assert_array_equal(read_image(tmp_path / "lzw.tif"), read_image(tmp_path / "plain.tif"))


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_dicom_is_known_by_its_mark_and_shows_window_inversion_and_first_frame(tmp_path: Path) -> None:
    values = np.arange(0, 3000, 30, dtype=np.uint16).reshape(10, 10)
    plain = read_image(write_dicom(tmp_path / "scan", values))
    inverted = read_image(write_dicom(tmp_path / "inverted.png", values, photometric="MONOCHROME1"))
    np.testing.assert_array_equal(plain, 255 - inverted)
    frames = np.stack([values, np.zeros_like(values)])
    np.testing.assert_array_equal(read_image(write_dicom(tmp_path / "frames.dcm", frames, NumberOfFrames=2)), plain)
    # Rescaled to -1000..: a window of 500..1500 there is 1500..2500 of the stored values.
    window = {"RescaleSlope": "1", "RescaleIntercept": "-1000", "WindowCenter": ["1000", "0"], "WindowWidth": ["1000", "1"]}
    windowed = read_image(write_dicom(tmp_path / "window.dcm", values, **window))[:, :, 0]
    assert (windowed[values <= 1500] == 0).all() and (windowed[values >= 2500] == 255).all()
    assert np.unique(windowed[(values > 1500) & (values < 2500)]).size > 20


def test_a_dicom_window_around_zero_is_a_window(tmp_path: Path) -> None:
    values = np.linspace(-2000, 2000, 400).astype(np.int16).reshape(20, 20)
    found = [
        read_image(write_dicom(tmp_path / f"{centre}.dcm", values, PixelRepresentation=1, WindowCenter=centre, WindowWidth="200"))
        for centre in ("0", "1")
    ]
    assert np.abs(found[0].astype(int) - found[1]).max() < 4 and (found[0] == 0).mean() > 0.4


def test_a_compression_without_a_decoder_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 4), np.uint16))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0" * 32])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", property(lambda self: False))
    with pytest.raises(ImageError, match=r"JPEG-LS.*decoder is missing.*pylibjpeg"):
        read_image(path)


def test_a_deep_tiff_of_other_colours_is_refused_and_a_nameless_channel_is_no_alpha(tmp_path: Path, draw: Draw) -> None:
    deep = draw(0).astype(np.uint16) * 200
    four = np.dstack([deep, np.zeros(deep.shape[:2], np.uint16)])
    tifffile.imwrite(tmp_path / "cmyk.tif", four, photometric="separated")
    with pytest.raises(ImageError, match="SEPARATED with 16 bits"):
        read_image(tmp_path / "cmyk.tif")
    tifffile.imwrite(tmp_path / "plain.tif", deep, photometric="rgb")
    tifffile.imwrite(tmp_path / "extra.tif", four, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read_image(tmp_path / "extra.tif"), read_image(tmp_path / "plain.tif"))
    tifffile.imwrite(tmp_path / "alpha.tif", four, photometric="rgb", extrasamples=["unassalpha"])
    assert (read_image(tmp_path / "alpha.tif") == 255).all()
    tifffile.imwrite(tmp_path / "signed.tif", draw(0)[:, :, 0].astype(np.int8))
    with pytest.raises(ImageError, match="signed values of 8 bits"):
        read_image(tmp_path / "signed.tif")


def test_a_bmp_whose_fourth_byte_means_nothing_is_not_blank(tmp_path: Path, draw: Draw) -> None:
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + 108)
    rows, columns = draw(0).shape[:2]
    masks = struct.pack("<IIII", 0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, columns, rows, 1, 32, 3, rows * columns * 4, 0, 0, 0, 0) + masks + b"\0" * 52
    pixels = np.dstack([draw(0)[::-1, :, ::-1], np.zeros((rows, columns), np.uint8)])
    (tmp_path / "a.bmp").write_bytes(header + info + pixels.tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), draw(0))


def test_a_transparent_grey_of_16_bits_becomes_white(tmp_path: Path) -> None:
    values = np.full((8, 8), 30000, np.uint16)
    values[2:6] = np.arange(8) * 4000 + 100
    values[0, 0] = 7
    found = {}
    for name, options in (("opaque", {}), ("clear", {"transparency": 30000})):
        Image.fromarray(values).save(tmp_path / f"{name}.png", **options)
        found[name] = read_image(tmp_path / f"{name}.png")
    assert (found["clear"][values == 30000] == 255).all()
    assert np.array_equal(found["clear"][2:6], found["opaque"][2:6])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.png", b"", "empty"),
        ("text.png", b"dear diary, this is no image\n" * 20, "text"),
        ("unknown.jpg", bytes(range(256)) * 4, "not a JPEG"),
        ("cut.png", png_header(40, 40)[:20], "truncated"),
        ("bomb.png", png_header(30_000, 30_000), "50,000,000"),
        ("large.png", png_header(10_000, 5_001), "50,000,000"),
        ("flat.png", png_header(0, 10), "no pixels|damaged"),
        ("report.dcm", b"no dicom either", "DICOM"),
    ],
)
def test_what_is_no_image_is_refused_with_its_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        read_image(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_large_tiff_and_dicom_are_refused_by_their_headers_alone(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint16))
    header = bytearray((tmp_path / "a.tif").read_bytes())
    for tag in (256, 257):  # width and height of a little-endian TIFF: tag, type, count, value
        at = header.index(struct.pack("<H", tag), 8)
        header[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 8000)
    (tmp_path / "a.tif").write_bytes(header)
    write_dicom(tmp_path / "a.dcm", np.zeros((4, 4), np.uint16), Rows=8000, Columns=8000)
    for name in ("a.tif", "a.dcm"):
        with pytest.raises(ImageError, match="50,000,000"):
            read_image(tmp_path / name)


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path, reason in ((tmp_path / "none.png", "no such"), (tmp_path, "folder"), (tmp_path / "pipe.png", "regular"), ("a\0b", "cannot")):
        with pytest.raises(ImageError, match=reason):
            read_image(path)


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.png").write_bytes(b"x")
    monkeypatch.setattr(Path, "read_bytes", deny)  # the tests may run as root, who is denied nothing
    with pytest.raises(ImageError, match="permission"):
        read_image(tmp_path / "a.png")


@pytest.fixture
def specimens(tmp_path: Path, draw: Draw) -> list[Path]:
    image = Image.fromarray(draw(3))
    for name in ("a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"):
        image.save(tmp_path / name)
    image.convert("P").save(tmp_path / "a.gif")
    image.save(tmp_path / "lzw.tif", compression="tiff_lzw")
    deep = draw(3).astype(np.uint16) * 9
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb")
    write_dicom(tmp_path / "a.dcm", deep[:, :, 0].copy())
    return sorted(tmp_path.iterdir())


def test_a_truncated_file_is_refused_or_was_complete_never_half_an_image(specimens: list[Path]) -> None:
    rng = random.Random(0)
    for path in specimens:
        data, whole = path.read_bytes(), read_image(path)
        for length in [1, 10, len(data) // 2, len(data) - 30, *rng.sample(range(len(data)), 12)]:
            path.write_bytes(data[:length])
            try:
                found = read_image(path)
            except ImageError:
                continue
            np.testing.assert_array_equal(found, whole, err_msg=f"{path.name} cut to {length} of {len(data)}")
            assert length > len(data) - 30, path.name


def test_flipped_bytes_never_raise_anything_but_image_error(specimens: list[Path]) -> None:
    rng = random.Random(1)
    for path in specimens:
        data = path.read_bytes()
        for _ in range(25):
            damaged = bytearray(data)
            for _ in range(rng.choice([1, 3, 20])):
                damaged[rng.randrange(rng.choice([64, 400, len(data)])) % len(data)] = rng.randrange(256)
            path.write_bytes(damaged)
            try:
                found = read_image(path)
            except ImageError as error:
                assert error.reason
            else:
                assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3


def test_prepare_spans_minus_one_to_one_and_keeps_means(draw: Draw) -> None:
    image = draw(1, height=96, width=64)
    ready = prepare(image, 32)
    assert ready.shape == (3, 32, 32) and ready.dtype == np.float32
    np.testing.assert_allclose((ready.mean(axis=(1, 2)) + 1) * 127.5, image.mean(axis=(0, 1)), atol=0.5)
    np.testing.assert_array_equal(prepare(np.full((5, 9, 3), 255, np.uint8), 32), 1.0)
    np.testing.assert_array_equal(prepare(np.zeros((99, 9, 3), np.uint8), 32), -1.0)


def test_fine_stripes_shrink_to_their_mean_also_where_the_other_side_grows() -> None:
    stripes = np.zeros((8, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    assert set(np.unique(resize(stripes, 64))) == {100}


def test_images_are_listed_in_natural_order_without_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("img10.PNG", "img2.jpg", "b/1.tiff", "b/.DS_Store", "._img2.jpg", ".git/x.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == ["b/1.tiff", "img2.jpg", "img10.PNG"]
    assert [path.name for path in list_images(tmp_path, recursive=False)] == ["img2.jpg", "img10.PNG"]
    assert ".dcm" in IMAGE_SUFFIXES
    with pytest.raises(FolderError, match="not a folder"):
        list_images(tmp_path / "missing")


def test_broken_links_and_pipes_are_listed_and_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "inner").mkdir()
    (tmp_path / "linked.png").symlink_to(tmp_path / "inner")
    reasons = {}
    for path in list_images(tmp_path):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        reasons[path.name] = caught.value.reason
        assert pixels_of(path) == 0
    assert reasons.keys() == {"gone.png", "loop.png", "pipe.png"}
    assert "link to a file that is not there" in reasons["gone.png"] and "regular" in reasons["pipe.png"]


def test_the_content_hash_follows_the_bytes_not_the_name(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (content_hash(tmp_path / name) for name in "abc")
    assert a == b != c and len(a) == 64
    with pytest.raises(ImageError, match="no such"):
        content_hash(tmp_path / "d")


def test_folders_that_are_not_looked_into_are_named(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "photos"
    for place in (root, root / "locked", tmp_path / "elsewhere"):
        place.mkdir()
        cv2.imwrite(str(place / "a.png"), draw(1))
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "back").symlink_to(root)
    honest = os.scandir

    def scandir(place: str) -> Any:
        if os.path.basename(place) == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", place)
        return honest(place)

    monkeypatch.setattr(os, "scandir", scandir)
    skipped: list[tuple[Path, str]] = []
    assert list_images(root, skipped=skipped) == list_images(root) == [root / "a.png"]
    assert dict(skipped) == {
        root / "linked": "is a link to a folder",
        root / "back": "is a link to a folder",
        root / "locked": "cannot be read: Permission denied",
    }
