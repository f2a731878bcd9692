"""Two tiny whole pictures."""

from __future__ import annotations

import io

from PIL import Image


def _picture(kind: str) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(output, kind)
    return output.getvalue()


PNG, JPEG = _picture("PNG"), _picture("JPEG")
