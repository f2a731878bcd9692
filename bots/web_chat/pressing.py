"""The routes of what is pressed in a message: its buttons (``bots/pressing.py``), and the options of a quiz."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bots.buttons import command_of
from bots.pressing import Gone, Instead, Outcome, Under
from bots.web_chat import ids, translate
from bots.web_chat.outbound import presses_of
from bots.web_chat.site import Site, language_of, message_id_of, text_of
from bots.web_chat.store import StoredMessage
from core.message import CommandCall
from core.texts import say

WORD_HEADER = "X-Parley-Word"
"""What is said to who pressed, percent-encoded."""


@dataclass(frozen=True, slots=True)
class Pressing:
    """What a signed-in person presses."""

    site: Site
    _under_way: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Message and button of what is being decided. A finger that trembles presses twice."""

    def routes(self) -> list[Route]:
        at = "/c/{conversation}/messages/{message}"
        return [
            Route(f"{at}/press", self.press, methods=["POST"]),
            Route(f"{at}/vote", self.vote, methods=["POST"]),
        ]

    async def press(self, request: Request) -> Response:
        """A button under a message: one that stands there."""
        site = self.site
        user = await site.user(request)
        conversation = await site.conversation(request, user)
        message, button = message_id_of(request), text_of(await request.form(), "button")
        stored = await site.store.message(user.id, conversation.id, message)
        language = language_of(request)
        if stored is None or button not in {one.command for one in stored.buttons}:
            return _said(say("toast.old", language))
        if (message, button) in self._under_way:
            return _said(say("toast.under_way", language))
        self._under_way.add((message, button))
        try:
            name, options = command_of(button)
            call = translate.to_call(
                user,
                ids.key_of(user.id, conversation.id),
                name,
                message_id=ids.new_message_id(translate.kind_of(name), await site.store.now()),
                language=language,
                now=time.time(),
                reply_to=message,
            )
            outcome = await site.presses.decide(replace(call, options=options), _is_admin)
            if outcome.post is not None:
                await site.inbox.accept([outcome.post])
            await self._show(user.id, conversation.id, message, outcome)
        finally:
            self._under_way.discard((message, button))
        return _said("" if outcome.evident else outcome.word)

    async def vote(self, request: Request) -> Response:
        """An answer to a question of a quiz. The first one counts; every open page shows it."""
        user = await self.site.user(request)
        conversation = await self.site.conversation(request, user)
        message, option = message_id_of(request), text_of(await request.form(), "option")
        if not (option.isascii() and option.isdecimal() and len(option) < 3):
            raise HTTPException(400)
        chosen = int(option)

        def answered(found: StoredMessage) -> StoredMessage | None:
            quiz = found.quiz
            if quiz is None or quiz.chosen >= 0 or chosen >= len(quiz.options):
                return None
            return replace(found, quiz=replace(quiz, chosen=chosen))

        await self.site.store.change(user.id, conversation.id, message, answered)
        return Response(status_code=204)

    async def _show(self, user: str, conversation: str, message: str, outcome: Outcome) -> None:
        """What comes of it in the button's message."""

        def turned(found: StoredMessage) -> StoredMessage | None:
            match outcome.show:
                case Under(buttons):
                    return replace(found, buttons=presses_of(buttons))
                case Instead(text, buttons):
                    return replace(found, text=text, buttons=presses_of(buttons))
                case _:
                    return None

        if isinstance(outcome.show, Gone):
            await self.site.store.remove(user, conversation, message)
        elif outcome.show is not None:
            await self.site.store.change(user, conversation, message, turned)


async def _is_admin(call: CommandCall) -> bool:
    """Alone with the bot everybody may choose."""
    return call.private


def _said(word: str) -> Response:
    return Response(status_code=204, headers={WORD_HEADER: quote(word, safe="")} if word else None)
