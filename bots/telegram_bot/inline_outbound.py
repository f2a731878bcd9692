"""Shows the answer to an inline question in the message that was sent with it: the question above, the answer below.

That message is there already, so creating it is an edit like all others, and may be done twice. There is one, so what
is too long for it is read in the private chat, which a link under the answer leads to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from html import escape
from typing import NoReturn

from telegram.error import TelegramError

from bots.adapter import RESENT, Button, Capabilities, Outbound, Page, Slot, Target
from bots.splitting import split
from bots.telegram_bot import utf16
from bots.telegram_bot.api import Api
from bots.telegram_bot.format import MAX_TEXT
from bots.telegram_bot.inline import UNDER_INLINE
from core.conversation.history import Question
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import INLINE_QUESTION, Attachment, ConversationKey, Platform
from core.parts import Activity, Media
from core.texts import say

ANY_LENGTH = 10**9
ROOM = MAX_TEXT - 600
"""For the answer: a question has up to 256 characters, of two units each at most."""
LONGEST_READ = 40_000
"""Characters of an answer that are looked at: more than any message holds."""
MOST_QUESTIONS = 1000
LONGEST_CODE = 64
MORE = " …"
VOTES = (Button("👍", "feedback up"), Button("👎", "feedback down"))
"""Under an answer that may be made anew."""
LAST_ROW = 99

Asked = Callable[[ConversationKey, str], Awaitable[Question | None]]
"""A conversation's question by its id. Raises StorageError."""


class InlineOutbound:
    """The sending side of one bot's inline mode. ``telegram`` is its sending side elsewhere."""

    platform = Platform.TELEGRAM

    def __init__(self, telegram: Outbound, api: Api, asked: Asked) -> None:
        self._telegram = telegram
        self._api = api
        self._asked = asked
        self._questions: OrderedDict[ConversationKey, Question] = OrderedDict()
        self._username = ""
        self.capabilities = Capabilities(
            # It is cut here, where the rest is said to be elsewhere.
            max_text=ANY_LENGTH,
            # A message in some group, for all that is known.
            edit_interval=telegram.capabilities.group_edit_interval,
            group_edit_interval=telegram.capabilities.group_edit_interval,
            rich=telegram.capabilities.rich,
            buttons=True,
            menus=True,
            idempotent_sends=True,
            endings=True,
        )

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        page = self._telegram.format(markdown, simple=simple)
        if page.length <= ROOM:
            return page

        def measure(text: str) -> int:
            return self._telegram.format(text, simple=simple).length

        first = next(iter(split(markdown[:LONGEST_READ], ROOM - len(MORE), measure)), "")
        return self._telegram.format(first + MORE, simple=simple)

    def mark(self, target: Target) -> str:
        return ""

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        if slot.number % RESENT:
            _refuse("an inline message is one message")
        await self.edit(target, target.conversation.inline, page)
        return target.conversation.inline

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        return None if slot.number % RESENT else target.conversation.inline

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        question = await self._question(target.conversation)
        buttons = [button for button in page.buttons if button.command in UNDER_INLINE]
        if page.ending:
            # Telegram tells of no reactions to inline messages.
            buttons += [replace(vote, row=button.row) for button in buttons for vote in VOTES]
            buttons += await self._link(target)
        try:
            await self._telegram.edit(target, message_id, replace(_under(question, page), buttons=tuple(buttons)))
        except OutboundError as error:
            if error.fault is not OutboundFault.GONE:
                raise
            # Whoever sent it has deleted it: there is no other place for the answer, and no wish for it.
            raise OutboundError(OutboundFault.FORBIDDEN, error.detail) from None

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        _refuse("inline messages have no previews")

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        _refuse("inline messages show no activity")

    async def send_file(
        self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot, *, description: str = ""
    ) -> str:
        _refuse("inline messages take no file")

    async def send_album(self, target: Target, pictures: Sequence[Media], slot: Slot, caption: Page) -> list[str]:
        _refuse("inline messages take no file")

    async def delete(self, target: Target, message_id: str) -> None:
        _refuse("an inline message is its sender's")

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return await self._telegram.fetch(conversation, attachment, limit)

    async def _question(self, conversation: ConversationKey) -> Question | None:
        if (question := self._questions.get(conversation)) is None:
            try:
                question = await self._asked(conversation, INLINE_QUESTION)
            except StorageError as error:
                raise OutboundError(OutboundFault.TRANSIENT, str(error)) from None
            if question is not None:
                self._questions[conversation] = question
                if len(self._questions) > MOST_QUESTIONS:
                    self._questions.popitem(last=False)
        return question

    async def _link(self, target: Target) -> list[Button]:
        """Leads to the whole answer, and on from there (``core.commands.links``)."""
        code = f"inline_{target.conversation.inline}"
        if len(code) > LONGEST_CODE or not await self._is_named():
            return []
        label = say("button.private", target.language)
        return [Button(label, "", row=LAST_ROW, url=f"https://t.me/{self._username}?start={code}")]

    async def _is_named(self) -> bool:
        """Whether the bot's name is known, which a link needs: a worker has to ask for it, once."""
        if not self._username:
            try:
                self._username = str((await self._api.call("getme", {})).get("username") or "")
            except TelegramError:
                return False
        return bool(self._username)


def _under(question: Question | None, page: Page) -> Page:
    """The page below the question."""
    if question is None:
        return page
    above = f"{question.text}\n"
    shift = utf16.length(above)
    quote = {"type": "blockquote", "offset": 0, "length": shift - 1}
    moved = ({**entity, "offset": entity["offset"] + shift} for entity in page.entities)
    lines = escape(question.text, quote=False).replace("\n", "<br>")
    rich = f"<blockquote><p>{lines}</p></blockquote>{page.rich}" if page.rich else ""
    return replace(page, text=above + page.text, length=page.length + shift, entities=(quote, *moved), rich=rich)


def _refuse(why: str) -> NoReturn:
    raise OutboundError(OutboundFault.REFUSED, why)
