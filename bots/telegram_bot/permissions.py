"""What people may do in a group, as Telegram keeps it: one set of permissions for all, and one, with one end, for each
who may do less. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from bots.telegram_bot.raw import Raw, part

MEDIA = (
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
)
"""Files, and what else is no text: stickers, GIFs, polls, previews of links."""
SENDING = ("can_send_messages", *MEDIA, "can_react_to_messages")
PUBLIC = (*SENDING, "can_edit_tag", "can_change_info", "can_pin_messages", "can_manage_topics")
"""All by which one is seen: a tag, the group's title and the name of a topic are words, too."""
ALL = (*PUBLIC, "can_invite_users")
SHORTEST_SECONDS, LONGEST_SECONDS = 60, 365 * 86400
"""An end in less than 30 seconds, or after more than 366 days, means for good to Telegram: each with room for clocks
that differ and calls that wait."""

Permissions = Mapping[str, bool]
EVERYTHING: Permissions = dict.fromkeys(ALL, True)
"""For who is restricted it means: not any more."""


def of_chat(chat: Raw) -> Permissions:
    """What everybody may do, of a getChat. What its server does not know is left out."""
    return _known(part(chat, "permissions"))


def of_member(member: Raw) -> Permissions:
    """What somebody may do; all, unless they are restricted."""
    return _known(member) if member.get("status") == "restricted" else EVERYTHING


def without(permissions: Permissions, taken: Collection[str], given: Collection[str] = ()) -> Permissions:
    """The same with ``given``, less ``taken``."""
    return {**permissions, **dict.fromkeys(given, True), **dict.fromkeys(taken, False)}


def written(permissions: Permissions) -> str:
    """As they are kept with a case."""
    return json.dumps(dict(permissions))


def read(text: str) -> Permissions:
    """The inverse; empty where it cannot be read."""
    try:
        return _known(dict(json.loads(text)))
    except (ValueError, TypeError):
        return {}


def _known(given: Mapping[str, Any]) -> Permissions:
    return {name: given[name] is True for name in ALL if name in given}


def kept(member: Raw) -> dict[str, str]:
    """Somebody's place in a group, to be restored later."""
    out = {"status": str(member.get("status"))}
    if out["status"] in ("restricted", "kicked"):
        out["until"] = str(int(member.get("until_date") or 0))
    if out["status"] == "restricted":
        out["permissions"] = written(of_member(member))
    return out


def left_of(until: str) -> int | None:
    """Of an end that was kept: unix seconds to tell Telegram again, 0 for good; None where it is over, or so near that
    Telegram would take it for good."""
    end = int(until) if until.isdecimal() else 0
    return end if end == 0 or end > time.time() + SHORTEST_SECONDS / 2 else None


def end_of(seconds: int) -> int:
    """The end in so many seconds as Telegram is told it: never so near that it would mean for good."""
    return round(time.time() + max(seconds, SHORTEST_SECONDS))
