"""The bytes of an image file -> H x W x 3 uint8 RGB. Sizes are read from the header and refused before a pixel is decoded.

What becomes of deep images (more than 8 bits a channel): `data.depth`. Transparent pixels are laid on white: what lies below
them is arbitrary, and white is the background of cut-out photos and the empty beam of an X-ray.
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panda_core.data.depth import Picture, RefusedError, Stretch, for_eight_bits, is_fixed, stretch

if TYPE_CHECKING:
    from pydicom import Dataset
    from tifffile import TiffPage

MAX_PIXELS = 50_000_000
"""Width times height above which a file is refused."""
MAX_BYTES = 1 << 30
"""File size above which a file is refused: more than MAX_PIXELS need in any format we read."""
DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAGIC = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"} | dict.fromkeys(TIFF_MAGIC, "TIFF")
"""First bytes of a file -> name of its format; DICOM's mark stands at byte 128."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_ORIENTATION = 0x0112
_DEEP_COLOURS = (0, 1, 2)
"""Photometric interpretations of TIFF: white is 0, black is 0, RGB."""
_DEFLATED_SYNTAX = b"1.2.840.10008.1.2.1.99"


def decode(data: bytes, suffix: str, *, deep: Stretch = stretch) -> Picture:
    """H x W x 3 uint8 RGB, upright, of a whole file's bytes; ``suffix`` (".dcm") matters only for DICOM without its preamble.

    deep: what makes 8 bits of deeper values; a DICOM file's own window comes before it, unless it is one range for all images.
    Raises RefusedError with a reason, or on damaged files whatever the decoding library raises.
    """
    if data[128:132] == b"DICM" or (suffix in DICOM_SUFFIXES and not data.startswith(tuple(MAGIC))):
        return _decode_dicom(data, deep)
    if data.startswith(TIFF_MAGIC):
        with TiffPages(BytesIO(data), deep=deep) as pages:
            return pages.decode(0)
    return _decode_common(data, deep)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise RefusedError(f"has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise RefusedError(f"has {width} x {height} = {width * height:,} pixels; at most {MAX_PIXELS:,} are read, reduce it first")


def _decode_common(data: bytes, deep: Stretch) -> Picture:
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        if image.format != "PNG" or data[24] != 16:
            return decode_frame(image, deep=deep)
        _check_size(*image.size)
        image.load()
        # Pillow keeps only the upper byte of 16-bit colour; its load() above has already checked the file to the end.
        pixels = _rgb(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
        clear = image.info.get("transparency")
        if pixels.ndim == 2 and isinstance(clear, int):  # one grey value stands for no pixel, which OpenCV does not heed
            pixels = np.dstack([pixels, np.where(pixels == clear, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)])
        return _orient(flatten(pixels, deep), _orientation(image))


def decode_frame(image: Image.Image, *, deep: Stretch = stretch) -> Picture:
    """H x W x 3 uint8 RGB, upright, of the frame that an opened file stands at. Raises as `decode` does."""
    _check_size(*image.size)
    image.load()
    pixels = flatten(np.asarray(image), deep) if image.mode.startswith(("I", "F")) else _convert(image)
    return _orient(pixels, _orientation(image))


def _convert(image: Image.Image) -> Picture:
    # Many programs leave the fourth byte of a BMP's pixels at 0 and mean nothing by it.
    unused = image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)
    if image.has_transparency_data and not unused:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata does not make the pixels unreadable
        return 1


def _orient(pixels: Picture, orientation: int) -> Picture:
    """Turns stored pixels upright; ``orientation`` is the EXIF / TIFF tag, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _rgb(pixels: NDArray[Any] | None) -> NDArray[Any]:
    """What OpenCV has decoded, in the order of colours that all others use."""
    if pixels is None:
        raise RefusedError("is damaged or truncated")
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(pixels.shape[2] if pixels.ndim == 3 else 1)
    return pixels[:, :, order] if order else np.asarray(pixels)


class TiffPages:
    """The pages of a TIFF, each decoded as a file of this page alone would be. All of it raises as `decode` does."""

    def __init__(self, source: Path | BytesIO, *, deep: Stretch = stretch) -> None:
        from tifffile import TiffFile

        self._source, self._deep = source, deep
        self._open = ExitStack()
        self._tiff = self._open.enter_context(TiffFile(source))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self._tiff.pages)

    def decode(self, index: int) -> Picture:
        """H x W x 3 uint8 RGB, upright."""
        page = self.check(index)
        if page.bitspersample <= 8:
            self._shallow.seek(index)
            return decode_frame(self._shallow, deep=self._deep)
        try:
            values = page.asarray()
            values = values.transpose(1, 2, 0) if page.axes == "SYX" else values
        except ValueError:  # a compression that needs a codec tifffile does not bring
            data = np.frombuffer(self._as_stored(page), np.uint8)
            _, found = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
            values = _rgb(found[0] if found else None)
        if values.ndim == 3 and values.shape[2] in (2, 4) and not {1, 2} & set(page.extrasamples):
            values = values[:, :, :-1]  # a channel of which the file does not say that it is alpha
        pixels = flatten(values, self._deep)
        orientation = page.tags.get(_ORIENTATION)
        return _orient(255 - pixels if page.photometric == 0 else pixels, int(orientation.value) if orientation else 1)

    def check(self, index: int) -> TiffPage:
        """The page, of which nothing is decoded yet. Raises RefusedError where it is cut off, too large or of a kind that is not read."""
        from tifffile import TiffPage

        page = self._tiff.pages[index]
        if not isinstance(page, TiffPage):
            raise RefusedError("is damaged (a TIFF without a first page)")
        _check_size(page.imagewidth, page.imagelength)
        _check_size(max(page.tilewidth, 1), max(page.tilelength, 1))
        # The decoders fill what lies beyond the end of the file with zeros.
        if len(page.dataoffsets) != len(page.databytecounts):
            raise RefusedError("is damaged (its strips have more offsets than sizes, or fewer)")
        end = self._tiff.filehandle.size
        if any(start + count > end for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise RefusedError("is truncated")
        if page.bitspersample > 8 and (page.samplesperpixel > 4 or page.axes not in ("YX", "YXS", "SYX")):
            raise RefusedError(f"has {page.samplesperpixel} channels with axes {page.axes}; grey, RGB and their alpha are read")
        if page.bitspersample > 8 and int(page.photometric) not in _DEEP_COLOURS:
            kind = getattr(page.photometric, "name", page.photometric)
            raise RefusedError(f"has colours of the kind {kind} with {page.bitspersample} bits; grey and RGB are read")
        if page.bitspersample == 8 and page.sampleformat == 2:
            raise RefusedError("has signed values of 8 bits; save it with unsigned ones, or with 16 bits")
        return page

    @cached_property
    def _shallow(self) -> Image.Image:
        """Decodes pages of 8 bits and fewer."""
        # Not by its path: Pillow would map the file into memory, and then turns pixels wrong that are not stored upright.
        file = self._source if isinstance(self._source, BytesIO) else self._open.enter_context(self._source.open("rb"))
        return self._open.enter_context(Image.open(file, formats=("TIFF",)))

    def _as_stored(self, page: TiffPage) -> bytes:
        """The whole file with a page that says it is upright: OpenCV turns pages by their tag, and we do."""
        tag = page.tags.get(_ORIENTATION)
        if tag is None or int(tag.value) == 1:
            return self._data
        order: Literal["little", "big"] = "little" if self._tiff.byteorder == "<" else "big"
        return self._data[: tag.valueoffset] + (1).to_bytes(2, order) + self._data[tag.valueoffset + 2 :]

    @cached_property
    def _data(self) -> bytes:
        return self._source.getvalue() if isinstance(self._source, BytesIO) else self._source.read_bytes()


def flatten(values: NDArray[Any], deep: Stretch) -> Picture:
    """H x W or H x W x {1, 2, 3, 4} (grey, grey + alpha, RGB, RGB + alpha) of any real type -> H x W x 3 uint8 on white."""
    values = values[:, :, None] if values.ndim == 2 else values
    colours = 3 if values.shape[2] >= 3 else 1
    pixels = np.broadcast_to(deep(values[:, :, :colours]), (*values.shape[:2], 3))
    if values.shape[2] == colours:
        return np.ascontiguousarray(pixels)
    alpha = values[:, :, -1:].astype(np.float32)
    alpha = np.nan_to_num(alpha) / (np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1.0)
    return _uint8(np.rint(255.0 + (pixels - np.float32(255.0)) * np.clip(alpha, 0.0, 1.0)))


def _uint8(values: NDArray[Any]) -> Picture:
    return values.astype(np.uint8, copy=False)


def _decode_dicom(data: bytes, deep: Stretch) -> Picture:
    import pydicom
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
    from pydicom.pixels.utils import pixel_array

    _check_deflated(data)
    dataset = pydicom.dcmread(BytesIO(data), force=True)
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise RefusedError("is a DICOM file without an image" if data[128:132] == b"DICM" else "is not a DICOM file")
    _check_size(int(dataset.Columns), int(dataset.Rows))
    _check_compression(dataset)
    frame = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(frame, dataset)  # of its own table, not measured values: never stretched
        return flatten(_uint8(colours >> 8 if colours.dtype == np.uint16 else colours), stretch)
    if frame.ndim == 3:
        return flatten(frame, deep)
    values = apply_modality_lut(frame, dataset).astype(np.float64)
    if int(dataset.get("BitsStored", 16)) <= 8:
        deep = for_eight_bits(deep)
    window = {} if is_fixed(deep) else _window(dataset, values)
    pixels = stretch(values, **window) if window else deep(values)
    return flatten(255 - pixels if dataset.PhotometricInterpretation == "MONOCHROME1" else pixels, stretch)


def _check_compression(dataset: Dataset) -> None:
    """Refuses what no decoder is installed for."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax is None or not syntax.is_compressed:
        return
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    if not known:
        raise RefusedError(
            f"is compressed as {syntax.name}, for which a decoder is missing; save it uncompressed, or: "
            "pip install pylibjpeg pylibjpeg-libjpeg"
        )


def _check_deflated(data: bytes) -> None:
    """Refuses a deflated DICOM file that would unpack to more than MAX_BYTES; pydicom unpacks without a limit."""
    if data[128:132] != b"DICM" or _DEFLATED_SYNTAX not in data[132:4096]:
        return
    start = 144 + int.from_bytes(data[140:144], "little")  # the group length counts from behind itself
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacker.decompress(data[start:], MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise RefusedError(f"unpacks to more than {MAX_BYTES:,} bytes")


def _numbers(value: Any) -> NDArray[Any]:
    """Of an element that may be missing, empty, one number (which may be 0) or several."""
    return np.ravel([] if value is None or value == "" else value)


def _window(dataset: Dataset, values: NDArray[np.float64]) -> dict[str, float]:
    """The first display window as low and high (PS3.3 C.11.2.1.3.2); empty without one, or if it misses all values."""
    centre, width = (_numbers(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if not centre.size or not width.size or float(width[0]) <= 0:
        return {}
    low, high = float(centre[0]) - float(width[0]) / 2, float(centre[0]) + float(width[0]) / 2
    return {} if high <= values.min() or low >= values.max() else {"low": low, "high": high}
