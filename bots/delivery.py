"""Delivery: one renderer for all platforms. The model is read by one task and shown by another.

So a slow edit never holds the model back, an edit always shows the newest text, and the last edit always comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

import structlog

from bots.adapter import RESENT, Button, Capabilities, Outbound, Page, Slot, Target
from bots.growing import GrowingAnswer
from bots.pacing import Kind, Pacer
from bots.splitting import Pages, split
from core import faults
from core.commands.table import BY_NAME
from core.conversation.mailbox import Turn
from core.errors import OutboundError, OutboundFault
from core.message import CommandCall, ConversationKey, Platform
from core.parts import Ending, Finished, Media, Part
from core.tasks import end
from core.texts import say
from core.worker import Delivered

log = structlog.get_logger()
Value = TypeVar("Value")

TYPING_AFTER_SECONDS = 0.6
"""A quick model needs no typing signal: it would only cost a call."""
SECOND_SHOW = 0.5
"""The second show comes after this part of the interval: the first one holds hardly a word."""
RETRY_SECONDS = (0.3, 0.7, 1.5, 3.0, 6.0, 10.0, 15.0, 20.0, 30.0)
"""Pauses after a call that failed; the last one for all that follow."""
MAX_FAILURES = 120
"""Of one call: a platform that is down for less than an hour costs no answer."""


class Journal(Protocol):
    """Where created messages are recorded, before and after."""

    async def about_to_create(
        self, turn: Turn, page: int, mark: str, text: str = "", finished: Finished | None = None
    ) -> None: ...

    async def created(self, turn: Turn, page: int, message_id: str) -> None: ...

    async def recent(self, conversation: ConversationKey) -> list[str]: ...


class Delivery:
    """Shows answers on their platforms."""

    def __init__(
        self,
        outbounds: Mapping[Platform, Outbound],
        pacers: Mapping[Platform, Pacer],
        journal: Journal,
        *,
        max_pages: int,
    ) -> None:
        self._outbounds = outbounds
        self._pacers = pacers
        self._journal = journal
        self._max_pages = max_pages

    async def __call__(self, turn: Turn, parts: AsyncGenerator[Part]) -> Delivered:
        platform = turn.conversation.platform
        show = _Show(turn, self._outbounds[platform], self._pacers[platform], self._journal, self._max_pages)
        return await show.deliver(parts)


def target_of(turn: Turn) -> Target:
    """Where a turn's answer goes."""
    incoming = turn.incoming
    if isinstance(incoming, CommandCall):
        row = BY_NAME.get(incoming.name)
        # A button's question is the answer that it stands under; a command answers to the person alone.
        return Target(
            turn.conversation,
            incoming.private,
            "",
            incoming.reply_token,
            ephemeral=row is not None and row.private,
            asked=incoming.id,
        )
    return Target(turn.conversation, incoming.private, incoming.id, asked=incoming.id)


class _Show:
    """One answer on its way to one chat."""

    def __init__(self, turn: Turn, outbound: Outbound, pacer: Pacer, journal: Journal, max_pages: int) -> None:
        self._turn = turn
        self._outbound = outbound
        self._able: Capabilities = outbound.capabilities
        self._pacer = pacer
        self._journal = journal
        self._max_pages = max_pages
        self._target = target_of(turn)
        self._chat = turn.conversation.chat
        self._space = turn.incoming.space
        self._group = not self._target.private
        self._language = turn.incoming.author.language
        self._answer = GrowingAnswer(turn)
        self._pages = Pages(self._able.max_text, self._measure)
        self._shown: dict[int, Page] = {}
        """What each page looks like by now."""
        self._drafted: Page | None = None
        self._formatted: dict[str, Page] = {}
        self._resent: dict[int, int] = {}
        self._permitted = False
        """A permit was drawn and not used yet."""
        self._undelivered = ""
        """Why the platform took not all of it."""

    async def deliver(self, parts: AsyncGenerator[Part]) -> Delivered:
        """Returns when everything is shown, or the platform takes no more. Raises LeaseLost, StorageError."""
        reader = asyncio.create_task(self._answer.read(parts))
        try:
            await self._show()
        finally:
            await end([reader])
        if self._answer.failure is not None:
            raise self._answer.failure
        finished = self._answer.finished or Finished(Ending.BROKEN)
        return Delivered(self._answer.text, finished.ending, finished.usage, finished.causes, self._undelivered)

    # ---- showing

    async def _show(self) -> None:
        """Shows the answer to its end; what the platform does not take is at least told of."""
        try:
            try:
                await self._follow()
            except OutboundError as error:
                if error.fault is not OutboundFault.REFUSED:
                    raise
                self._undelivered = str(error)
                log.error("answer refused by the platform", turn=self._turn.id, cause=error.detail)
                await self._must_show(max(self._turn.pages, default=-1) + 1, self._page(self._say("refused")))
        except OutboundError as error:
            if error.fault is OutboundFault.FORBIDDEN:
                log.info("chat is closed to us", turn=self._turn.id)
            else:
                self._undelivered = str(error)
                log.error("answer not delivered", turn=self._turn.id, cause=error.detail)

    async def _follow(self) -> None:
        interval = self._able.group_edit_interval if self._group else self._able.edit_interval
        shows = 0
        await self._recover_slot()
        await self._wait_for_text()
        while self._answer.finished is None:
            if self._answer.text.strip():
                await self._show_running()
                shows += 1
            await self._pause(interval * (SECOND_SHOW if shows == 1 else 1.0))
        await self._show_final()

    async def _wait_for_text(self) -> None:
        """Until there is text or an end. Shows typing while that takes long."""
        answer = self._answer
        pause = TYPING_AFTER_SECONDS
        while answer.finished is None and not answer.text.strip():
            answer.changed.clear()
            try:
                await asyncio.wait_for(answer.changed.wait(), pause)
            except TimeoutError:
                if self._able.typing_lifetime and self._pacer.may(self._chat, self._group, Kind.TYPING):
                    await self._quietly(self._outbound.typing(self._target))
                pause = self._able.typing_lifetime * 0.9 or 60.0

    async def _pause(self, seconds: float) -> None:
        """The time between two shows, cut short by the end of the answer."""
        try:
            await asyncio.wait_for(self._answer.ended.wait(), seconds)
        except TimeoutError:
            return

    async def _show_running(self) -> None:
        """Intermediate: pages that are full are shown for good, the last one if there is room for that."""
        pages = self._pages.update(self._answer.text)[: self._max_pages]
        if not pages:
            return  # nothing but marks so far
        for number, markdown in enumerate(pages[:-1]):
            await self._must_show(number, self._page(markdown))
        number, page = len(pages) - 1, self._page(pages[-1])
        if self._able.drafts and not self._group and number not in self._turn.pages:
            await self._show_draft(number, page)
        elif number not in self._turn.pages:
            await self._must_show(number, page, newest=True)
        elif self._shown.get(number) != page and self._pacer.may(self._chat, self._group, Kind.EDIT):
            await self._quietly(self._edit_once(number, page))

    async def _show_draft(self, number: int, page: Page) -> None:
        if page != self._drafted and self._pacer.may(self._chat, self._group, Kind.DRAFT):
            self._turn.check_lease()
            await self._quietly(self._outbound.draft(self._target, Slot(self._turn.id, number), page))
            self._drafted = page

    async def _show_final(self) -> None:
        """The whole answer with what is to be said about its end."""
        answer, finished = self._answer, self._answer.finished
        assert finished is not None
        if finished.ending is Ending.SUPERSEDED:
            return
        pages = self._pages.update(answer.whole(finished.ending))
        if not (pages or answer.media):
            pages = [self._say("empty")]  # it was nothing but marks
        rest = len(pages) > self._max_pages
        shown = [self._page(text) for text in pages[: self._max_pages]]
        if shown:
            shown[-1] = replace(shown[-1], buttons=self._buttons(finished.ending))
        if self._able.endings:
            shown = [replace(page, ending=str(finished.ending)) for page in shown]
        is_all = not (rest or answer.media)
        for number, page in enumerate(shown):
            await self._must_show(number, page, last=is_all and number == len(shown) - 1)
        for number in [n for n in self._turn.pages if n >= len(shown)]:
            # An earlier form of the answer was longer.
            await self._remove(self._turn.pages.pop(number))
        if rest and self._able.max_file:
            # What is said about the end stood behind what the pages hold.
            caption = self._page("\n".join((self._say("as_file"), *answer.all_notices(finished.ending))))
            await self._attach(len(shown), Media("answer.md", "text/markdown", answer.text.encode()), caption)
            shown.append(caption)
        for offset, media in enumerate(answer.media):
            await self._attach(len(shown) + offset, media, self._page(""))

    def _buttons(self, ending: Ending) -> tuple[Button, ...]:
        if ending is not Ending.LENGTH or not self._able.buttons:
            return ()
        return (Button("Continue ▸" if not self._language.startswith("zh") else "继续 ▸", "continue"),)

    # ---- one message

    async def _must_show(self, number: int, page: Page, *, newest: bool = False, last: bool = False) -> None:
        """Creates or edits a page, until it is done. ``newest``: shows what there is when its time has come. ``last``:
        nothing but the turn's end comes after it."""
        if number in self._turn.pages:
            if self._shown.get(number) == page:
                return
            try:
                await self._persist(number, page)
                return
            except OutboundError as error:
                if error.fault is not OutboundFault.GONE:
                    raise
                # Someone deleted it: the rest still has to reach the person.
                del self._turn.pages[number]
                self._resent[number] = self._resent.get(number, 0) + RESENT
        await self._create(number, page, newest=newest, last=last)

    async def _persist(self, number: int, page: Page) -> None:
        """An edit that has to be done."""
        await self._insist(Kind.FINAL_EDIT, lambda: self._edit_once(number, page))

    async def _edit_once(self, number: int, page: Page) -> None:
        self._turn.check_lease()
        await self._outbound.edit(self._target, self._turn.pages[number], page)
        self._shown[number] = page

    async def _create(self, number: int, page: Page, *, newest: bool, last: bool) -> None:
        if not self._permitted:
            await self._pacer.draw(self._chat, self._group, Kind.CREATE, self._space)
        self._permitted = True
        if newest:
            # Time has passed in the queue: what is sent is the newest text. If that is all, the final show sends it.
            if self._answer.finished is not None:
                return
            pages = self._pages.update(self._answer.text)
            page = self._page(pages[number]) if number < len(pages) else page
        slot = await self._record_slot(number)
        message_id = await self._insist(
            Kind.CREATE, lambda: self._outbound.send(self._target, page, slot), lambda: self._found(page, slot)
        )
        faults.reached("sent")
        if last:
            # The end of the turn records it, a moment later: no round trip of its own. Should that moment be the
            # process's last, the message is found by its slot.
            self._turn.pages[number], self._turn.slot = message_id, None
        else:
            await self._journal.created(self._turn, number, message_id)
        faults.reached("noted")
        self._shown[number] = page

    async def _record_slot(self, number: int) -> Slot:
        """Notes that a message is about to be created, with the whole answer where that is all there is to show."""
        answer = self._answer
        slot = Slot(self._turn.id, number + self._resent.get(number, 0), self._outbound.mark(self._target))
        whole = answer.finished is not None and not answer.notices and not answer.media
        text = answer.text if whole and number == 0 else ""
        await self._journal.about_to_create(self._turn, number, slot.after, text, answer.finished)
        return slot

    async def _attach(self, number: int, media: Media, caption: Page) -> None:
        name = PurePath(media.name).name
        slot = await self._record_slot(number)
        message_id = await self._insist(
            Kind.CREATE,
            lambda: self._outbound.send_file(self._target, name, media.mime, media.data, caption, slot),
            lambda: self._found(caption, slot),
        )
        await self._journal.created(self._turn, number, message_id)

    async def _remove(self, message_id: str) -> None:
        """Takes back a page that is too many. One that cannot be deleted, because it is too old, stays."""
        await self._quietly(self._insist(Kind.FINAL_EDIT, lambda: self._outbound.delete(self._target, message_id)))

    async def _recover_slot(self) -> None:
        """A dead worker may have created a message without recording it: looks for it, so that none is doubled."""
        turn = self._turn
        if turn.slot is None:
            return
        number, mark = turn.slot
        pages = split(turn.text, self._able.max_text, self._measure) if turn.text else []
        page = self._page(pages[number] if number < len(pages) else "")
        message_id = await self._found(page, Slot(turn.id, number, mark))
        if message_id is not None:
            await self._journal.created(turn, number, message_id)
            log.info("found a message that was not recorded", turn=turn.id, page=number)

    async def _found(self, page: Page, slot: Slot) -> str | None:
        """Looks for a message that may have been created. An edit's budget is what looking costs.

        Where the bot may write but not look, the answer is worth more than the certainty that none is doubled.
        """
        known = [*self._turn.pages.values(), *await self._journal.recent(self._turn.conversation)]
        try:
            return await self._insist(Kind.FINAL_EDIT, lambda: self._outbound.find(self._target, page, slot, known))
        except OutboundError as error:
            if error.fault is OutboundFault.TRANSIENT:
                raise
            log.warning("not allowed to look for a message", turn=self._turn.id, cause=error.detail)
            return None

    async def _insist(
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
            if doubt is not None and not self._able.idempotent_sends and (done := await doubt()) is not None:
                return done

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        """An optional call: what goes wrong is learnt from, and otherwise left to the final edit."""
        try:
            await work
        except OutboundError as error:
            if error.fault is OutboundFault.RATE_LIMITED:
                self._pacer.refused(self._chat, error.retry_after, error.everywhere)
            elif error.fault is OutboundFault.FORBIDDEN:
                raise
            else:
                log.debug("optional call failed", turn=self._turn.id, cause=error.detail)

    # ---- forms

    def _say(self, key: str) -> str:
        return say(key, self._language)

    def _page(self, markdown: str) -> Page:
        page = self._formatted.get(markdown)
        if page is None:
            if len(self._formatted) > 16:
                self._formatted.clear()
            page = self._formatted[markdown] = self._outbound.format(markdown)
        return page

    def _measure(self, markdown: str) -> int:
        return self._page(markdown).length
