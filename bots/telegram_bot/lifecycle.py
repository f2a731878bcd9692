"""What happens to the bot's place in a chat, from raw updates: it comes, it goes, its group becomes a supergroup. Pure.

That it is made an administrator, or one no more, or is restricted, needs no answer: what it may do shows when it acts.
"""

from __future__ import annotations

from dataclasses import replace

from bots.telegram_bot.places import Place
from bots.telegram_bot.raw import Me, Raw, part, person
from core.commands.greeting import PRIVACY, USERNAME
from core.conversation.moving import GREETING
from core.message import CommandCall, ConversationKey, Departure, Platform, Relocation

_THERE = frozenset(("creator", "administrator", "member"))


def membership(raw: Raw, me: Me, update: str) -> CommandCall | Departure | None:
    """A ``my_chat_member``: a greeting for a group that the bot comes into, the end of what waits where it goes."""
    kind, now = raw["chat"].get("type"), part(raw, "new_chat_member")
    place = Place.of(raw, me)
    if goes(raw):
        # A group that becomes a supergroup looks as if the bot left it, and what waits there moves along. Of a group
        # that it really left, the first answer is refused, and what waits is dropped then.
        return None if kind == "group" else Departure(place.conversation, update)
    if not comes(raw) or kind not in ("group", "supergroup"):
        return None
    sees_all = me.sees_all or now.get("status") == "administrator"
    return CommandCall(
        place.conversation,
        f"greeting-{update}",
        # Within two days it is refused as a delivery that came before.
        GREETING,
        # Anonymous administrators act as a bot.
        replace(person(raw["from"]), is_bot=False),
        "greeting",
        {USERNAME: me.username} | ({} if sees_all else {PRIVACY: "on"}),
        sent_at=float(raw.get("date") or 0),
        space=place.space,
        place=place.words,
    )


def comes(raw: Raw) -> bool:
    """Whether a ``my_chat_member`` says that the bot was not there before."""
    return is_there(part(raw, "new_chat_member")) and not is_there(part(raw, "old_chat_member"))


def goes(raw: Raw) -> bool:
    """Whether it says that the bot is there no more."""
    return is_there(part(raw, "old_chat_member")) and not is_there(part(raw, "new_chat_member"))


def relocation(raw: Raw, me: Me, update: str) -> Relocation | None:
    """A message that says that the group became a supergroup: one comes in each of the two chats."""
    here = str(raw["chat"]["id"])
    if new := raw.get("migrate_to_chat_id"):
        return Relocation(group(me.id, here), group(me.id, str(new)), update)
    if old := raw.get("migrate_from_chat_id"):
        return Relocation(group(me.id, str(old)), group(me.id, here), update)
    return None


def group(bot: str, chat: str) -> ConversationKey:
    """The conversation of a group without topics; a group that becomes a supergroup has none."""
    return ConversationKey(Platform.TELEGRAM, bot, chat)


def is_there(member: Raw) -> bool:
    """Whether a ChatMember is a member now."""
    status = member.get("status")
    return status in _THERE or (status == "restricted" and member.get("is_member") is True)
