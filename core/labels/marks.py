"""The visible mark: small words in the lower right corner of a picture."""

from __future__ import annotations

import io

from core.labels.pictures import MAX_PIXELS

WORDS = "AI-generated"
"""In letters that the font has which comes with Pillow."""
SHORT = "AI"
"""Where there is no room for more."""
_PART = 20
"""Of the shorter side: GB 45438-2025 asks for letters of no less than 5 per cent of it."""
_LEAST = 8
_QUALITY = 95


def marked(data: bytes) -> bytes:
    """The picture with the mark. Raises ValueError for what is no picture, or one that is too large."""
    from PIL import Image, ImageDraw, ImageFont

    output = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels")
            form = image.format or "PNG"
            picture = image.convert("RGB" if form == "JPEG" else "RGBA")
        letters = max(min(picture.size) // _PART, _LEAST)
        font, gap = ImageFont.load_default(letters), letters // 2
        draw = ImageDraw.Draw(picture, "RGBA")
        words = WORDS if draw.textlength(WORDS, font) + 2 * gap <= picture.width else SHORT
        corner = picture.width - gap, picture.height - gap
        left, top, right, bottom = draw.textbbox(corner, words, font, anchor="rd")
        draw.rectangle((left - gap // 2, top - gap // 2, right + gap // 2, bottom + gap // 2), fill=(0, 0, 0, 128))
        draw.text(corner, words, (255, 255, 255, 230), font, anchor="rd")
        picture.save(output, form, **({"quality": _QUALITY} if form == "JPEG" else {}))
    except Exception as error:
        # Decoders raise nearly anything on a damaged file.
        raise ValueError(f"no picture: {type(error).__name__}: {error}") from None
    return output.getvalue()
