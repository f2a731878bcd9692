"""What is done to people and groups: restrictions, bans, permissions, pins, requests to join. With what people do there
that a bot is told of as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.platforms.telegram_text import Json, bad, wrong
from tests.platforms.telegram_world import PERMISSIONS, Chat, Post, World

SHORTEST, LONGEST = 30, 366 * 86400
"""Seconds. What ends sooner or later than that lasts for good."""
DELETABLE_SECONDS = 48 * 3600
_INHERIT = {
    "can_react_to_messages": "can_send_messages",
    "can_edit_tag": "can_pin_messages",
    "can_manage_topics": "can_pin_messages",
}
"""Permissions that are taken from others where they are not named."""
EVERYTHING = ("can_restrict_members", "can_delete_messages", "can_pin_messages", "can_invite_users", "can_change_info")
"""Rights of a bot that may do all that it can."""


def standing(chat: Chat, user: int) -> Json:
    """Somebody who is no administrator, as the server gives them. Raises Refusal for who has never been seen."""
    known = {post.sender["id"]: post.sender for post in chat.posts.values()} | chat.people
    if user not in known:
        raise bad("user not found")
    who, is_here = known[user], user not in chat.gone
    if user in chat.banned:
        if _holds(chat.banned[user]):
            return {"status": "kicked", "user": who, "until_date": chat.banned[user]}
        del chat.banned[user]
    if user in chat.restricted:
        rights, until = chat.restricted[user]
        if _holds(until):
            return {"status": "restricted", "user": who, "is_member": is_here, **rights, "until_date": until}
        del chat.restricted[user]
    return {"status": "member" if is_here else "left", "user": who}


def is_deletable(post: Post) -> bool:
    """By the bot."""
    chat = post.chat
    if chat.type == "private":
        return True
    if post.date < time.time() - DELETABLE_SECONDS:
        return False
    may = chat.rights is not None and (chat.type == "group" or "can_delete_messages" in chat.rights)
    return post.by_bot or may


# ---- what people do


def join(world: World, chat: int, user: int, *, by: int = 0, is_bot: bool = False, told: str = "chat_member") -> None:
    """``by`` added them. ``told``: the update that an administrator gets, the ``message`` that all get, or ``both``."""
    place = world.chat(chat)
    place.people.setdefault(user, world.person(user, is_bot=is_bot))
    before = standing(place, user) if user in place.gone else {"status": "left", "user": place.people[user]}
    place.gone.discard(user)
    after = standing(place, user)
    _told(world, place, by or user, (before, after), {"new_chat_members": [place.people[user]]}, told)


def leave(world: World, chat: int, user: int, *, by: int = 0, told: str = "chat_member") -> None:
    """``by`` threw them out."""
    place = world.chat(chat)
    before = standing(place, user)
    place.gone.add(user)
    _told(world, place, by or user, (before, standing(place, user)), {"left_chat_member": before["user"]}, told)


def ask(world: World, chat: int, user: int, bio: str = "") -> int:
    """Somebody asks to be let in; the update's id."""
    place = world.chat(chat)
    place.asked[user] = world.person(user)
    request = {"chat": place.to_json(), "from": world.person(user), "user_chat_id": user, "date": int(time.time())}
    return world.push("chat_join_request", request | ({"bio": bio} if bio else {}))


def react(world: World, chat: int, message: int, user: int, *emoji: str) -> int:
    """They show these under a message from now on; the update's id."""
    place = world.chat(chat)
    post = place.posts[message]
    before = post.reactions.get(user, ())
    post.reactions[user] = emoji
    changed = {
        "chat": place.to_json(),
        "message_id": message,
        "user": world.person(user),
        "date": int(time.time()),
        "old_reaction": [{"type": "emoji", "emoji": one} for one in before],
        "new_reaction": [{"type": "emoji", "emoji": one} for one in emoji],
    }
    return world.push("message_reaction", changed)


def _told(world: World, chat: Chat, by: int, change: tuple[Json, Json], service: Json, told: str) -> None:
    if told in ("chat_member", "both"):
        before, after = change
        value = {"chat": chat.to_json(), "from": world.person(by), "date": int(time.time())}
        world.push("chat_member", value | {"old_chat_member": before, "new_chat_member": after})
    if told in ("message", "both"):
        world.text(chat.id, "", user=by, **service)


def _holds(until: int) -> bool:
    return until == 0 or until > time.time()


def _until(fields: Json) -> int:
    given = fields.get("until_date", 0)
    return given if SHORTEST <= given - time.time() <= LONGEST else 0


class Moderation:
    """The methods. Raises Refusal."""

    def __init__(self, world: World, chat: Callable[[Json], Chat]) -> None:
        self._world = world
        self._chat = chat
        self.by_name: dict[str, Callable[[Json], Any]] = {
            "getChat": self._get,
            "restrictChatMember": self._restrict,
            "banChatMember": self._ban,
            "unbanChatMember": self._unban,
            "banChatSenderChat": self._ban_chat,
            "unbanChatSenderChat": self._unban_chat,
            "setChatPermissions": self._permit,
            "deleteMessages": self._delete,
            "deleteAllMessageReactions": self._clear,
            "pinChatMessage": self._pin,
            "unpinChatMessage": self._unpin,
            "approveChatJoinRequest": lambda fields: self._decide(fields, True),
            "declineChatJoinRequest": lambda fields: self._decide(fields, False),
        }

    def _get(self, fields: Json) -> Json:
        chat = self._chat(fields)
        out = {**chat.to_json(), "accent_color_id": 1, "max_reaction_count": 11, "permissions": dict(chat.permissions)}
        if chat.linked:
            out["linked_chat_id"] = chat.linked
        if chat.invite_link:
            out["invite_link"] = chat.invite_link
        if chat.pinned:
            out["pinned_message"] = chat.posts[chat.pinned[-1]].to_json(deep=False)
        return out

    def _restrict(self, fields: Json) -> bool:
        chat, user = self._chat(fields), fields["user_id"]
        if chat.type != "supergroup":
            raise bad("method is available only for supergroups")
        self._may(chat, "can_restrict_members", "not enough rights to restrict/unrestrict chat member")
        self._target(chat, user, "user is an administrator of the chat")
        rights = _rights(fields)
        if user in chat.banned:
            del chat.banned[user]
            chat.gone.add(user)
        chat.restricted.pop(user, None)
        if not all(rights.values()):
            chat.restricted[user] = rights, _until(fields)
        return True

    def _ban(self, fields: Json) -> bool:
        chat, user = self._chat(fields), fields["user_id"]
        self._may(chat, "can_restrict_members", "not enough rights to restrict/unrestrict chat member")
        self._target(chat, user, "can't remove chat owner")
        chat.restricted.pop(user, None)
        chat.gone.add(user)
        if chat.type != "group":
            chat.banned[user] = _until(fields)
        return True

    def _unban(self, fields: Json) -> bool:
        chat, user = self._chat(fields), fields["user_id"]
        if chat.type == "group":
            raise bad("method is available for supergroup and channel chats only")
        self._may(chat, "can_restrict_members", "not enough rights to restrict/unrestrict chat member")
        if fields.get("only_if_banned") and user not in chat.banned:
            return True
        self._target(chat, user, "can't remove chat owner")
        chat.banned.pop(user, None)
        chat.restricted.pop(user, None)
        chat.gone.add(user)
        return True

    def _ban_chat(self, fields: Json) -> bool:
        chat = self._chat(fields)
        self._may(chat, "can_restrict_members", "not enough rights to ban chat sender")
        chat.banned[fields["sender_chat_id"]] = 0
        return True

    def _unban_chat(self, fields: Json) -> bool:
        chat = self._chat(fields)
        self._may(chat, "can_restrict_members", "not enough rights to ban chat sender")
        chat.banned.pop(fields["sender_chat_id"], None)
        return True

    def _permit(self, fields: Json) -> bool:
        chat, rights = self._chat(fields), _rights(fields)
        self._may(chat, "can_restrict_members", "not enough rights to change chat permissions")
        if rights == chat.permissions:
            raise bad("CHAT_NOT_MODIFIED")
        chat.permissions = rights
        return True

    def _delete(self, fields: Json) -> bool:
        chat = self._chat(fields)
        posts = [chat.posts[id] for id in fields["message_ids"] if id in chat.posts]
        standing_ones = [post for post in posts if not post.deleted]
        if not all(map(is_deletable, standing_ones)):
            raise bad("message can't be deleted")
        for post in standing_ones:
            post.deleted = True
        return True

    def _clear(self, fields: Json) -> bool:
        chat = self._chat(fields)
        self._may(chat, "can_delete_messages", "not enough rights to delete reactions")
        for post in chat.posts.values():
            post.reactions.pop(fields.get("user_id") or fields["actor_chat_id"], None)
        return True

    def _pin(self, fields: Json) -> bool:
        chat, id = self._chat(fields), fields["message_id"]
        self._may(chat, "can_pin_messages", "not enough rights to manage pinned messages in the chat")
        if id not in chat.posts or chat.posts[id].deleted:
            raise bad("message to pin not found")
        chat.pinned = [*(one for one in chat.pinned if one != id), id]
        return True

    def _unpin(self, fields: Json) -> bool:
        chat, id = self._chat(fields), fields["message_id"]
        self._may(chat, "can_pin_messages", "not enough rights to manage pinned messages in the chat")
        if id not in chat.pinned:
            raise bad("message to unpin not found")
        chat.pinned.remove(id)
        return True

    def _decide(self, fields: Json, is_granted: bool) -> bool:
        chat, user = self._chat(fields), fields["user_id"]
        self._may(chat, "can_invite_users", "not enough rights to approve or decline a join request")
        if user not in chat.asked:
            is_here = user in chat.people and user not in chat.gone
            raise bad("USER_ALREADY_PARTICIPANT" if is_here else "HIDE_REQUESTER_MISSING")
        del chat.asked[user]
        if is_granted:
            join(self._world, chat.id, user, by=int(self._world.me["id"]))
        return True

    def _may(self, chat: Chat, right: str, refusal: str) -> None:
        if chat.rights is None:
            raise bad("CHAT_ADMIN_REQUIRED" if "sender" in refusal else refusal)
        if right not in chat.rights and chat.type != "group":
            raise bad(refusal)

    def _target(self, chat: Chat, user: int, of_owner: str) -> None:
        if user == self._world.me["id"]:
            raise bad("can't restrict self")
        if user in chat.admins:
            raise bad(of_owner)
        if user in chat.moderators:
            raise bad("user is an administrator of the chat")
        if user not in {post.sender["id"] for post in chat.posts.values()} | chat.people.keys():
            raise bad("PARTICIPANT_ID_INVALID")


def _rights(fields: Json) -> Json:
    if not fields.get("use_independent_chat_permissions"):
        raise wrong("permissions that imply each other are not what Parley means")
    given = fields["permissions"]
    return {name: bool(given.get(name, given.get(_INHERIT.get(name, ""), False))) for name in PERMISSIONS}
