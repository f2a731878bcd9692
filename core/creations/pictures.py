"""The maker of pictures: from words, or from other pictures, as files beside a line that says what they are and who
made them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from core.creations.order import MAX_PREVIEW_BYTES, Commission, Maker, Order
from core.creations.wish import Wish
from core.errors import ModelError, ModelFault, UnsupportedPrompt
from core.labels.labels import Labels
from core.labels.pictures import shown
from core.models.images import Painted, Painter, Seal
from core.models.model import Model
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.models.settings import SIZES, PictureWork
from core.models.vision import ImageError, Source, prepare_source
from core.models.wire import ImageRequest, Partial, Step
from core.parts import Activity, Choice, Ending, Finished, Making, Media, Menu, Notice, Part, Progress
from core.safety.safety import Safety
from core.tasks import end
from core.texts import one_line, say

log = structlog.get_logger()

KIND = "picture"
MAKER_SECONDS = 1800.0
"""The longest that an order may take in all."""
PATIENCE_SECONDS = 0.7
"""What is made within that time is not told about on its way."""
LONGEST_SHOWN = 300
"""Characters of a prompt that are shown with its pictures."""
MAX_BYTES = 8_000_000
"""A larger picture is shown as JPEG: few platforms take a larger one as a picture."""
JPEG_QUALITY = 90
PREVIEW_SIDE = 1024
"""Pixels of a side of a preview that would be too large for one: as JPEG that is 1.5 MB at most."""
MOST_SIDE = 1536
"""Pixels of a picture that is changed: as large as models draw."""
MOST_UPSCALED = 768
"""Of one that is made larger: four times as much is 9.4 megapixels."""
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg"}
DONE = Finished(Ending.COMPLETE)
AGAIN = "imagine seed=new"
"""What the button makes again."""


@dataclass(slots=True)
class _Way:
    """How far a picture is, as the wire tells."""

    done: float | None = None
    picture: bytes = b""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Step | Partial) -> None:
        if isinstance(event, Step):
            self.done = event.done
        else:
            self.picture = event.picture
        self.changed.set()


class Pictures:
    """Makes pictures."""

    def __init__(self, painter: Painter, safety: Safety, labels: Labels) -> None:
        self.painter = painter
        self._safety = safety
        self._labels = labels

    @property
    def maker(self) -> Maker:
        """For the list of all makers."""
        return Maker(KIND, "images", self.make, MAKER_SECONDS)

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self.painter.is_set_up

    def refusal(self, wish: Wish, inputs: Sequence[bytes] = ()) -> Notice | None:
        """Why no model can do it; None where one can."""
        pictures, mask = _parted(wish, inputs)
        found = self.painter.choose(wish.asked(pictures, mask), wish.model)
        return found if isinstance(found, Notice) else None

    async def make(self, commission: Commission) -> AsyncGenerator[Part]:
        """As :data:`core.creations.order.Make`."""
        yield Making(Activity.PHOTO)
        try:
            wish = Wish.of(commission.order.request)
            request = await _ready(wish, commission)
        except ImageError as error:
            yield Notice(error.key, error.values)
            yield DONE
            return
        except (ValueError, TypeError) as error:
            log.error("an order for pictures cannot be read", order=commission.order.id, cause=str(error))
            yield Notice("not_drawn")
            yield DONE
            return
        models = self.painter.choose(request, wish.model)
        if isinstance(models, Notice):
            yield models
            yield DONE
            return
        words = "\n".join(filter(None, (wish.prompt, wish.negative)))
        if refusal := await self._safety.prompt(commission, words, request.inputs):
            yield refusal
            yield DONE
            return
        if wish.seed is None and any("seed" in model.takes for model in models):
            # Whichever of them draws it: those that take none are asked without.
            request = replace(request, seed=wish.dice)
        async for part in self._made(commission, wish, request, models):
            yield part

    async def _made(
        self, commission: Commission, wish: Wish, request: ImageRequest, models: Sequence[Model]
    ) -> AsyncGenerator[Part]:
        way = _Way()
        order = commission.order
        is_edit = bool(request.inputs)
        seal = await self._sealing(order, MAX_BYTES, is_edit=is_edit)
        seal_preview = await self._sealing(order, MAX_PREVIEW_BYTES, PREVIEW_SIDE, is_edit=is_edit)
        painting = asyncio.create_task(
            self.painter.paint(request, models, seal, space=order.share, payer=commission.payer, tell=way.tell)
        )
        painting.add_done_callback(lambda _: way.changed.set())
        told = {"prompt": one_line(wish.prompt, LONGEST_SHOWN)}
        try:
            await asyncio.wait([painting], timeout=PATIENCE_SECONDS)
            # Many servers tell nothing on the way: that it is being made is told in any case.
            way.changed.set()
            while True:
                await way.changed.wait()
                way.changed.clear()
                if painting.done():
                    break
                yield Progress(f"making.{wish.op}", told, way.done, await self._preview(way, seal_preview, models[0]))
            painted = painting.result()
        except (Busy, OverBudget, OwnKeyError) as error:
            yield error.notice()
            yield DONE
        except ModelError as error:
            log.warning("no picture made", order=order.id, cause=str(error))
            yield _failed(error, wish)
            yield DONE
        else:
            drawn_by = next((model for model in models if model.name == painted.usage.model), models[0])
            seed = request.seed if "seed" in drawn_by.takes else None
            async for part in self._shown(commission, wish, painted, seed):
                yield part
        finally:
            await end([painting])

    async def _preview(self, way: _Way, seal: Seal, model: Model) -> Media | None:
        """What it looks like so far; nothing where pictures are to be looked at before they are shown."""
        picture, way.picture = way.picture, b""
        if not picture or self._safety.holds_pictures:
            return None
        try:
            data, mime = await asyncio.to_thread(seal, picture, model)
        except ValueError:
            return None
        return Media(f"preview.{SUFFIXES[mime]}", mime, data)

    async def _shown(
        self, commission: Commission, wish: Wish, painted: Painted, seed: int | None
    ) -> AsyncGenerator[Part]:
        passed: list[Media] = []
        for data, mime in painted.pictures:
            if refusal := await self._safety.picture(commission, data, mime):
                yield refusal
            else:
                passed.append(Media(f"picture.{SUFFIXES[mime]}", mime, data, wish.prompt))
        if passed:
            said = {"prompt": one_line(wish.prompt, LONGEST_SHOWN), "model": painted.usage.model}
            yield Notice("drawn" if wish.prompt else f"made.{wish.op}", said)
            if seed is not None:
                yield Notice("seeded", {"seed": str(seed)})
            for picture in passed:
                yield picture
            if wish.buttons:
                yield self._menu(wish, painted.usage.model, commission.order.language, len(passed))
        for notice in painted.notices:
            yield notice
        yield Finished(Ending.COMPLETE, painted.usage)

    def _menu(self, wish: Wish, made_by: str, language: str, count: int) -> Menu:
        """What can be done with what was made. One among several is chosen by replying to it."""
        first = [Choice(say("button.again", language), AGAIN)]
        alone: tuple[PictureWork, ...] = ("vary", "upscale") if count == 1 else ()
        first += [Choice(say(f"button.{op}", language), op) for op in alone if self._can(op)]
        others = self._shapes(wish, made_by)
        second = [Choice(say(f"button.{shape}", language), f"imagine size={shape}") for shape in others]
        return Menu(tuple(filter(None, (tuple(first), tuple(second)))))

    def _shapes(self, wish: Wish, made_by: str) -> list[str]:
        """Those in which the model would draw it otherwise."""
        models = self.painter.choose(ImageRequest(""), made_by) if wish.op == "draw" else ()
        if isinstance(models, Notice) or not models:
            return []
        present = models[0].size(wish.size or "square")
        return [shape for shape in SIZES if models[0].size(shape) != present]

    async def _sealing(self, order: Order, most: int, side: int = 0, *, is_edit: bool) -> Seal:
        """How a picture is made ready to leave: in a form that every platform shows, with its label. One of more than
        ``most`` bytes is made :func:`smaller`."""
        put = await self._labels.putting(order.space)

        def seal(data: bytes, model: Model) -> tuple[bytes, str]:
            data, mime = shown(data)
            if len(data) > most:
                data, mime = smaller(data, side), "image/jpeg"
            origin = self._labels.origin(model.name, model.provider, order.label, is_edit=is_edit)
            return put(data, mime, origin), mime

        return seal

    def _can(self, op: PictureWork) -> bool:
        return not isinstance(self.painter.choose(ImageRequest("", op=op)), Notice)


async def _ready(wish: Wish, commission: Commission) -> ImageRequest:
    """What a model is asked, its pictures made ready. Raises ImageError; ValueError where one is missing."""
    pictures, mask = _parted(wish, commission.inputs)
    if wish.op == "draw":
        return replace(wish.asked(account=commission.order.account), once=commission.order.piece())
    if not pictures:
        raise ValueError(f"no picture to {wish.op}")
    most = MOST_UPSCALED if wish.op == "upscale" else MOST_SIDE
    sources: list[Source] = [await prepare_source(pictures[0], mask, most)]
    sources += [await prepare_source(data, b"", most) for data in pictures[1:]]
    if wish.op in ("edit", "vary") and not wish.size:
        wish = replace(wish, size=sources[0].shape)
    asked = wish.asked([one.data for one in sources], sources[0].mask, account=commission.order.account)
    return replace(asked, once=commission.order.piece())


def _parted(wish: Wish, inputs: Sequence[bytes]) -> tuple[Sequence[bytes], bytes]:
    """The pictures that came with it, and the mask."""
    return (inputs[:-1], inputs[-1]) if wish.is_masked and len(inputs) > 1 else (inputs, b"")


def smaller(data: bytes, side: int = 0) -> bytes:
    """As JPEG, for platforms that take no more, and of at most ``side`` pixels a side where that is said. What is
    see-through becomes white: below it may lie what was cut out. Raises ValueError."""
    from PIL import Image

    output = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            seen = image.convert("RGBA")
            if side:
                seen.thumbnail((side, side))
            ground = Image.new("RGBA", seen.size, "white")
            Image.alpha_composite(ground, seen).convert("RGB").save(output, "JPEG", quality=JPEG_QUALITY)
    except Exception as error:
        # Decoders raise nearly anything on a damaged file.
        raise ValueError(f"no picture: {type(error).__name__}") from None
    return output.getvalue()


def _failed(error: ModelError, wish: Wish) -> Notice:
    if isinstance(error, UnsupportedPrompt):
        return Notice("unsupported_prompt", {"possible": one_line(error.possible, LONGEST_SHOWN)})
    if error.fault is ModelFault.FILTERED:
        return Notice("image_refused")
    return Notice("not_drawn" if wish.op == "draw" else "not_changed")
