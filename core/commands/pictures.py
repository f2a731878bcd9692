"""Commands about a picture: the one that came with the call, that it replies to, or that its button stands under."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from core.access import pseudonym
from core.commands.row import Room
from core.commands.wishes import changed, given, made
from core.creations.order import Order
from core.creations.pictures import DONE, KIND
from core.creations.wish import Wish
from core.errors import ModelError, OutboundError, OutboundFault
from core.message import Attachment, AttachmentKind, CommandCall
from core.models.catalog import Catalog
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.models.settings import PictureWork
from core.models.vision import ImageError, original_of
from core.parts import Ending, Finished, Media, Notice, Part, TextDelta
from core.texts import Amount

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Former:
    """A picture that was made here."""

    order: Order
    wish: Wish


def is_done(work: PictureWork, catalog: Catalog) -> bool:
    """Whether a model does it now."""
    return any(model.can(work) for model in catalog.of_kind("image"))


def has_eyes(catalog: Catalog) -> bool:
    """Whether a chat model sees pictures."""
    return any(model.accepts_images for model in catalog.models)


def can_read(catalog: Catalog) -> bool:
    """Whether the text in a picture can be read."""
    return catalog.has("ocr") or has_eyes(catalog)


def cannot_see(call: CommandCall, catalog: Catalog) -> Notice | None:
    """Why the picture that a call is about is not described; None where it is."""
    if not has_eyes(catalog):
        return Notice("no_eyes")
    return None if any(map(_is_picture, call.attachments)) else Notice("picture_needed")


async def former_of(room: Room) -> Former | None:
    """What was made in the message that the call is about. Raises StorageError."""
    if not room.call.reply_to:
        return None
    order = await room.workshop.creations.of_message(room.call.conversation, room.call.reply_to)
    if order is None or order.kind != KIND:
        return None
    try:
        return Former(order, Wish.of(order.request))
    except (ValueError, TypeError) as error:
        log.warning("a former order cannot be read", order=order.id, cause=str(error))
        return None


async def inputs_of(room: Room, former: Former) -> Sequence[bytes] | Notice:
    """The pictures that a former one was made of, or the sentence that they are gone. Raises StorageError."""
    if former.wish.op == "draw":
        return ()
    return await room.workshop.creations.inputs_of(former.order) or Notice("picture_gone")


async def edit(room: Room) -> AsyncIterator[Part]:
    """The picture as the prompt wants it; a second picture is the mask: what is white in it may change."""
    values = given(room)
    if not (values.get("prompt") or values.get("style")):
        yield Notice("edit_how")
        yield DONE
        return
    async with aclosing(_changed(room, "edit", values, most=2)) as parts:
        async for part in parts:
            yield part


async def vary(room: Room) -> AsyncIterator[Part]:
    """Another picture like it."""
    async with aclosing(_changed(room, "vary", given(room))) as parts:
        async for part in parts:
            yield part


async def restyle(room: Room) -> AsyncIterator[Part]:
    """The same picture in another style."""
    values = given(room)
    if not values.get("style"):
        yield Notice("style_how")
        yield DONE
        return
    async with aclosing(_changed(room, "edit", values)) as parts:
        async for part in parts:
            yield part


async def upscale(room: Room) -> AsyncIterator[Part]:
    """The picture with more pixels."""
    async with aclosing(_changed(room, "upscale", given(room))) as parts:
        async for part in parts:
            yield part


async def cutout(room: Room) -> AsyncIterator[Part]:
    """What the picture shows, without its background."""
    async with aclosing(_changed(room, "cutout", {})) as parts:
        async for part in parts:
            yield part


async def read(room: Room) -> AsyncIterator[Part]:
    """The text in a picture."""
    call, turn = room.call, room.turn
    reader = room.workshop.reader
    if not reader.is_set_up:
        yield Notice("no_reader")
        yield DONE
        return
    found = await pictures_of(room)
    if isinstance(found, Notice):
        yield found
        yield DONE
        return
    try:
        sender = pseudonym(call.author, call.conversation.platform)
        reading = await reader.read(found[0], space=turn.share, sender=sender, payer=turn.payer)
    except ImageError as error:
        yield Notice(error.key, error.values)
    except (Busy, OverBudget, OwnKeyError) as error:
        yield error.notice()
    except ModelError as error:
        log.warning("no text read", turn=turn.id, cause=str(error))
        yield Notice("not_read")
    else:
        yield TextDelta(_fenced(reading.text)) if reading.text else Notice("nothing_read")
        for notice in reading.notices:
            yield notice
        yield Finished(Ending.COMPLETE, reading.usage)
        return
    yield DONE


async def pictures_of(room: Room, most: int = 1) -> Sequence[bytes] | Notice:
    """The pictures that a call is about, at most so many: that of the message replied to first, then its own; else what
    was made in that message. Platforms hand out smaller copies of what was made here: it is taken itself while it is
    kept. Or the sentence why there are none. Raises StorageError."""
    files = [file for file in room.call.attachments if _is_picture(file)]
    # Of one alone its own is meant: whoever sends a picture along with a reply asks about it.
    files.sort(key=lambda file: file.quoted is (most == 1))
    if files:
        made_here = await _made_here(room) if any(file.quoted for file in files[:most]) else None
        found: list[bytes] = []
        for file in files[:most]:
            data = await _fetched(room, file)
            if isinstance(data, Notice):
                return data
            found.append(await original_of(data, made_here) if file.quoted and made_here else data)
        return found
    made_here = await _made_here(room)
    if made_here is None:
        return Notice("picture_needed")
    return [made_here[0]] if made_here else Notice("picture_gone")


async def _made_here(room: Room) -> Sequence[bytes] | None:
    """What was made in the message that the call is about, as far as it is kept; None where it shows nothing of the
    kind. Raises StorageError."""
    former = await former_of(room)
    if former is None:
        return None
    return [part.data for part in await room.workshop.creations.parts_of(former.order) if isinstance(part, Media)]


async def _changed(room: Room, op: PictureWork, values: dict[str, str], *, most: int = 1) -> AsyncGenerator[Part]:
    wish = await changed(room, Wish(op=op).anew(), values)
    found = wish if isinstance(wish, Notice) else room.workshop.pictures.refusal(wish)
    if found is None:
        found = await pictures_of(room, most)
    if isinstance(found, Notice) or isinstance(wish, Notice):
        yield found if isinstance(found, Notice) else DONE
        yield DONE
        return
    async with aclosing(made(room, replace(wish, is_masked=len(found) > 1), found)) as parts:
        async for part in parts:
            yield part


async def _fetched(room: Room, file: Attachment) -> bytes | Notice:
    limit = room.community.settings.chat.max_image_bytes
    too_large = Notice("file_too_large", {"found": Amount.of_bytes(file.size), "allowed": Amount.of_bytes(limit)})
    if file.size > limit:
        return too_large
    if room.fetch is None:
        return Notice("picture_gone")
    try:
        return await room.fetch(file, limit) or Notice("image_unreadable")
    except OutboundError as error:
        log.warning("picture not fetched", turn=room.turn.id, cause=error.detail)
        if error.fault is OutboundFault.REFUSED:
            found = Amount.of_bytes(limit, is_least=True)
            return replace(too_large, values={**too_large.values, "found": found})
        return Notice("picture_gone")


def _is_picture(file: Attachment) -> bool:
    return file.kind is AttachmentKind.IMAGE or file.mime.startswith("image/")


def _fenced(text: str) -> str:
    """As it stands, whatever marks are in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
