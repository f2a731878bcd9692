"""Pictures for models: decoded with suspicion, turned upright, scaled down, stripped of metadata, encoded anew."""

from __future__ import annotations

import asyncio
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from core.errors import ParleyError
from core.texts import Amount, Value

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
"""All that is decoded, whatever a file's name or declared type says: every further decoder can be attacked."""
MAX_PIXELS = 40_000_000
"""Largest picture decoded: up to 160 MB in memory, more than a phone's camera makes in its usual mode."""
QUALITY = 85
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
    or GIF by its content, ``image_too_large`` for more than :data:`MAX_PIXELS`, known before decoding.
    """
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
            return _encode(_scaled(image, max_side))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found, allowed = (Amount(MAX_PIXELS / 1_000_000, "megapixel", is_least) for is_least in (True, False))
        raise ImageError("image_too_large", str(error), found=found, allowed=allowed) from None
    except Exception as error:
        # Decoders raise nearly anything on a damaged file: OSError, SyntaxError, struct.error, EOFError.
        raise ImageError("image_unreadable", f"{type(error).__name__}: {error}") from None


def _scaled(image: Image.Image, max_side: int) -> Image.Image:
    from PIL import Image, ImageOps

    # A JPEG is decoded at a fraction of its size where that is enough.
    image.draft("RGB", (max_side, max_side))
    if image.mode.startswith("I"):
        # 16 bits of grey, which a conversion would clip to white.
        grey = image.convert("I")
        image = grey.point(lambda value: value / 256).convert("L")  # pyright: ignore[reportUnknownMemberType]
    scaled = image.convert("RGBA" if image.has_transparency_data else "RGB")
    scaled.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return ImageOps.exif_transpose(scaled)


def _encode(image: Image.Image) -> bytes:
    # What a file carries besides its pixels (place, camera, comments, profiles) would be written again.
    image.info.clear()
    output = io.BytesIO()
    if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        image.save(output, "PNG")
    else:
        image.convert("RGB").save(output, "JPEG", quality=QUALITY)
    return output.getvalue()
