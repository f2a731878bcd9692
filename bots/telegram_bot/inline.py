"""Inline mode: ``@bot question`` typed in any chat.

What is typed is answered at once with what could be asked, and no model hears of it. Only a result that is sent is a
question, which is a conversation of its own, shown in the message that was sent. Telegram tells of that where inline
feedback is on at @BotFather; elsewhere whoever sent it presses the button under it. Whichever comes first counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from telegram.error import TelegramError

from bots.adapter import Button
from bots.telegram_bot import utf16
from bots.telegram_bot.api import Api
from bots.telegram_bot.keyboard import PRESS, reply_markup
from bots.telegram_bot.raw import Me, Raw, person
from core.access import decide_refusal
from core.commands import choosing
from core.errors import StorageError
from core.message import (
    INLINE,
    INLINE_QUESTION,
    CommandCall,
    ConversationKey,
    Incoming,
    Message,
    Platform,
    clean_text,
)
from core.models.catalog import Catalog
from core.settings import ChatSettings
from core.storage.inline import InlineQuestion, InlineQuestions
from core.texts import say

log = structlog.get_logger()

ASK = ".ask"
"""Under a message that nobody has told us of yet."""
UNDER_INLINE = frozenset((ASK, "stop", "regenerate", "feedback"))
"""What buttons there ask for: there is one message, which cannot be gone on with or spoken."""
MOST_MODELS = 5
CACHE_SECONDS = 10
"""How long Telegram may show the same person the same results without asking again."""
HINT_SECONDS = 300
LONGEST_TITLE = 128
NOTHING_YET = "…"


def chosen(raw: Raw, me: Me) -> CommandCall | None:
    """An inline result that was sent. Its id names the model."""
    message_id, text = str(raw.get("inline_message_id") or ""), clean_text(raw.get("query") or "")
    if not (message_id and text):
        return None
    asker = person(raw["from"])
    return CommandCall(
        conversation=_conversation(message_id, me),
        id=INLINE_QUESTION,
        # The message is told of once, and its button may be pressed as well.
        update=INLINE_QUESTION,
        author=asker,
        name="chat",
        options={"text": text, "model": clean_text(raw["result_id"])},
        private=True,
        # However many messages they send, they stand in line as one.
        space=asker.id,
    )


def pressed(query: Raw, me: Me, update: str, name: str, options: dict[str, str]) -> CommandCall | None:
    """A button under an inline message."""
    message_id = str(query["inline_message_id"])
    if name not in UNDER_INLINE:
        return None
    presser = person(query["from"])
    return CommandCall(
        conversation=_conversation(message_id, me),
        id=f"{PRESS}{query['id']}",
        update=update,
        author=presser,
        name=name,
        options=options,
        private=True,
        reply_to=message_id,
        space=presser.id,
    )


def _conversation(message_id: str, me: Me) -> ConversationKey:
    return ConversationKey(Platform.TELEGRAM, me.id, INLINE + message_id)


class InlineMode:
    """The receiving side of inline mode, for one bot."""

    def __init__(self, api: Api, catalog: Catalog, questions: InlineQuestions, settings: ChatSettings) -> None:
        self._api = api
        self._catalog = catalog
        self._questions = questions
        self._settings = settings

    async def offer(self, query: Raw, me: Me) -> None:
        """Answers what is being typed. What goes wrong costs a keystroke's results, which the next one brings."""
        asker, text = person(query["from"]), clean_text(query.get("query") or "")
        fields: dict[str, Any] = {"inline_query_id": query["id"], "is_personal": True, "cache_time": CACHE_SECONDS}
        if not text:
            hint = {"text": say("inline_hint", asker.language), "start_parameter": "help"}
            fields |= {"results": [], "button": hint, "cache_time": HINT_SECONDS}
        else:
            asked = Message(_conversation("", me), "", "", asker, text, 0.0, private=True)
            if refusal := decide_refusal(asked, self._settings):
                fields["results"] = [_refusal(say(refusal.key, asker.language, **refusal.values))]
            else:
                fields["results"] = await self._results(me, asker.id, asker.language, text)
        try:
            await self._api.call("answerinlinequery", fields)
        except TelegramError as error:
            log.debug("telegram: an inline query was not answered", cause=str(error))

    async def begun(self, incoming: Sequence[Incoming]) -> list[Incoming]:
        """What came in, with a question in place of each inline result that was sent. Raises StorageError."""
        return list(await asyncio.gather(*map(self._begun, incoming)))

    async def _begun(self, value: Incoming) -> Incoming:
        if not isinstance(value, CommandCall) or not value.conversation.inline:
            return value
        if value.name == "chat":
            text, reference = value.options["text"], value.options["model"]
            model = choosing.find_model((model.name for model in self._catalog.models), reference) or ""
        elif value.name == ASK:
            question = await self._questions.get(value.conversation.bot, value.options.get("text", ""))
            if question is None or question.asker != value.author.id:
                return value
            text, model = question.text, question.model
        else:
            return value
        options = {"text": text, "model": model} if model else {"text": text}
        return replace(value, id=INLINE_QUESTION, update=INLINE_QUESTION, name="chat", options=options, reply_to="")

    async def _results(self, me: Me, asker: str, language: str, text: str) -> list[dict[str, Any]]:
        default = self._catalog.default
        names = sorted((m.name for m in self._catalog.models), key=lambda name: default is None or name != default.name)
        rows = choosing.list_models(names[:MOST_MODELS], "", "") if len(names) > 1 else ()
        choices = [(choice.command, choice.label) for row in rows for choice in row] or [(ASK, "")]
        questions = [InlineQuestion(asker, text, model) for _, model in choices]
        try:
            await self._questions.keep(me.id, questions)
        except StorageError as error:
            # Where Telegram tells of what is sent, nobody misses it.
            log.warning("telegram: an inline question is not kept", cause=str(error))
        pairs = zip(choices, questions, strict=True)
        return [_article(reference, question, language) for (reference, _), question in pairs]


def _article(reference: str, question: InlineQuestion, language: str) -> dict[str, Any]:
    # Without a keyboard Telegram tells no id of the message that is sent.
    button = Button(say("inline_answer", language), f"{ASK} {question.digest}")
    described = say("inline_model", language, model=question.model) if question.model else ""
    return {
        "type": "article",
        "id": reference,
        "title": _cut(say("inline_ask", language, question=question.text)),
        **({"description": described} if described else {}),
        "input_message_content": {
            "message_text": f"{question.text}\n{NOTHING_YET}",
            "entities": [{"type": "blockquote", "offset": 0, "length": utf16.length(question.text)}],
            "link_preview_options": {"is_disabled": True},
        },
        **reply_markup((button,)),
    }


def _refusal(sentence: str) -> dict[str, Any]:
    return {
        "type": "article",
        "id": "refused",
        "title": _cut(sentence),
        "input_message_content": {"message_text": sentence},
    }


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
