"""What happens to a bot's place in a group, and what it may do there."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from tests.platforms import telegram_moderation
from tests.platforms.telegram_text import Json, Refusal, bad
from tests.platforms.telegram_world import Chat, World

KINDS = {
    "photo": "photos",
    "document": "documents",
    "animation": "GIFs",
    "audio": "music",
    "video": "videos",
    "voice": "voice messages",
    "poll": "polls",
}
"""What the server calls files of each kind in its refusals."""


def check_rights(chat: Chat, media: Json, thread: int = 0) -> None:
    """Raises Refusal for what the bot may not send there."""
    if chat.type == "private":
        return
    if thread in chat.closed_topics:
        raise bad("TOPIC_CLOSED")
    kinds = [KINDS[name] for name in media if name in KINDS] or ["text messages"]
    for kind in kinds:
        if kind in chat.forbidden:
            raise bad(f"not enough rights to send {kind} to the chat")
    if (wait := chat.slow_until - time.monotonic()) > 0:
        seconds = math.ceil(wait)
        raise Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


def move(world: World, old: int, new: int, told: tuple[str, ...] = ("old", "new")) -> Chat:
    """The group becomes a supergroup. ``told``: in which of the two chats the service message comes, in which order."""
    group = world.chat(old)
    there = world.group(new, group.title)
    group.moved_to = new
    for chat in told:
        if chat == "old":
            world.text(old, "", user=1, migrate_to_chat_id=new)
        else:
            world.text(new, "", user=1, migrate_from_chat_id=old)
    return there


def member(world: World, chat: int, before: str, after: str, *, user: int = 1, is_bot: bool = False) -> int:
    """The bot's own place changes: ``left``, ``kicked``, ``member``, ``administrator``. The update's id."""
    place = world.chat(chat)
    place.blocked = after in ("left", "kicked")
    changed: Json = {
        "chat": place.to_json(),
        "from": world.person(user, is_bot=is_bot),
        "date": int(time.time()),
        "old_chat_member": _member(world, before),
        "new_chat_member": _member(world, after),
    }
    return world.push("my_chat_member", changed)


def administrators(world: World, chat: Chat) -> list[Json]:
    """As the server gives them."""
    if chat.type == "private":
        raise bad("there are no administrators in the private chat")
    found = [{"status": "creator", "user": world.person(user), "is_anonymous": False} for user in sorted(chat.admins)]
    found += [_administrator(world.person(user), rights) for user, rights in sorted(chat.moderators.items())]
    if chat.rights is not None:
        found.append(_administrator(_me(world), chat.rights))
    return found


def one_member(world: World, chat: Chat, user: int) -> Json:
    """Anybody, as the server gives them. Raises Refusal for who has never been seen."""
    for one in administrators(world, chat):
        if one["user"]["id"] == user:
            return one
    if user == world.me["id"]:
        return _member(world, "member")
    return telegram_moderation.standing(chat, user)


def delete_topic(world: World, chat: int, thread: int) -> None:
    """With all that stands in it."""
    for post in world.chat(chat).posts.values():
        post.deleted = post.deleted or post.thread == thread
    del world.chat(chat).posts[thread]


def _me(world: World) -> Json:
    return {key: value for key, value in world.me.items() if key in ("id", "is_bot", "first_name", "username")}


def _administrator(user: Json, rights: Sequence[str]) -> Json:
    held = {name: name in rights for name in RIGHTS}
    return {"status": "administrator", "user": user, "can_be_edited": False, "is_anonymous": False, **held}


def _member(world: World, status: str) -> Json:
    held: Json = {"status": status, "user": _me(world)}
    if status == "kicked":
        held["until_date"] = 0
    if status == "administrator":
        held |= {"can_be_edited": False, "is_anonymous": False} | dict.fromkeys(RIGHTS, True)
    return held


RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
