"""What Telegram knows: chats, messages with their history, people who write, and the updates that wait."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.telegram_schema import NEWER_UPDATES, unknown_fields
from tests.platforms.telegram_text import Json, detected

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005"
    "0001ff56c72f0d0000000049454e44ae426082"
)
DRAFT_SECONDS = 30.0
PERMISSIONS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_react_to_messages",
    "can_edit_tag",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
)


@dataclass(slots=True)
class Post:
    """A message: as it is now, and every text it had, with its time."""

    chat: Chat
    id: int
    sender: Json
    text: str = ""
    entities: list[Json] = field(default_factory=list[Json])
    media: Json = field(default_factory=dict[str, Any])
    extra: Json = field(default_factory=dict[str, Any])
    rich: str = ""
    """The HTML of a rich message; ``text`` is then what is to be read in it."""
    markup: Json | None = None
    reply_to: int = 0
    thread: int = 0
    deleted: bool = False
    date: float = field(default_factory=time.time)
    history: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    reactions: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    """By person."""

    @property
    def by_bot(self) -> bool:
        return self.id in self.chat.ours

    def keep(self) -> None:
        self.history.append((time.time(), self.text))

    def to_json(self, *, deep: bool = True) -> Json:
        out: Json = {
            "message_id": self.id,
            # Whoever writes in a channel writes as the channel.
            **({"sender_chat": self.chat.to_json()} if self.chat.type == "channel" else {"from": self.sender}),
            "chat": self.chat.to_json(),
            "date": int(self.date),
            **self.media,
            **self.extra,
        }
        if self.rich:
            out["rich_message"] = {"blocks": [{"type": "paragraph", "text": self.text}]}
        elif self.text:
            name = "caption" if self.media else "text"
            out[name] = self.text
            if self.entities:
                out["caption_entities" if self.media else "entities"] = self.entities
        if len(self.history) > 1:
            out["edit_date"] = int(self.history[-1][0])
        if self.markup:
            out["reply_markup"] = self.markup
        if self.thread:
            out |= {"message_thread_id": self.thread, "is_topic_message": True}
        replied = self.reply_to or self.thread
        if deep and replied in self.chat.posts:
            out["reply_to_message"] = self.chat.posts[replied].to_json(deep=False)
        return out


@dataclass(frozen=True, slots=True)
class Draft:
    """A preview as it was sent."""

    time: float
    id: int
    thread: int
    text: str
    entities: list[Json]
    rich: str = ""
    can_stop: bool = False


@dataclass(slots=True)
class Chat:
    id: int
    type: str
    title: str
    forum: bool = False
    blocked: bool = False
    """The person blocked the bot, or the group threw it out."""
    moved_to: int = 0
    """The group became this supergroup."""
    forbidden: set[str] = field(default_factory=set[str])
    """What the bot may not send there: a value of ``telegram_groups.KINDS``, or text messages."""
    closed_topics: set[int] = field(default_factory=set[int])
    slow_until: float = 0.0
    """Of slow mode, by ``time.monotonic``: before, the bot may not write."""
    gone: set[int] = field(default_factory=set[int])
    """People who have left."""
    admins: set[int] = field(default_factory=set[int])
    """To whom it belongs."""
    moderators: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    """Other administrators, with the rights that they have."""
    rights: tuple[str, ...] | None = None
    """The bot is an administrator with these; None: a plain member."""
    people: dict[int, Json] = field(default_factory=dict[int, Json])
    """Who came by joining, and may have written nothing."""
    permissions: Json = field(default_factory=lambda: dict.fromkeys(PERMISSIONS, True))
    """What everybody may do."""
    restricted: dict[int, tuple[Json, int]] = field(default_factory=dict[int, tuple[Json, int]])
    """What people may do who may not do all, until when; 0: for good."""
    banned: dict[int, int] = field(default_factory=dict[int, int])
    """People, also channels that write as themselves, until when; 0: for good."""
    asked: dict[int, Json] = field(default_factory=dict[int, Json])
    """Who asked to be let in."""
    pinned: list[int] = field(default_factory=list[int])
    """The newest last."""
    linked: int = 0
    """The channel whose discussion group it is."""
    invite_link: str = ""
    """The bot's own."""
    posts: dict[int, Post] = field(default_factory=dict[int, Post])
    ours: set[int] = field(default_factory=set[int])
    drafts: list[Draft] = field(default_factory=list[Draft])
    actions: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def to_json(self) -> Json:
        name = {"first_name": self.title} if self.type == "private" else {"title": self.title}
        return {"id": self.id, "type": self.type, **name, **({"is_forum": True} if self.forum else {})}


class World:
    """People play here; the methods of the Bot API act here too. Every play returns the message id."""

    def __init__(self, me: Json) -> None:
        self.me = me
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.queries: dict[str, Json] = {}
        self.pending: dict[int, Json] = {}
        self.arrived = asyncio.Event()
        self.allowed: list[str] | None = None
        self._private_ids = itertools.count(1)
        self._update_ids = itertools.count(1000)
        self._others = itertools.count(1)

    # ---- looking

    def shown(self, chat: int) -> list[Post]:
        """The bot's messages that stand in the chat."""
        return [post for post in self.chat(chat).posts.values() if post.by_bot and not post.deleted]

    def texts(self, chat: int) -> list[str]:
        return [post.text for post in self.shown(chat)]

    def preview(self, chat: int) -> str:
        """The draft that the person sees now; empty when there is none. The bot's next message ends it."""
        drafts = self.chat(chat).drafts
        since = max((post.date for post in self.shown(chat)), default=0.0)
        return drafts[-1].text if drafts and drafts[-1].time > max(since, time.time() - DRAFT_SECONDS) else ""

    # ---- playing

    def begin_at(self, number: int) -> None:
        """Numbers messages and updates from there on: another world came before this one."""
        self._private_ids = itertools.count(number)
        self._update_ids = itertools.count(number)

    def chat(self, chat: int) -> Chat:
        if chat not in self.chats:
            self.chats[chat] = Chat(chat, "private", f"Person {chat}")
        return self.chats[chat]

    def group(self, chat: int, title: str = "Chess Club", *, forum: bool = False) -> Chat:
        kind = "supergroup" if str(chat).startswith("-100") else "group"
        self.chats[chat] = Chat(chat, kind, title, forum)
        if forum:
            # The general topic has the number of the group's first message.
            self.next_id(self.chats[chat])
        return self.chats[chat]

    def channel(self, chat: int, title: str = "News") -> Chat:
        """One where the bot is an admin. ``text`` publishes a post in it."""
        self.chats[chat] = Chat(chat, "channel", title)
        return self.chats[chat]

    def forwarded(self, group: int, channel: int, post: int) -> int:
        """A channel's post as it comes to the group that is linked with the channel; comments are replies to it."""
        source = self.chat(channel).to_json()
        origin = {"type": "channel", "date": int(time.time()), "chat": source, "message_id": post}
        told: Json = {"is_automatic_forward": True, "sender_chat": source, "forward_origin": origin}
        return self.text(group, self.chat(channel).posts[post].text, user=777000, **told)

    def topic(self, chat: int, name: str, user: int = 1) -> int:
        post = self._post(chat, user, extra={"forum_topic_created": {"name": name, "icon_color": 7322096}})
        post.thread = post.id
        return self._told(post)

    def text(
        self,
        chat: int,
        text: str,
        *,
        user: int = 0,
        reply_to: int = 0,
        thread: int = 0,
        is_bot: bool = False,
        entities: list[Json] | None = None,
        **extra: Any,
    ) -> int:
        """``entities`` in place of those that the server finds; ``extra`` are more fields of the message."""
        post = self._post(chat, user, text, reply_to=reply_to, thread=thread, is_bot=is_bot, extra=extra)
        if entities is not None:
            post.entities = entities
        return self._told(post)

    def edit(self, chat: int, message: int, text: str) -> int:
        post = self.chat(chat).posts[message]
        post.text, post.entities = text, detected(text)
        post.keep()
        return self._told(post, "edited_message")

    def album(self, chat: int, *captions: str, **more: Any) -> list[int]:
        """A photo for each caption; every one comes with an update of its own."""
        name = str(13 * 10**15 + next(self._others))
        return [self.photo(chat, caption, extra={"media_group_id": name}, **more) for caption in captions]

    def photo(self, chat: int, caption: str = "", data: bytes = PNG, **more: Any) -> int:
        sizes = [self.file("photo", data, width=size, height=size) for size in (90, 320, 800)]
        return self._told(self._post(chat, text=caption, media={"photo": sizes}, **more))

    def document(
        self, chat: int, data: bytes, name: str, mime: str, caption: str = "", size: int | None = None, **more: Any
    ) -> int:
        file = self.file("document", data, file_name=name, mime_type=mime)
        if size is not None:
            file["file_size"] = size
        return self._told(self._post(chat, text=caption, media={"document": file}, **more))

    def voice(self, chat: int, caption: str = "", seconds: int = 2, **more: Any) -> int:
        file = self.file("voice", b"OggS", mime_type="audio/ogg", duration=seconds)
        return self._told(self._post(chat, text=caption, media={"voice": file}, **more))

    def sticker(self, chat: int, **more: Any) -> int:
        file = self.file("sticker", b"RIFF", width=512, height=512, is_animated=False, is_video=False, emoji="👍")
        return self._told(self._post(chat, media={"sticker": {**file, "type": "regular"}}, **more))

    def press(self, chat: int, message: int, data: str, user: int = 0) -> str:
        """Presses a button; the query's id, under which ``queries`` has the bot's answer."""
        query = str(4 * 10**17 + next(self._others))
        self.queries[query] = {}
        post = self.chat(chat).posts[message]
        self.push(
            "callback_query",
            {
                "id": query,
                "from": self.person(user or chat),
                "chat_instance": str(chat),
                "data": data,
                "message": post.to_json(),
            },
        )
        return query

    def stop(self, chat: int) -> int:
        """Presses Telegram's own Stop button under the newest preview; the update's id."""
        place = self.chat(chat)
        draft = place.drafts[-1]
        assert draft.can_stop, "there is no button"
        thread = {"message_thread_id": draft.thread} if draft.thread else {}
        stopped = {"chat": place.to_json(), "draft_id": draft.id, **thread}
        return self.push("stopped_message_generation", stopped)

    def push(self, kind: str, value: Json) -> int:
        """Any update; its id."""
        unknown = unknown_fields({kind: value}) if kind not in NEWER_UPDATES else set[str]()
        assert not unknown, f"Telegram would never send {sorted(unknown)}"
        number = next(self._update_ids)
        if self.allowed is None or kind in self.allowed:
            self.pending[number] = {"update_id": number, kind: value}
            self.arrived.set()
        return number

    def person(self, user: int, *, is_bot: bool = False) -> Json:
        return {
            "id": user,
            "is_bot": is_bot,
            "first_name": "Ann",
            "last_name": f"Lee {user}",
            "username": f"user{user}",
            "language_code": "en",
        }

    def _post(
        self,
        chat: int,
        user: int = 0,
        text: str = "",
        *,
        media: Json | None = None,
        reply_to: int = 0,
        thread: int = 0,
        is_bot: bool = False,
        extra: Json | None = None,
    ) -> Post:
        place = self.chat(chat)
        sender = self.person(user or (chat if place.type == "private" else 1), is_bot=is_bot)
        post = Post(place, self.next_id(place), sender, text, detected(text), media or {}, extra or {})
        post.reply_to, post.thread = reply_to, thread
        post.keep()
        place.posts[post.id] = post
        return post

    def _told(self, post: Post, kind: str = "message") -> int:
        if post.chat.type == "channel":
            kind = {"message": "channel_post", "edited_message": "edited_channel_post"}[kind]
        self.push(kind, post.to_json())
        return post.id

    # ---- for both sides

    def next_id(self, chat: Chat) -> int:
        """One counter for private chats and basic groups, one for each supergroup."""
        return next(chat.ids if chat.type in ("supergroup", "channel") else self._private_ids)

    def file(self, kind: str, data: bytes, **more: Any) -> Json:
        number = next(self._others)
        file_id = f"{kind}-{number}"
        self.files[file_id] = (f"{kind}s/file_{number}", data)
        return {"file_id": file_id, "file_unique_id": f"u{number}", "file_size": len(data), **more}
