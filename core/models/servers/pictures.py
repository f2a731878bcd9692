"""Pictures in and out of engines: decoded with limits, written as PNG. Needs Pillow, which every environment has."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from core.models.servers.work import library, refused

MAX_PIXELS = 25_000_000
"""Of a picture that comes in: some 100 MB in memory."""


def opened(data: bytes, most: int = MAX_PIXELS) -> Any:
    """A picture, upright, in RGB or RGBA. Raises EngineError for what is none, or has more than ``most`` pixels."""
    pillow, turning = library("PIL.Image"), library("PIL.ImageOps")
    try:
        picture = pillow.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF", "BMP"))
        if picture.width * picture.height > most:
            raise refused(f"The picture has more than {most} pixels.", "too_large", param=str(most))
        picture = turning.exif_transpose(picture)
        has_alpha = "A" in picture.getbands() or "transparency" in picture.info
        return picture.convert("RGBA" if has_alpha else "RGB")
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise refused(f"The picture cannot be read ({type(error).__name__}).", "unreadable") from None


def as_png(picture: Any) -> bytes:
    """A Pillow picture as a file."""
    target = BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


def only_input(inputs: tuple[bytes, ...]) -> bytes:
    """The one picture that the work is about. Raises EngineError where there is none."""
    if not inputs:
        raise refused("A picture is needed for that.", "picture_needed")
    return inputs[0]
