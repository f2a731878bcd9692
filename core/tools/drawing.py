"""Pictures that a model has made because it was asked for one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol

from core.access import Right
from core.conversation.turn import Turn
from core.creations.pictures import KIND
from core.creations.wish import STYLES, Wish
from core.models.catalog import Catalog
from core.models.chat import ToolForm
from core.models.images import MAX_COUNT, MAX_PROMPT
from core.parts import Ending, Finished, Media, Notice, Part
from core.texts import ENGLISH, say
from core.tools.tool import Arguments, Caller, Output, Tool, ToolError, takes, text_of, words

SECONDS = 900.0
SHAPES = ("square", "wide", "tall")


class Made(Protocol):
    """Has something made in a turn's name."""

    def __call__(
        self, turn: Turn, kind: str, request: Mapping[str, Any], inputs: Sequence[bytes] = (), *, number: int = 0
    ) -> AsyncGenerator[Part]: ...


async def _run(made: Made, arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
    prompt = text_of(arguments, "prompt").strip()[:MAX_PROMPT]
    if not prompt:
        raise ToolError("There is nothing to draw: say what is to be seen.")
    if not await caller.has(Right.DRAW):
        raise ToolError("The user may not have pictures drawn here.")
    shape = text_of(arguments, "shape") or caller.turn.space.image_size or "square"
    wanted, style = arguments.get("count"), text_of(arguments, "style")
    count: int = wanted if isinstance(wanted, int) else 1
    wish = Wish(
        prompt=prompt,
        size=shape if shape in SHAPES else "square",
        count=min(max(count, 1), MAX_COUNT),
        style=style if style in STYLES else "",
    ).anew()
    shown, said = 0, list[str]()
    async with aclosing(made(caller.turn, KIND, wish.to_json(), number=caller.number)) as parts:
        async for part in parts:
            if isinstance(part, Media):
                shown += 1
            elif isinstance(part, Notice):
                said.append(say(part.key, ENGLISH, **part.values))
            if not isinstance(part, Finished) or part.ending is Ending.COMPLETE:
                yield part
    if shown:
        said.insert(0, "The picture is drawn, and the user sees it with your answer.")
    yield Output("\n".join(said) or "No picture was drawn.")


def drawing(made: Made, catalog: Catalog) -> Tool:
    """Where there is a model that draws. ``made`` is :meth:`core.creations.creations.Creations.made`."""

    async def is_there(turn: Turn) -> bool:
        return any("draw" in model.does for model in catalog.of_kind("image"))

    form = ToolForm(
        "draw",
        "Draws a picture and shows it to the user. Only when they ask for a picture.",
        takes(
            ["prompt"],
            prompt=words("what is to be seen, in detail", MAX_PROMPT),
            shape={"type": "string", "enum": list(SHAPES)},
            count={"type": "integer", "minimum": 1, "maximum": MAX_COUNT},
            style={"type": "string", "enum": list(STYLES)},
        ),
    )
    return Tool(
        form,
        partial(_run, made),
        allowed_as="draw",
        called="tool.draw",
        right=Right.DRAW,
        is_there=is_there,
        seconds=SECONDS,
    )
