"""Pictures for models, to look at or to change: decoded with suspicion, turned upright, scaled down, stripped of
metadata, encoded anew."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from core.errors import ParleyError
from core.models.settings import Shape
from core.texts import Amount, Value

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
"""All that is decoded, whatever a file's name or declared type says: every further decoder can be attacked."""
MAX_PIXELS = 40_000_000
"""Largest picture decoded: up to 160 MB in memory, more than a phone's camera makes in its usual mode."""
QUALITY = 85
HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"heif")
"""Brands of the format of iPhones' cameras (ISO 23008-12)."""
SQUARISH = 1.25
"""Sides with less between them are nearest to a square: that and 1.5 to 1 are the shapes that models draw."""
HALF_BRIGHT = 128
LOOK_SIDE = 16
"""Pixels of a side of what two pictures are compared by."""
MOST_UNLIKE = 6.0
"""Of 255, on average, that a copy may differ by: a quarter of the size as JPEG makes 1 to 4, thin lines up to 6."""
Made = TypeVar("Made")
# Few threads, because each may take some 250 MB for a moment.
_threads = ThreadPoolExecutor(2, "pictures")


class ImageError(ParleyError):
    """A picture was refused. ``key`` is its sentence in core/texts.py, ``values`` what the sentence is filled with."""

    def __init__(self, key: str, detail: str, **values: Value) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key
        self.values = values


async def prepare_image(data: bytes, max_side: int = 1024) -> bytes:
    """:func:`encode_image` in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_threads, encode_image, data, max_side)


def encode_image(data: bytes, max_side: int = 1024) -> bytes:
    """The picture as a new JPEG, or PNG where it is see-through, at most ``max_side`` pixels a side.

    Of an animation the first frame. Raises ImageError: ``image_unreadable`` for what is no whole JPEG, PNG, WebP
    or GIF by its content, ``image_heic`` and ``image_svg`` for these, ``image_too_large`` for more than
    :data:`MAX_PIXELS`, known before decoding.
    """
    return _decoded(data, lambda image: _encode(_scaled(image, max_side)))


@dataclass(frozen=True, slots=True)
class Source:
    """A picture that another one is made of, as PNG, and the mask of what may be changed in it, where there is one."""

    data: bytes
    width: int
    height: int
    mask: bytes = b""

    @property
    def shape(self) -> Shape:
        """The nearest one that models draw."""
        ratio = self.width / self.height
        return "wide" if ratio > SQUARISH else "tall" if ratio < 1 / SQUARISH else "square"


async def prepare_source(data: bytes, mask: bytes = b"", max_side: int = 1536) -> Source:
    """A picture, and perhaps the mask for it, made ready for being changed. What is white in ``mask`` may be changed;
    it is fitted to the picture. Raises ImageError, as :func:`encode_image`."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _source, data, mask, max_side)


def _source(data: bytes, mask: bytes, max_side: int) -> Source:
    from PIL import Image

    def fitted(image: Image.Image) -> bytes:
        bright = _scaled(image, max(source.width, source.height)).convert("RGBA")
        # What is see-through in the mask is left as it is, like what is black.
        flat = Image.alpha_composite(Image.new("RGBA", bright.size, "black"), bright).convert("L")
        flat = flat.resize((source.width, source.height), Image.Resampling.NEAREST)
        white = flat.point([255 if value >= HALF_BRIGHT else 0 for value in range(256)])
        kept = white.point([255 - value for value in range(256)])
        # OpenAI's servers change what is see-through, others what is white: it is both.
        return _as_png(Image.merge("RGBA", (white, white, white, kept)))

    def prepared(image: Image.Image) -> Source:
        scaled = _scaled(image, max_side)
        return Source(_as_png(scaled), scaled.width, scaled.height)

    source = _decoded(data, prepared)
    return Source(source.data, source.width, source.height, _decoded(mask, fitted)) if mask else source


async def original_of(copy: bytes, pictures: Sequence[bytes]) -> bytes:
    """The picture that ``copy`` is a smaller or coarser copy of; itself where there is none."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _original, copy, pictures)


def _original(copy: bytes, pictures: Sequence[bytes]) -> bytes:
    try:
        seen = _decoded(copy, _look)
        found = [(_unlikeness(seen, _decoded(data, _look)), data) for data in pictures]
    except ImageError:
        return copy
    unlike, data = min(found, key=lambda pair: pair[0], default=(MOST_UNLIKE, copy))
    return data if unlike < MOST_UNLIKE else copy


def _look(image: Image.Image) -> Image.Image:
    """What it looks like from afar, whatever its size."""
    from PIL import Image

    scaled = _scaled(image, LOOK_SIDE * 16).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", scaled.size, "white"), scaled)
    return flat.convert("RGB").resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BOX)


def _unlikeness(one: Image.Image, other: Image.Image) -> float:
    from PIL import ImageChops, ImageStat

    means: list[float] = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(means) / len(means)


def _decoded(data: bytes, use: Callable[[Image.Image], Made]) -> Made:
    # Imported here: a process that never sees a picture does without its 10 MB.
    from PIL import Image

    # Pillow's own guard as well: a GIF's frame may be larger than the header says. It warns, and from twice the
    # limit on raises; the filter is set each time because it costs nothing when it is there.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height}")
            return use(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found, allowed = (Amount(MAX_PIXELS / 1_000_000, "megapixel", is_least) for is_least in (True, False))
        raise ImageError("image_too_large", str(error), found=found, allowed=allowed) from None
    except Exception as error:
        # Decoders raise nearly anything on a damaged file: OSError, SyntaxError, struct.error, EOFError.
        raise ImageError(_refusal(data), f"{type(error).__name__}: {error}") from None


def _refusal(data: bytes) -> str:
    """What is said of a file that is no picture for us."""
    if data[4:8] == b"ftyp" and data[8:12] in HEIC:
        return "image_heic"
    return "image_svg" if b"<svg" in data[:1000].lower() else "image_unreadable"


def _scaled(image: Image.Image, max_side: int) -> Image.Image:
    from PIL import Image, ImageOps

    # A JPEG is decoded at a fraction of its size where that is enough.
    image.draft("RGB", (max_side, max_side))
    if image.mode.startswith("I"):
        # 16 bits of grey, which a conversion would clip to white.
        grey = image.convert("I")
        image = grey.point(lambda value: value / 256).convert("L")
    scaled = image.convert("RGBA" if image.has_transparency_data else "RGB")
    scaled.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return ImageOps.exif_transpose(scaled)


def _as_png(image: Image.Image) -> bytes:
    image.info.clear()
    output = io.BytesIO()
    image.save(output, "PNG", compress_level=3)
    return output.getvalue()


def _encode(image: Image.Image) -> bytes:
    # What a file carries besides its pixels (place, camera, comments, profiles) would be written again.
    image.info.clear()
    output = io.BytesIO()
    if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        image.save(output, "PNG")
    else:
        image.convert("RGB").save(output, "JPEG", quality=QUALITY)
    return output.getvalue()
