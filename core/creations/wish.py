"""What pictures are to be made: as people wish it, as it waits in an order, and as a model is asked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast, get_args

from core.models.images import MAX_COUNT, MAX_PROMPT, MAX_SEED, size_of
from core.models.settings import PictureWork
from core.models.wire import ImageRequest

STYLES: Mapping[str, str] = {
    "photo": "a photograph, natural light, sharp focus",
    "painting": "an oil painting with visible brushwork on canvas",
    "watercolor": "a watercolour painting, soft washes on paper",
    "comic": "a comic book drawing, bold outlines, flat colours",
    "anime": "an anime illustration, clean lines, cel shading",
    "pixel": "pixel art, a small palette, crisp square pixels",
    "ink": "an ink drawing in black on white paper",
    "chinese": "a traditional Chinese ink wash painting on rice paper",
    "3d": "a 3D rendering, soft studio light",
    "poster": "a screen printed poster, simple shapes, few colours",
}
"""What is said to a model for each style."""
QUALITIES = ("low", "medium", "high")
MAX_NEGATIVE = 1000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything that is asked for, so that the same can be made again with one thing changed."""

    prompt: str = ""
    op: PictureWork = "draw"
    size: str = ""
    """A shape or pixels; empty: as the picture that it begins with, else square."""
    count: int = 1
    style: str = ""
    """One of :data:`STYLES`."""
    negative: str = ""
    quality: str = ""
    seed: int | None = None
    """What was asked for: a model that takes none is refused."""
    dice: int = 0
    """The seed where none was asked for, for models that take one."""
    model: str = ""
    is_masked: bool = False
    """The last picture that comes with it is a mask."""
    buttons: bool = False
    """Buttons stand below what is made."""

    def anew(self) -> Wish:
        """With dice of its own."""
        return replace(self, dice=secrets.randbelow(MAX_SEED))

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Wish:
        """The inverse of :meth:`to_json`. Raises ValueError for what is no wish, or one of a newer version."""
        known: dict[str, Any] = {f.name: f.default for f in fields(cls)}
        for name, value in request.items():
            if name not in known:
                raise ValueError(f"a wish of a newer version: {name}")
            if type(value) is not (int if name == "seed" else type(known[name])):
                raise ValueError(f"{name} of a wish is {type(value).__name__}")
        wish = cls(**request)
        is_sound = (
            wish.op in get_args(PictureWork)
            and 1 <= wish.count <= MAX_COUNT
            and (not wish.size or size_of(wish.size) == wish.size)
            and (not wish.style or wish.style in STYLES)
            and wish.quality in ("", *QUALITIES)
            and 0 <= (wish.seed or 0) <= MAX_SEED
            and 0 <= wish.dice <= MAX_SEED
            and len(wish.prompt) <= MAX_PROMPT
            and len(wish.negative) <= MAX_NEGATIVE
        )
        if not is_sound:
            raise ValueError("a wish with a value that there is not")
        return wish

    def asked(self, inputs: Sequence[bytes] = (), mask: bytes = b"", *, account: str = "") -> ImageRequest:
        """What a model is asked. The asker's ``account`` is told to nobody as it is."""
        return ImageRequest(
            prompt=self.words,
            size=self.size or ("square" if self.op == "draw" else ""),
            count=self.count,
            sender=hashlib.sha256(account.encode()).hexdigest()[:32] if account else "",
            op=self.op,
            negative=self.negative,
            quality=self.quality,
            seed=self.seed,
            inputs=tuple(inputs),
            mask=mask,
        )

    @property
    def words(self) -> str:
        """The prompt with the words of its style."""
        style = STYLES.get(self.style, "")
        if not style:
            return self.prompt
        if self.op == "draw":
            return f"{self.prompt}. Style: {style}."
        return f"{self.prompt or 'The same picture, its content and composition unchanged'}, redrawn as {style}."


def shown_prompt(request: Mapping[str, Any]) -> str:
    """What an order was for, in the asker's words."""
    return cast("str", request.get("prompt") or request.get("style") or request.get("op") or "")
