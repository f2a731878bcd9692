"""Shows answers on Discord, by ids only. A send carries its turn as an enforced nonce: repeated, it makes no second.

Answers to an interaction go through its token: the first fills the deferred message in, further ones follow it.
Where the token is spent, they go to the channel, unless they were for the asker alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from bots.adapter import Capabilities, Page, Slot, Speaker, Target
from bots.discord_bot import layout, polls
from bots.discord_bot.finding import CLOCK_SLACK, Finding, has_files, has_text, nonce_of, replies
from bots.discord_bot.format import to_page
from bots.discord_bot.interactions import EPHEMERAL, Deferrals, ReplyToken
from bots.discord_bot.media import Files, Voices
from bots.discord_bot.rest import CallFailed, Rest, Upload
from bots.discord_bot.snowflake import at, moment
from bots.discord_bot.threads import Threads
from bots.discord_bot.webhooks import Webhooks
from core.errors import OutboundError, OutboundFault
from core.message import Attachment, ConversationKey, Platform
from core.parts import Activity, Media, Poll
from core.settings import DiscordSettings
from core.texts import say

MAX_TEXT = 2000
MAX_FILE = 10 * 1024 * 1024
"""What Discord takes from a bot where nobody has paid for more."""
EDIT_INTERVAL = 1.2
"""Seconds: a channel takes about 5 edits in 5 seconds, and the last edit must find room."""
TYPING_LIFETIME = 10.0
UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, INVALID_TOKEN = 10008, 10015, 50027
TOKEN_SPENT = (UNKNOWN_WEBHOOK, INVALID_TOKEN)
"""Discord's codes for a token that is over 15 minutes old, or whose interaction was never answered."""
MISSING_RIGHT = 50013
NOT_THE_AUTHOR = 50005
"""Discord's code for an edit of a message that the bot itself did not write."""
NO_REPLY_RIGHT = 160002
"""Discord's code where the bot may write but not read the history."""
HAS_COMPONENTS = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
"""Discord's reason where content meets a message that is finished."""
DEFERRAL_SECONDS = 4.0
"""How long the first answer to an interaction may still be under way in another process."""
DEFERRAL_PAUSE = 0.15
"""Seconds to the second try; each further pause is twice as long, since Discord counts the calls."""
LAST_SECONDS = 20.0
"""Before the time of a token is over: edits tell that there will be no more."""
MAX_DOUBTFUL = 200
MAX_REMEMBERED = 200


class Sender(Enum):
    """What a message was sent by."""

    BOT = auto()
    WEBHOOK = auto()


@dataclass(frozen=True, slots=True)
class _Content:
    """What a message is to hold."""

    page: Page
    uploads: tuple[Upload, ...] = ()
    in_gallery: bool = False
    poll: dict[str, Any] | None = None

    def body(self, *, edits: bool = False) -> dict[str, Any]:
        if self.poll is not None:
            return {"poll": self.poll, "allowed_mentions": layout.NO_MENTIONS}
        if self.in_gallery or (self.page.final and not self.uploads):
            body = layout.finished(self.page, self.uploads, edits=edits)
        else:
            body = layout.growing(self.page, is_new=not edits)
        # A page of a former answer may have had pictures: those that are not listed go.
        return {**body, "attachments": layout.attached(self.uploads)} if edits or self.uploads else body


class DiscordOutbound:
    """Implements ``bots.adapter.Outbound``. Keeps nothing but connections: any process can deliver."""

    platform = Platform.DISCORD
    capabilities = Capabilities(
        max_text=MAX_TEXT,
        edit_interval=EDIT_INTERVAL,
        group_edit_interval=EDIT_INTERVAL,
        typing_lifetime=TYPING_LIFETIME,
        buttons=True,
        menus=True,
        votes=True,
        max_file=MAX_FILE,
        album=layout.MAX_PICTURES,
        album_is_one=True,
        polls=True,
        spoilers=True,
        # For a few minutes only: later, find() tells.
        idempotent_sends=True,
    )

    def __init__(
        self,
        settings: DiscordSettings,
        rest: Rest,
        deferrals: Deferrals,
        *,
        no_threads: Callable[[str], None] | None = None,
        no_webhooks: Callable[[str], None] | None = None,
    ) -> None:
        """``no_threads`` is told of channels in which the bot has no right to open threads, ``no_webhooks`` of those in
        which it has none to manage webhooks."""
        self._rest = rest
        self._deferrals = deferrals
        self._doubtful: deque[str] = deque(maxlen=MAX_DOUBTFUL)
        """Nonces of sends whose outcome is unknown."""
        self._finished: deque[str] = deque(maxlen=MAX_REMEMBERED)
        """Messages that were found to take no content any more."""
        self._webhooks = Webhooks(rest, no_webhooks)
        self._senders: OrderedDict[str, Sender] = OrderedDict()
        """Of messages that were sent or changed here."""
        self._finding = Finding(rest, self._webhooks.is_ours)
        self.capabilities = replace(
            self.capabilities, final_form=settings.components, footers=settings.components and settings.footer
        )
        self._files = Files(rest, settings.cdn)
        self._threads = Threads(rest, no_threads)
        self._voices = Voices(rest)

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        return to_page(markdown)

    def mark(self, target: Target) -> str:
        """A moment before the send, as an id."""
        return at(self._rest.now() - CLOCK_SLACK)

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        target = await self._threads.ensure(target)
        return await self._create(target, slot, self._content(page))

    async def send_file(
        self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot, *, description: str = ""
    ) -> str:
        if len(data) > MAX_FILE:
            raise OutboundError(OutboundFault.REFUSED, f"a file of {len(data)} bytes, at most {MAX_FILE}")
        target = await self._threads.ensure(target)
        if not (target.reply_token or caption.text):
            fields = {"allowed_mentions": layout.NO_MENTIONS, "nonce": nonce_of(slot), "enforce_nonce": True}
            if (made := await self._voices.send(target.conversation.chat, fields, data)) is not None:
                return made
        if self.capabilities.final_form and layout.is_shown(mime):
            (made,) = await self.send_album(target, [Media(name, mime, data, description)], slot, caption)
            return made
        return await self._create(target, slot, _Content(caption, (Upload(name, mime, data, description),)))

    async def send_poll(self, target: Target, poll: Poll, slot: Slot) -> str:
        target = await self._threads.ensure(target)
        return await self._create(target, slot, _Content(Page("", 0), poll=polls.body_of(poll)))

    async def send_album(self, target: Target, pictures: Sequence[Media], slot: Slot, caption: Page) -> list[str]:
        """One message with all of them."""
        return [await self.send(target, replace(caption, pictures=tuple(pictures)), slot)]

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        """Looks through the channel's history; where nothing tells for certain, the repeated send's nonce does.

        A command's first answer is not looked for: filling the deferred message in again is harmless.
        """
        if (token := _token(target)) and (_is_only_way(target, token) or slot.number == 0):
            return None
        return await self._finding.find(await self._threads.ensure(target), page, slot, known)

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        target = await self._threads.ensure(target)
        if message_id in self._finished:
            page = replace(page, final=True)
        try:
            await self._edit(target, message_id, page)
        except CallFailed as error:
            if page.final or HAS_COMPONENTS not in error.reasons:
                raise _without_files(error, page.pictures) from None
            # It was finished under other settings.
            self._finished.append(message_id)
            await self._edit(target, message_id, replace(page, final=True))

    async def _edit(self, target: Target, message_id: str, page: Page) -> None:
        token = self._usable(target)
        if token and not page.final and _is_only_way(target, token) and token.is_spent(self._rest.now() + LAST_SECONDS):
            page = _ending(page, target.language)
        content = self._content(page)
        body, uploads = content.body(edits=True), content.uploads
        if token:
            try:
                await self._rest.call("PATCH", f"{_webhook(token)}/messages/{message_id}", body, uploads=uploads)
            except CallFailed as error:
                # A press has a token for the message that it was made under, and for no other.
                is_other = error.code == UNKNOWN_MESSAGE and not token.fills_original
                if _is_only_way(target, token) or not (is_other or error.code in TOKEN_SPENT):
                    raise
            else:
                return
        await self._change(target, message_id, body, uploads)

    async def _change(self, target: Target, message_id: str, body: dict[str, Any], uploads: tuple[Upload, ...]) -> None:
        """A message is changed by what sent it: the bot, or a persona by its webhook. Another process may have."""
        chat = target.conversation.chat
        sender = self._sender(target, message_id)
        if sender is Sender.WEBHOOK:
            try:
                if await self._webhooks.edit(chat, message_id, body, uploads):
                    self._remember(message_id, Sender.WEBHOOK)
                    return
            except CallFailed as error:
                if error.code != UNKNOWN_MESSAGE or message_id in self._senders:
                    raise
        try:
            await self._rest.call("PATCH", f"{_channel(target)}/messages/{message_id}", body, uploads=uploads)
        except CallFailed as error:
            if error.code != NOT_THE_AUTHOR:
                raise
            self._remember(message_id, Sender.WEBHOOK)
            if sender is Sender.WEBHOOK or not await self._webhooks.edit(chat, message_id, body, uploads):
                raise OutboundError(OutboundFault.GONE, "the webhook that sent it is gone") from None
        else:
            self._remember(message_id, Sender.BOT)

    def _sender(self, target: Target, message_id: str) -> Sender:
        """What probably sent it, where another process did."""
        return self._senders.get(message_id, Sender.WEBHOOK if target.speaker else Sender.BOT)

    def _remember(self, message_id: str, sender: Sender) -> None:
        self._senders[message_id] = sender
        if len(self._senders) > MAX_REMEMBERED:
            self._senders.popitem(last=False)

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        """Discord has no previews."""

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        """A deferred command shows by itself that an answer is being made."""
        if not target.reply_token:
            target = await self._threads.ensure(target)
            await self._rest.call("POST", f"{_channel(target)}/typing")

    async def delete(self, target: Target, message_id: str) -> None:
        target = await self._threads.ensure(target)
        try:
            token = self._usable(target)
            if token and _is_only_way(target, token):
                await self._rest.call("DELETE", f"{_webhook(token)}/messages/{message_id}")
            else:
                await self._remove(target, message_id)
        except OutboundError as error:
            if error.fault is not OutboundFault.GONE:
                raise

    async def _remove(self, target: Target, message_id: str) -> None:
        """Like :meth:`_change`. What the bot did not send it deletes with a right that it may lack."""
        chat = target.conversation.chat
        sender = self._sender(target, message_id)
        if sender is Sender.WEBHOOK:
            try:
                if await self._webhooks.delete(chat, message_id):
                    return
            except CallFailed as error:
                if error.code != UNKNOWN_MESSAGE or message_id in self._senders:
                    raise
        try:
            await self._rest.call("DELETE", f"{_channel(target)}/messages/{message_id}")
        except CallFailed as error:
            is_other = error.code == MISSING_RIGHT and sender is Sender.BOT
            if not (is_other and await self._webhooks.delete(chat, message_id)):
                raise

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return await self._files.fetch(attachment, limit)

    # ------------------------------------------------------------------ creating
    def _content(self, page: Page) -> _Content:
        in_gallery = bool(page.pictures) and (page.final or self.capabilities.final_form)
        return _Content(page, tuple(layout.named(page.pictures)), in_gallery)

    async def _create(self, target: Target, slot: Slot, content: _Content) -> str:
        try:
            return await self._make(target, slot, content)
        except CallFailed as error:
            raise _without_files(error, content.uploads or content.poll or ()) from None

    async def _make(self, target: Target, slot: Slot, content: _Content) -> str:
        token = self._usable(target)
        if token:
            try:
                return await self._answer(target, token, slot, content)
            except CallFailed as error:
                if _is_only_way(target, token) or error.code not in TOKEN_SPENT:
                    raise
        if target.speaker and not target.private and (made := await self._speak(target, target.speaker, slot, content)):
            return made
        body = {**content.body(), "nonce": nonce_of(slot), "enforce_nonce": True}
        path, uploads = f"{_channel(target)}/messages", content.uploads
        if replies(target, slot):
            reference = {"message_id": target.question, "fail_if_not_exists": False}
            try:
                made = await self._rest.call("POST", path, {**body, "message_reference": reference}, uploads=uploads)
                return made["id"]
            except CallFailed as error:
                if error.code != NO_REPLY_RIGHT:
                    raise
        return (await self._rest.call("POST", path, body, uploads=uploads))["id"]

    async def _speak(self, target: Target, speaker: Speaker, slot: Slot, content: _Content) -> str | None:
        """Under another name; None where that cannot be."""
        if found := await self._sent_before(target, slot, content):
            self._remember(found, Sender.WEBHOOK)
            return found
        try:
            made = await self._webhooks.send(target.conversation.chat, speaker, content.body(), content.uploads)
        except OutboundError as error:
            if error.fault is OutboundFault.TRANSIENT:
                self._doubtful.append(nonce_of(slot))
            raise
        if made is not None:
            self._remember(made, Sender.WEBHOOK)
        return made

    async def _sent_before(self, target: Target, slot: Slot, content: _Content) -> str | None:
        """For calls that know no nonce: whether the last try came through, where that is in doubt, is to be seen in the
        channel."""
        if nonce_of(slot) not in self._doubtful:
            return None
        for message in await self._finding.own(target, slot):
            if (
                has_text(message, content.page)
                or has_files(message, content.uploads)
                or polls.has_poll(message, content.poll)
            ):
                return message["id"]
        return None

    async def _answer(self, target: Target, token: ReplyToken, slot: Slot, content: _Content) -> str:
        """By the interaction's token. Its first answer may still be under way, here or in another process."""
        await self._deferrals.wait(token.token)
        nonce = nonce_of(slot)
        if token.fills_original and slot.number == 0:
            method, path, body = "PATCH", f"{_webhook(token)}/messages/@original", content.body(edits=True)
        else:
            method, path, body = "POST", _webhook(token), content.body()
            if target.ephemeral:
                body["flags"] = body.get("flags", 0) | EPHEMERAL
            elif not token.only and (found := await self._sent_before(target, slot, content)):
                return found
        give_up, pause = time.monotonic() + DEFERRAL_SECONDS, DEFERRAL_PAUSE
        while True:
            try:
                made = await self._rest.call(method, path, body, uploads=content.uploads)
            except CallFailed as error:
                may_come = self._rest.now() - moment(token.interaction) < DEFERRAL_SECONDS + CLOCK_SLACK
                if error.code != UNKNOWN_WEBHOOK or not may_come or time.monotonic() + pause > give_up:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
            except OutboundError as error:
                if error.fault is OutboundFault.TRANSIENT:
                    self._doubtful.append(nonce)
                raise
            else:
                return made["id"]

    def _usable(self, target: Target) -> ReplyToken | None:
        """The token to answer by; None where the channel takes its place, since there is none or its time is over.

        Raises OutboundError where its time is over and nothing can take its place: no call is wasted on it.
        """
        token = _token(target)
        if token is None or not token.is_spent(self._rest.now()):
            return token
        if _is_only_way(target, token):
            raise OutboundError(OutboundFault.GONE, "the time of the interaction's token is over")
        return None


def _without_files(error: CallFailed, files: Collection[object]) -> OutboundError:
    """Words may be allowed where files are not."""
    return OutboundError(OutboundFault.NO_FILES, error.detail) if files and error.code == MISSING_RIGHT else error


def _ending(page: Page, language: str) -> Page:
    """What grows under a token whose time is nearly over says so, as long as it can."""
    text = f"{page.text}\n\n{say('token_ends', language)}"
    return replace(page, text=text) if len(text) <= MAX_TEXT else page


def _is_only_way(target: Target, token: ReplyToken) -> bool:
    """Nothing but the token leads to who is to see the answer."""
    return target.ephemeral or token.only


def _token(target: Target) -> ReplyToken | None:
    return ReplyToken.parse(target.reply_token) if target.reply_token else None


def _channel(target: Target) -> str:
    return f"/channels/{target.conversation.chat}"


def _webhook(token: ReplyToken) -> str:
    return f"/webhooks/{token.application}/{token.token}"
