"""Inline mode and reactions as people play them, and the server's side of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.telegram_text import Json, accepted, bad
from tests.platforms.telegram_world import Chat, Post, World

MAX_QUERY = 256


@dataclass(slots=True)
class Query:
    """What someone has typed after the bot's name, and what they were shown for it."""

    user: int
    text: str
    answer: Json | None = None
    """The fields of answerInlineQuery."""


@dataclass(slots=True)
class Inline:
    """Messages that were sent by inline results; they lie in chats that the bot does not know."""

    world: World
    feedback: bool = True
    """The setting at @BotFather: the bot is told which result was sent."""
    queries: dict[str, Query] = field(default_factory=dict[str, Query])
    posts: dict[str, Post] = field(default_factory=dict[str, Post])

    @property
    def by_name(self) -> dict[str, Callable[[Json], Any]]:
        """The methods of the Bot API that are about nothing else."""
        return {"answerInlineQuery": self._answer}

    # ---- playing

    def type(self, user: int, text: str) -> str:
        """Types after the bot's name; the query's id."""
        id = str(7 * 10**17 + len(self.queries))
        self.queries[id] = Query(user, text)
        sender = self.world.person(user)
        self.world.push(
            "inline_query", {"id": id, "from": sender, "query": text[:MAX_QUERY], "offset": "", "chat_type": "group"}
        )
        return id

    def send(self, query: str, result: int = 0) -> str:
        """Sends one of the results; the message's id."""
        asked = self.queries[query]
        assert asked.answer is not None, "nothing is shown yet"
        chosen = asked.answer["results"][result]
        content, markup = chosen["input_message_content"], chosen.get("reply_markup")
        text, entities = accepted(content["message_text"], content.get("entities", ()))
        id = f"AgAAAE{len(self.posts):04d}_Kd3-xQ"
        place = Chat(-(10**15) - len(self.posts), "private", "A chat without the bot")
        post = Post(place, 1, self.world.person(asked.user), text, entities, markup=markup)
        post.keep()
        self.posts[id] = post
        if self.feedback:
            told = {"inline_message_id": id} if markup else {}
            sender = self.world.person(asked.user)
            self.world.push(
                "chosen_inline_result",
                {"result_id": chosen["id"], "from": sender, "query": asked.text[:MAX_QUERY], **told},
            )
        return id

    def press(self, message: str, data: str, user: int) -> str:
        """Presses a button under an inline message; the query's id."""
        post = self.posts[message]
        shown = [button for row in (post.markup or {"inline_keyboard": []})["inline_keyboard"] for button in row]
        assert data in [button.get("callback_data") for button in shown], f"there is no such button: {shown}"
        query = str(5 * 10**17 + len(self.world.queries))
        self.world.queries[query] = {}
        self.world.push(
            "callback_query",
            {
                "id": query,
                "from": self.world.person(user),
                "chat_instance": "1",
                "data": data,
                "inline_message_id": message,
            },
        )
        return query

    def buttons(self, message: str) -> list[Json]:
        """The buttons under an inline message."""
        markup = self.posts[message].markup
        return [button for row in markup["inline_keyboard"] for button in row] if markup else []

    # ---- for the methods

    def own(self, message: str) -> Post:
        """The message with that id; raises Refusal."""
        post = self.posts.get(message)
        if post is None or post.deleted:
            raise bad("MESSAGE_ID_INVALID")
        return post

    def _answer(self, fields: Json) -> bool:
        query = self.queries.get(fields["inline_query_id"])
        if query is None or query.answer is not None:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        for result in fields["results"]:
            content = result.get("input_message_content", {})
            if "message_text" in content:
                accepted(content["message_text"], content.get("entities", ()))
        query.answer = fields
        return True


def react(world: World, chat: int, message: int, *emoji: str, user: int = 0, date: int = 0) -> None:
    """Leaves these emoji at a message, in place of those that the person left there before. In a group the bot is told
    of it where it is an administrator."""
    place = world.chat(chat)
    who = user or chat
    post = place.posts[message]
    before, post.reactions[who] = post.reactions.get(who, ()), emoji
    if place.type == "private" or world.me["id"] in place.admins:
        world.push(
            "message_reaction",
            {
                "chat": place.to_json(),
                "message_id": message,
                "user": world.person(who),
                "date": date or int(time.time()),
                "old_reaction": [{"type": "emoji", "emoji": one} for one in before],
                "new_reaction": [{"type": "emoji", "emoji": one} for one in emoji],
            },
        )
