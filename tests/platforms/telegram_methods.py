"""The methods of the Bot API that a chat bot uses, with the real server's rules and refusals."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.platforms import telegram_groups, telegram_rich
from tests.platforms.telegram_files import Files
from tests.platforms.telegram_inline import Inline
from tests.platforms.telegram_moderation import Moderation, is_deletable
from tests.platforms.telegram_profile import Profile
from tests.platforms.telegram_text import MAX_CAPTION, Json, Refusal, accepted, bad
from tests.platforms.telegram_world import Chat, Draft, Post, World


@dataclass(slots=True)
class Flood:
    """The flood limits, off unless switched on, and chats that are throttled. Failing calls do not count."""

    on: bool = False
    chat_rate: float = 1.0
    chat_burst: int = 3
    group_per_minute: int = 20
    overall_per_second: int = 30
    _buckets: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    _groups: defaultdict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _overall: deque[float] = field(default_factory=deque[float])
    _throttled: dict[int, tuple[float, int]] = field(default_factory=dict[int, tuple[float, int]])

    def throttle(self, chat: int, seconds: float, told: int = 3600) -> None:
        """This chat answers every call with 429 for so long, and tells to retry after ``told`` seconds at most."""
        self._throttled[chat] = (time.monotonic() + seconds, told)

    def check(self, chat: int) -> None:
        """Any call to the chat; raises the 429 while it is throttled."""
        until, told = self._throttled.get(chat, (0.0, 0))
        wait = until - time.monotonic()
        if wait > 0:
            raise flooded(min(told, math.ceil(wait)))

    def draw(self, chat: Chat) -> None:
        """One message or edit; raises the 429."""
        if not self.on:
            return
        now = time.monotonic()
        tokens, last = self._buckets.get(chat.id, (float(self.chat_burst), now))
        tokens = min(float(self.chat_burst), tokens + (now - last) * self.chat_rate)
        wait = (1 - tokens) / self.chat_rate if tokens < 1 else 0.0
        if chat.type != "private":
            wait = max(wait, _window(self._groups[chat.id], now, 60.0, self.group_per_minute))
        wait = max(wait, _window(self._overall, now, 1.0, self.overall_per_second))
        if wait > 0:
            seconds = max(1, int(wait + 0.999))
            raise flooded(seconds)
        self._buckets[chat.id] = (tokens - 1, now)
        self._overall.append(now)
        if chat.type != "private":
            self._groups[chat.id].append(now)


def flooded(seconds: int) -> Refusal:
    return Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


def _window(times: deque[float], now: float, seconds: float, most: int) -> float:
    while times and times[0] <= now - seconds:
        times.popleft()
    return times[0] + seconds - now if len(times) >= most else 0.0


class Methods:
    """What each method does to the world. Raises Refusal."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flood = Flood()
        self.files = Files(world, self._chat, self._put)
        self.profile = Profile(world)
        self.inline = Inline(world)
        self.moderation = Moderation(world, self._chat)
        self.by_name: dict[str, Callable[[Json], Any]] = {
            "getMe": lambda fields: self.world.me,
            "sendMessage": self._send_message,
            "sendPoll": self._send_poll,
            "sendMessageDraft": self._draft,
            "sendRichMessage": self._send_rich,
            "sendRichMessageDraft": self._draft,
            "editMessageText": self._edit_text,
            "editMessageCaption": self._edit_caption,
            "editMessageReplyMarkup": self._edit_markup,
            "deleteMessage": self._delete,
            "sendChatAction": self._action,
            "answerCallbackQuery": self._answer,
            "getChatAdministrators": self._administrators,
            "getChatMember": self._member,
            **self.files.by_name,
            **self.profile.by_name,
            **self.inline.by_name,
            **self.moderation.by_name,
        }

    def _chat(self, fields: Json) -> Chat:
        chat = self.world.chats.get(fields["chat_id"])
        if chat is None:
            raise bad("chat not found")
        self.flood.check(chat.id)
        if chat.blocked:
            why = "blocked by the user" if chat.type == "private" else f"kicked from the {chat.type} chat"
            raise Refusal(403, f"Forbidden: bot was {why}")
        if chat.moved_to:
            raise Refusal(
                400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": chat.moved_to}
            )
        return chat

    def _put(self, chat: Chat, fields: Json, **content: Any) -> Json:
        reply = fields.get("reply_parameters", {})
        reply_to = reply.get("message_id", 0)
        replied = chat.posts.get(reply_to)
        if reply_to and (replied is None or replied.deleted):
            if not reply.get("allow_sending_without_reply"):
                raise bad("message to be replied not found")
            reply_to = 0
        thread = fields.get("message_thread_id", 0)
        if thread and not (chat.type == "private" or (chat.forum and thread in chat.posts)):
            raise bad("message thread not found")
        telegram_groups.check_rights(chat, content.get("media", {}), thread)
        markup = fields.get("reply_markup")
        self.flood.draw(chat)
        post = Post(chat, self.world.next_id(chat), self.world.me, markup=markup, **content)
        post.reply_to, post.thread = reply_to, thread
        post.keep()
        chat.posts[post.id] = post
        chat.ours.add(post.id)
        return post.to_json()

    def _send_message(self, fields: Json) -> Json:
        chat = self._chat(fields)
        text, entities = accepted(fields["text"], fields.get("entities", ()))
        return self._put(chat, fields, text=text, entities=entities)

    def _send_rich(self, fields: Json) -> Json:
        rich = telegram_rich.read(fields["rich_message"])
        return self._put(self._chat(fields), fields, text=rich.text, rich=rich.html)

    def _send_poll(self, fields: Json) -> Json:
        chat = self._chat(fields)
        options = [option["text"] for option in fields["options"]]
        is_quiz = fields.get("type") == "quiz"
        right: list[int] = fields.get("correct_option_ids") or []
        for what, text, least, most in (
            ("POLL_QUESTION", fields["question"], 1, 300),
            *(("POLL_OPTION", option, 1, 100) for option in options),
            ("POLL_EXPLANATION", fields.get("explanation", ""), 0, 200),
        ):
            if not least <= len(text.encode("utf-16-le")) // 2 <= most:
                raise bad(f"{what}_INVALID")
        if not 1 <= len(options) <= 12 or len(set(options)) != len(options):
            raise bad("POLL_OPTION_DUPLICATE")
        if is_quiz and not (right and all(0 <= one < len(options) for one in right)):
            raise bad("QUIZ_CORRECT_ANSWERS_EMPTY")
        poll: Json = {
            "id": str(self.world.next_id(chat)),
            "question": fields["question"],
            "options": [{"persistent_id": str(n), "text": text, "voter_count": 0} for n, text in enumerate(options)],
            "total_voter_count": 0,
            "is_closed": False,
            "is_anonymous": fields.get("is_anonymous", True),
            "type": fields.get("type", "regular"),
            "allows_multiple_answers": False,
            "allows_revoting": False,
            "correct_option_ids": right,
            "explanation": fields.get("explanation", ""),
        }
        return self._put(chat, fields, media={"poll": poll})

    def _draft(self, fields: Json) -> bool:
        chat = self._chat(fields)
        if chat.type != "private":
            raise bad("method is available only in private chats")
        text, rich, entities = "", "", list[Json]()
        if "rich_message" in fields:
            read = telegram_rich.read(fields["rich_message"])
            text, rich = read.text, read.html
        elif fields.get("text"):
            text, entities = accepted(fields["text"], fields.get("entities", ()))
        thread = fields.get("message_thread_id", 0)
        can_stop = fields.get("can_stop", False)
        chat.drafts.append(Draft(time.time(), fields["draft_id"], thread, text, entities, rich, can_stop))
        return True

    def _own(self, fields: Json) -> Post:
        if "inline_message_id" in fields:
            return self.inline.own(fields["inline_message_id"])
        post = self._chat(fields).posts.get(fields["message_id"])
        if post is None or post.deleted:
            raise bad("message to edit not found")
        if not post.by_bot:
            raise bad("message can't be edited")
        return post

    def _edit_text(self, fields: Json) -> Json | bool:
        post = self._own(fields)
        if post.media:
            raise bad("there is no text in the message to edit")
        if "rich_message" in fields:
            rich = telegram_rich.read(fields["rich_message"])
            return self._edited(post, rich.text, [], fields.get("reply_markup"), rich.html)
        return self._edited(post, *accepted(fields["text"], fields.get("entities", ())), fields.get("reply_markup"))

    def _edit_caption(self, fields: Json) -> Json | bool:
        post = self._own(fields)
        if not post.media:
            raise bad("there is no caption in the message to edit")
        text, entities = "", list[Json]()
        if fields.get("caption"):
            try:
                text, entities = accepted(fields["caption"], fields.get("caption_entities", ()), MAX_CAPTION)
            except Refusal as refusal:
                # A caption that is too long is how Parley looks for messages (bots/telegram_bot/finding.py).
                raise bad(refusal.description.removeprefix("Bad Request: ")) from None
        return self._edited(post, text, entities, fields.get("reply_markup"))

    def _edit_markup(self, fields: Json) -> Json | bool:
        post = self._own(fields)
        return self._edited(post, post.text, post.entities, fields.get("reply_markup"), post.rich)

    def _edited(self, post: Post, text: str, entities: list[Json], markup: Json | None, rich: str = "") -> Json | bool:
        """The message; of an inline one only that it is done."""
        if (post.text, post.entities, post.markup, post.rich) == (text, entities, markup, rich):
            raise bad(
                "message is not modified: specified new message content and reply markup are exactly the same "
                "as a current content and reply markup of the message"
            )
        self.flood.draw(post.chat)
        post.text, post.entities, post.markup, post.rich = text, entities, markup, rich
        post.keep()
        return post.to_json() if post.chat.id in self.world.chats else True

    def _delete(self, fields: Json) -> bool:
        post = self._chat(fields).posts.get(fields["message_id"])
        if post is None or post.deleted:
            raise bad("message to delete not found")
        if not is_deletable(post):
            raise bad("message can't be deleted")
        post.deleted = True
        return True

    def _action(self, fields: Json) -> bool:
        self._chat(fields).actions.append((time.time(), fields["action"]))
        return True

    def _answer(self, fields: Json) -> bool:
        query = self.world.queries.get(fields["callback_query_id"])
        if query is None:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        query |= {"answered": time.time(), "text": fields.get("text", "")}
        return True

    def _administrators(self, fields: Json) -> list[Json]:
        return telegram_groups.administrators(self.world, self._chat(fields))

    def _member(self, fields: Json) -> Json:
        return telegram_groups.one_member(self.world, self._chat(fields), fields["user_id"])
