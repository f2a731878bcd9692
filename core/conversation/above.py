"""What stands above the message that a question replies to: people talked before somebody called the bot.

A platform hands one message over with a reply. Where that one is a reply, too, and not in the history, the others are
asked for, or the question is put where the history goes on. The first question in a post is told how that began.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core.conversation.history import History
from core.message import Message, Quote

Earlier = Callable[[Message, str], Awaitable[Sequence[Quote]]]
"""Asks the platform: the message of that id, from where the given one came from, and what it replied to in turn, newest
first. Never fails."""


async def with_above(message: Message, history: History, earlier: Earlier | None) -> Message:
    """The message with all that is to be had of what it replies to. Raises StorageError."""
    quote = message.quote
    if earlier is None or quote is None or not quote.reply_to:
        return message
    if quote.begins:
        return await _in_post(message, quote, history, earlier)
    if await history.asked(message.conversation, quote.message_id):
        return message
    if await history.asked(message.conversation, quote.reply_to):
        return replace(message, reply_to=quote.reply_to)
    above = await earlier(message, quote.reply_to)
    said = [quote.text, *(f"[in reply to {one.author or 'someone'}:]\n{one.text}" for one in above)]
    return replace(message, quote=replace(quote, text="\n".join(said)))


async def _in_post(message: Message, quote: Quote, history: History, earlier: Earlier) -> Message:
    """Once is enough: the questions after the first have it before them."""
    if (message.text or message.attachments) and await history.has_begun(message.conversation):
        return replace(message, quote=None)
    for beginning in await earlier(message, quote.reply_to):
        return replace(message, quote=replace(quote, author=beginning.author, text=f"{quote.text}\n{beginning.text}"))
    return message
