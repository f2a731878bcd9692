"""What one answer has on its platform: its messages are created, changed and taken back here, each until it is done.

A message is recorded before and after it is created, so that whoever takes over a dead worker's turn goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

import structlog

from bots.adapter import RESENT, AlbumOutbound, Outbound, Page, PollOutbound, Slot, Target
from bots.growing import GrowingAnswer
from bots.pacing import Kind, Pacer
from bots.preview import FINAL, Preview
from core import faults
from core.conversation.turn import Turn
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey
from core.parts import Finished, Media, Poll

log = structlog.get_logger()
Value = TypeVar("Value")

RETRY_SECONDS = (0.3, 0.7, 1.5, 3.0, 6.0, 10.0, 15.0, 20.0, 30.0)
"""Pauses after a call that failed; the last one for all that follow."""
ALBUM = "+"
"""Before the number of further messages, behind the mark in the slot of an album."""
_NOTHING = Page("", 0)
MAX_FAILURES = 120
"""Of one call: a platform that is down for less than an hour costs no answer."""


class Journal(Protocol):
    """Where created messages are recorded, before and after."""

    async def about_to_create(
        self, turn: Turn, page: int, mark: str, text: str = "", finished: Finished | None = None
    ) -> None: ...

    async def created(self, turn: Turn, page: int, message_id: str) -> None: ...

    async def taking_back(self, turn: Turn, message_id: str) -> None: ...

    async def recent(self, conversation: ConversationKey) -> list[str]: ...


class Showing:
    """The messages of one answer in one chat. Raises OutboundError, LeaseLost, StorageError."""

    def __init__(
        self, answer: GrowingAnswer, target: Target, outbound: Outbound, pacer: Pacer, journal: Journal
    ) -> None:
        self._answer = answer
        self._turn = answer.turn
        self._target = target
        self._outbound = outbound
        self._pacer = pacer
        self._journal = journal
        self._chat = target.conversation.chat
        self._space = answer.turn.incoming.space
        self._group = not target.private
        self.preview = Preview(answer.turn, target, outbound, pacer)
        self._shown: dict[int, Page] = {}
        """What each page looks like by now."""
        self._resent: dict[int, int] = {}
        self._permitted = False
        """A permit was drawn and not used yet."""

    def has(self, number: int) -> bool:
        """Whether there is a message for this page."""
        return number in self._turn.pages

    def may(self, kind: Kind) -> bool:
        """Whether an optional call may be made now; it counts as made when the answer is yes."""
        return self._pacer.may(self._chat, self._group, kind)

    async def put(
        self, number: int, page: Page, *, newest: Callable[[], Page | None] | None = None, last: bool = False
    ) -> None:
        """Creates or edits a page, until it is done.

        ``newest`` is asked when the time of a new message has come; None: it is not to be created after all. ``last``:
        nothing but the turn's end comes after it.
        """
        if self.has(number):
            if self._shown.get(number) == page:
                return
            try:
                await self.insist(Kind.FINAL_EDIT, lambda: self._edit(number, page))
                return
            except OutboundError as error:
                if error.fault is not OutboundFault.GONE:
                    raise
                # Someone deleted it: the rest still has to reach the person.
                del self._turn.pages[number]
                self._resent[number] = self._resent.get(number, 0) + RESENT
        await self._create(number, page, newest=newest, last=last)

    async def try_edit(self, number: int, page: Page) -> None:
        """An edit that need not be done."""
        if self._shown.get(number) != page and self.may(Kind.EDIT):
            await self.quietly(self._edit(number, page))

    async def attach(self, number: int, media: Media, caption: Page) -> None:
        """Creates a message with a file."""
        name = PurePath(media.name).name
        slot = await self._record_slot(number)
        message_id = await self.insist(
            Kind.CREATE,
            lambda: self._replacing(
                lambda: self._outbound.send_file(
                    self._target, name, media.mime, media.data, caption, slot, description=media.description
                )
            ),
            lambda: self._found(caption, slot),
        )
        self.preview.replaced()
        await self._journal.created(self._turn, number, message_id)

    async def ask(self, number: int, poll: Poll) -> None:
        """Creates a message with a question of a quiz."""
        outbound = self._outbound
        assert isinstance(outbound, PollOutbound)
        slot = await self._record_slot(number)
        message_id = await self.insist(
            Kind.CREATE,
            lambda: self._replacing(lambda: outbound.send_poll(self._target, poll, slot)),
            lambda: self._found(_NOTHING, slot),
        )
        self.preview.replaced()
        await self._journal.created(self._turn, number, message_id)

    async def attach_album(self, number: int, pictures: Sequence[Media], caption: Page) -> None:
        """Creates an album of one slot: the message of this number, and those after it where each picture is one."""
        outbound = self._outbound
        assert isinstance(outbound, AlbumOutbound)
        count = 1 if outbound.capabilities.album_is_one else len(pictures)
        slot = await self._record_slot(number, more=count - 1)
        message_ids = await self.insist(
            Kind.CREATE,
            lambda: self._replacing(lambda: outbound.send_album(self._target, pictures, slot, caption)),
            lambda: self._found_album(slot, count),
        )
        self.preview.replaced()
        await self._created(number, message_ids)

    async def remove(self, number: int) -> None:
        """Takes back a page that is too many. One that cannot be deleted, because it is too old, stays."""
        message_id = self._turn.pages.pop(number)
        await self._journal.taking_back(self._turn, message_id)
        await self.quietly(self.insist(Kind.FINAL_EDIT, lambda: self._outbound.delete(self._target, message_id)))

    async def recover(self, page_of: Callable[[int], Page]) -> None:
        """A dead worker may have created a message without recording it: looks for it, so that none is doubled."""
        turn = self._turn
        if turn.slot is None:
            return
        number, (mark, _, more) = turn.slot[0], turn.slot[1].partition(ALBUM)
        slot = Slot(turn.id, number, mark)
        if more:
            found = await self._found_album(slot, int(more) + 1) or []
        else:
            message_id = await self._found(page_of(number), slot)
            found = [] if message_id is None else [message_id]
        if found:
            await self._created(number, found)
            log.info("found a message that was not recorded", turn=turn.id, page=number)

    async def quietly(self, work: Coroutine[Any, Any, None]) -> None:
        """An optional call: what goes wrong is learnt from, and otherwise left to the final edit."""
        try:
            await work
        except OutboundError as error:
            if error.fault is OutboundFault.RATE_LIMITED:
                self._pacer.refused(self._chat, error.retry_after, error.everywhere)
            elif error.fault in FINAL:
                raise
            else:
                log.debug("optional call failed", turn=self._turn.id, cause=error.detail)

    async def insist(
        self,
        kind: Kind,
        call: Callable[[], Awaitable[Value]],
        doubt: Callable[[], Awaitable[Value | None]] | None = None,
    ) -> Value:
        """Makes a call that has to be made, until it is done or trying again cannot help (then OutboundError).

        Refusals for the rate are waited out, however many. After a failure that leaves it open whether the call was
        carried out, ``doubt`` is asked first where a second call would be a second message.
        """
        failures = 0
        while True:
            if not self._permitted:
                await self._pacer.draw(self._chat, self._group, kind, self._space)
            self._permitted = False
            self._turn.check_lease()
            try:
                return await call()
            except OutboundError as error:
                if error.fault is OutboundFault.RATE_LIMITED:
                    self._pacer.refused(self._chat, error.retry_after, error.everywhere)
                    continue
                if error.fault is not OutboundFault.TRANSIENT or failures == MAX_FAILURES:
                    raise
                log.warning("platform call failed", turn=self._turn.id, cause=error.detail)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1
            if (
                doubt is not None
                and not self._outbound.capabilities.idempotent_sends
                and (done := await doubt()) is not None
            ):
                return done

    async def _edit(self, number: int, page: Page) -> None:
        self._turn.check_lease()
        await self._outbound.edit(self._target, self._turn.pages[number], page)
        self._shown[number] = page

    async def _create(self, number: int, page: Page, *, newest: Callable[[], Page | None] | None, last: bool) -> None:
        if not self._permitted:
            await self._pacer.draw(self._chat, self._group, Kind.CREATE, self._space)
        self._permitted = True
        if newest is not None:
            # Time has passed in the queue: what is sent is the newest text. If that is all, the final show sends it.
            found = newest()
            if found is None:
                return
            page = found
        slot = await self._record_slot(number)
        message_id = await self.insist(
            Kind.CREATE,
            lambda: self._replacing(lambda: self._outbound.send(self._target, page, slot)),
            lambda: self._found(page, slot),
        )
        faults.reached("sent")
        self.preview.replaced()
        if last:
            # The end of the turn records it, a moment later: no round trip of its own. Should that moment be the
            # process's last, the message is found by its slot.
            self._turn.pages[number], self._turn.slot = message_id, None
        else:
            await self._journal.created(self._turn, number, message_id)
        faults.reached("noted")
        self._shown[number] = page

    async def _replacing(self, send: Callable[[], Awaitable[Value]]) -> Value:
        """A message takes the preview's place: one that arrived after it would stand there for half a minute."""
        async with self.preview.still():
            return await send()

    async def _record_slot(self, number: int, more: int = 0) -> Slot:
        """Notes that a message is about to be created, with the whole answer where that is all there is to show;
        ``more``: so many others with it."""
        answer = self._answer
        slot = Slot(self._turn.id, number + self._resent.get(number, 0), self._outbound.mark(self._target))
        whole = answer.finished is not None and not answer.has_more
        text = answer.text if whole and number == 0 else ""
        mark = f"{slot.after}{ALBUM}{more}" if more else slot.after
        await self._journal.about_to_create(self._turn, number, mark, text, answer.finished)
        return slot

    async def _created(self, number: int, message_ids: Sequence[str]) -> None:
        for offset, message_id in enumerate(message_ids):
            await self._journal.created(self._turn, number + offset, message_id)

    async def _found_album(self, slot: Slot, count: int) -> list[str] | None:
        """The messages of an album, which are all there or none of them; None for none."""
        found: list[str] = []
        while len(found) < count and (message_id := await self._found(_NOTHING, slot, found)) is not None:
            found.append(message_id)
        return found or None

    async def _found(self, page: Page, slot: Slot, also: Sequence[str] = ()) -> str | None:
        """Looks for a message that may have been created. An edit's budget is what looking costs.

        Where the bot may write but not look, the answer is worth more than the certainty that none is doubled.
        """
        known = [*self._turn.pages.values(), *also, *await self._journal.recent(self._turn.conversation)]
        try:
            return await self.insist(Kind.FINAL_EDIT, lambda: self._outbound.find(self._target, page, slot, known))
        except OutboundError as error:
            if error.fault is OutboundFault.TRANSIENT:
                raise
            log.warning("not allowed to look for a message", turn=self._turn.id, cause=error.detail)
            return None
