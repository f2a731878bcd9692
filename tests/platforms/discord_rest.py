"""The REST half of the fake Discord: version 10 of the API as far as a chat bot uses it, with its refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.platforms import discord_components as shapes
from tests.platforms import discord_files as files
from tests.platforms import discord_guilds, discord_registration, discord_threads
from tests.platforms.discord_callbacks import Callbacks
from tests.platforms.discord_components import V2
from tests.platforms.discord_moderation import Moderation
from tests.platforms.discord_permissions import May
from tests.platforms.discord_refusals import Refusal, form_error
from tests.platforms.discord_webhooks import Webhooks
from tests.platforms.discord_wire import INTERACTION, Call, Upload
from tests.platforms.discord_world import (
    DIRECT,
    EPHEMERAL,
    LOADING,
    MAX_FILE,
    MAX_TEXT,
    VOICE,
    Interaction,
    Json,
    Posted,
    World,
    stamp,
)

QUIET, NO_EMBEDS = 1 << 12, 1 << 2
MAX_POLL_ANSWER = 55
"""Characters, by the documentation of polls."""
MAY_BE_SET = NO_EMBEDS | QUIET | V2 | VOICE | EPHEMERAL
"""Flags that a bot may give a message."""
Emit = Callable[[str, Json, str], None]


@dataclass(slots=True, eq=False)
class Rest:
    """What the bot's calls do to the world."""

    world: World
    emit: Emit
    cdn: str = ""
    gateway_url: str = ""
    callback_seconds: float = 3.0
    """Time to answer an interaction."""
    token_seconds: float = 900.0
    """Life of an interaction's token."""
    violations: list[str] = field(default_factory=list[str])

    @property
    def moderation(self) -> Moderation:
        return Moderation(self.world, self.emit, self.delete)

    def answer(self, call: Call, uploads: list[Upload]) -> tuple[int, Any]:
        parts = call.path.strip("/").split("/")
        match parts[0]:
            case "channels" if parts[2:] == ["webhooks"]:
                found = Webhooks(self).answer(call, parts, uploads)
            case "webhooks" if not parts[2].startswith(INTERACTION):
                found = Webhooks(self).answer(call, parts, uploads)
            case "channels":
                found = self._on_channel(call, parts, uploads)
            case "interactions" | "webhooks":
                found = Callbacks(self).answer(call, parts, uploads)
            case "guilds":
                found = discord_guilds.answer(self.world, self.moderation, call, parts)
            case _:
                found = self._on_account(call, parts)
        if found is None:
            self.violations.append(f"{call.method} {call.path}: this fake cannot do that yet")
            raise Refusal(404, 0, "404: Not Found")
        return found

    def defer(self, interaction: Interaction, more: Json) -> None:
        """As if another process of the bot's had deferred it."""
        Callbacks(self).take(interaction.id, interaction.token, {"type": 5, **more}, [])

    def _on_account(self, call: Call, parts: list[str]) -> tuple[int, Any] | None:
        world = self.world
        match (call.method, parts):
            case ("GET", ["users", "@me"]):
                return 200, world.users[world.bot]
            case ("GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]):
                return 200, self._application()
            case ("GET", ["gateway"]):
                return 200, {"url": self.gateway_url}
            case ("GET", ["gateway", "bot"]):
                now = world.sharding
                start = {
                    "total": now.total,
                    "remaining": now.left,
                    "reset_after": int(now.reset_seconds * 1000),
                    "max_concurrency": now.side_by_side,
                }
                return 200, {"url": self.gateway_url, "shards": now.recommended, "session_start_limit": start}
            case ("PUT", ["applications", application, "commands"]):
                return 200, self._register(application, call.body)
            case ("GET", ["applications", _, "commands"]):
                return 200, world.commands
            case ("POST", ["attachments", "refresh-urls"]):
                return 200, files.refreshed(call.body, self.world.files)
            case ("GET", ["users", user]):
                if user not in world.users:
                    raise Refusal(404, 10013, "Unknown User")
                return 200, world.users[user]
            case ("POST", ["users", "@me", "channels"]):
                return 200, world.channel(world.direct(str(call.body["recipient_id"])))
            case _:
                return None

    def _on_channel(self, call: Call, parts: list[str], uploads: list[Upload]) -> tuple[int, Any] | None:
        body = call.body
        match (call.method, parts[1:]):
            case ("GET", [channel]):
                found = self.world.channel(channel)
                self.world.permissions.require(self.world.bot, channel)
                return 200, found
            case ("POST", [channel, "typing"]):
                self._may_write(channel)
                return 204, None
            case ("GET", [channel, "messages"]):
                return 200, self._list(channel, call.query)
            case ("POST", [channel, "messages"]):
                return 200, self._create(channel, body, uploads)
            case ("GET", [channel, "messages", message]):
                self.world.channel(channel)
                self.world.permissions.require(self.world.bot, channel)
                if not self._may_read(channel):
                    raise Refusal(403, 50013, "Missing Permissions")
                return 200, self._found(channel, message).data
            case ("PATCH", [channel, "messages", message]):
                return 200, self._edit(channel, message, body, uploads)
            case ("DELETE", [channel, "messages", message]):
                posted = self._found(channel, message)
                if posted.data["author"]["id"] != self.world.bot:
                    self._may_moderate(channel)
                self.delete(posted)
                return 204, None
            case ("POST", [channel, "messages", message, "threads"]):
                return 201, discord_threads.open_on(self.world, self.emit, channel, message, body)
            case (_, [channel, *rest]):
                return self.moderation.in_channel(call, channel, rest)
            case _:
                return None

    def _application(self) -> Json:
        world = self.world
        return {
            "id": world.application_id,
            "name": "parley",
            "icon": None,
            "description": "",
            "summary": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": world.flags,
            "owner": world.users[world.alice],
            "team": None,
            "bot": world.users[world.bot],
            "interactions_endpoint_url": None,
            "redirect_uris": [],
        }

    def _register(self, application: str, commands: Any) -> list[Json]:
        if application != self.world.application_id:
            raise Refusal(404, 10002, "Unknown Application")
        discord_registration.check(commands)
        self.world.commands = [{**c, "id": self.world.snowflake(), "version": "1"} for c in commands]
        return self.world.commands

    # ------------------------------------------------------------------ channels and messages
    def _may_write(self, channel_id: str) -> Json:
        channel = self.world.channel(channel_id)
        if channel_id in self.world.forbidden:
            if channel["type"] == DIRECT:
                raise Refusal(403, 50007, "Cannot send messages to this user")
            raise Refusal(403, 50013, "Missing Permissions")
        self.world.permissions.require_to_write(self.world.bot, channel_id)
        discord_threads.check_open(self.world, channel_id)
        return channel

    def _may_moderate(self, channel_id: str) -> None:
        if self.world.channel(channel_id)["type"] == DIRECT:
            raise Refusal(403, 50003, "Cannot execute action on a DM channel")
        self.world.permissions.require(self.world.bot, channel_id, May.MANAGE_MESSAGES)

    def _may_read(self, channel_id: str) -> bool:
        held = self.world.permissions.of(self.world.bot, channel_id)
        return bool(held & May.READ_MESSAGE_HISTORY) and channel_id not in self.world.unreadable

    def _found(self, channel_id: str, message_id: str) -> Posted:
        self.world.channel(channel_id)
        found = self.world.message(channel_id, message_id)
        if found.ephemeral:
            raise Refusal(404, 10008, "Unknown Message")
        return found

    def _list(self, channel_id: str, query: Mapping[str, str]) -> list[Json]:
        self.world.channel(channel_id)
        self.world.permissions.require(self.world.bot, channel_id)
        if not self._may_read(channel_id):
            return []
        limit = int(query.get("limit", 50))
        there = [m.data for m in self.world.messages[channel_id].values() if not m.deleted and not m.ephemeral]
        if "after" in query:
            there = [m for m in there if int(m["id"]) > int(query["after"])][:limit]
        elif "before" in query:
            there = [m for m in there if int(m["id"]) < int(query["before"])]
        return [{k: v for k, v in m.items() if k != "nonce"} for m in there[-limit:][::-1]]

    def _create(self, channel_id: str, body: Json, uploads: list[Upload]) -> Json:
        self._may_write(channel_id)
        if uploads:
            self.world.permissions.require(self.world.bot, channel_id, May.ATTACH_FILES)
        if body.get("poll"):
            self.world.permissions.require(self.world.bot, channel_id, May.SEND_POLLS)
        if int(body.get("flags") or 0) & VOICE and not self.world.permissions.of(self.world.bot, channel_id) & (
            May.SEND_VOICE_MESSAGES
        ):
            raise files.NOT_HERE
        self.check_body(body, uploads, in_channel=True)
        nonce = str(body.get("nonce") or "")
        if nonce and body.get("enforce_nonce"):
            for old in self.world.messages[channel_id].values():
                if old.nonce == nonce:
                    return old.data
        reference: Json = body.get("message_reference") or {}
        reply_to = str(reference.get("message_id", ""))
        if reply_to:
            if not self._may_read(channel_id):
                raise Refusal(
                    403,
                    160002,
                    "Cannot reply without permission to read message history",
                )
            replied = self.world.messages[channel_id].get(reply_to)
            if replied is None or replied.deleted:
                if reference.get("fail_if_not_exists", True):
                    raise form_error("message_reference", "REPLIES_UNKNOWN_MESSAGE")
                reply_to = ""
        return self.store(channel_id, body, uploads, reply_to, nonce).data

    def store(
        self,
        channel_id: str,
        body: Json,
        uploads: list[Upload],
        reply_to: str = "",
        nonce: str = "",
        flags: int = 0,
        by: Json | None = None,
    ) -> Posted:
        """A new message of the bot's, checked before; ``flags`` come on top of those that the body has, ``by`` tells
        what else has sent it."""
        world = self.world
        attachments = self._keep(channel_id, body, uploads, [])
        fields: Json = {
            "components": shapes.stored(body.get("components") or [], attachments),
            "attachments": attachments,
            "embeds": body.get("embeds") or [],
        }
        if nonce:
            fields["nonce"] = nonce
        if body.get("poll"):
            fields["poll"] = polled(body["poll"])
        posted = world.post(
            channel_id,
            world.bot,
            body.get("content") or "",
            reply_to=reply_to,
            flags=flags | int(body.get("flags") or 0) & MAY_BE_SET,
            **fields,
        )
        posted.data |= by or {}
        posted.nonce = nonce
        posted.ephemeral = bool(posted.data["flags"] & EPHEMERAL)
        posted.pinged = self._pinged(posted, body.get("allowed_mentions"))
        if not posted.ephemeral:
            self.emit("MESSAGE_CREATE", posted.data, posted.guild)
        return posted

    def _pinged(self, posted: Posted, allowed: Json | None) -> list[str]:
        """Whom a message of the bot's would ring."""
        if allowed is None:
            allowed = {"parse": ["everyone", "roles", "users"], "replied_user": True}
        parse: list[str] = allowed.get("parse") or []
        found: list[str] = []
        if "everyone" in parse:
            found += re.findall(r"@(?:everyone|here)", posted.text)
        users = [user["id"] for user in posted.data["mentions"]]
        found += [u for u in users if "users" in parse or u in (allowed.get("users") or [])]
        roles: list[str] = posted.data["mention_roles"]
        found += [r for r in roles if "roles" in parse or r in (allowed.get("roles") or [])]
        if allowed.get("replied_user") and posted.data.get("referenced_message"):
            found.append(posted.data["referenced_message"]["author"]["id"])
        return found

    def _keep(self, channel_id: str, body: Json, uploads: list[Upload], old: list[Json]) -> list[Json]:
        """The attachments after this body: without a list of them the old ones stay."""
        given: list[Json] | None = body.get("attachments")
        about = {str(one["id"]): one for one in given or []}
        kept = old if given is None else [one for one in old if one["id"] in about]
        made = [self.world.store_file(channel_id, u.name, u.mime, u.data, self.cdn) for u in uploads]
        for number, file in enumerate(made):
            told = about.get(str(number), {})
            file |= {
                k: told[k] for k in ("description", "duration_secs", "waveform", "title") if told.get(k) is not None
            }
        return [*kept, *made]

    def _edit(self, channel_id: str, message_id: str, body: Json, uploads: list[Upload]) -> Json:
        posted = self._found(channel_id, message_id)
        if posted.data["author"]["id"] != self.world.bot:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        if uploads:
            self.world.permissions.require(self.world.bot, channel_id, May.ATTACH_FILES)
        return self.change(posted, body, uploads)

    def change(self, posted: Posted, body: Json, uploads: list[Upload]) -> Json:
        """An edit of a message of the bot's."""
        self.check_body(body, uploads, posted)
        fields: Json = {k: body[k] or "" if k == "content" else body[k] for k in ("content", "embeds") if k in body}
        attachments = self._keep(posted.data["channel_id"], body, uploads, posted.data["attachments"])
        fields["attachments"] = attachments
        if "components" in body:
            fields["components"] = shapes.stored(body["components"] or [], attachments)
        fields["flags"] = (posted.data["flags"] | int(body.get("flags") or 0) & (V2 | NO_EMBEDS)) & ~LOADING
        self.world.change(posted, fields)
        if not posted.ephemeral:
            self.emit("MESSAGE_UPDATE", posted.data, posted.guild)
        return posted.data

    def delete(self, posted: Posted) -> None:
        """Marks the message as deleted and tells the bot."""
        posted.deleted = time.time()
        gone = {"id": posted.id, "channel_id": posted.data["channel_id"]}
        if posted.guild:
            gone["guild_id"] = posted.guild
        if not posted.ephemeral:
            self.emit("MESSAGE_DELETE", gone, posted.guild)

    def check_body(
        self, body: Json, uploads: list[Upload], posted: Posted | None = None, *, in_channel: bool = False
    ) -> None:
        """Raises Refusal for a message, or an edit of ``posted``, that Discord would not take. ``in_channel``: it is
        sent to a channel, not in answer to an interaction."""
        content = body.get("content") or ""
        if len(content) > MAX_TEXT:
            raise form_error("content", f"Must be {MAX_TEXT} or fewer in length.")
        if len(uploads) > 10:
            raise form_error("attachments", "Must be 10 or fewer in length.")
        if any(len(upload.data) > MAX_FILE for upload in uploads):
            raise Refusal(413, 40005, "Request entity too large")
        allowed: Json = body.get("allowed_mentions") or {}
        for kind in ("users", "roles"):
            if kind in (allowed.get("parse") or []) and allowed.get(kind):
                raise form_error(
                    "allowed_mentions",
                    f'parse:["{kind}"] and {kind} are mutually exclusive.',
                )
        if posted and posted.data["flags"] & VOICE:
            raise files.NO_EDITING
        if int(body.get("flags") or 0) & VOICE:
            if not in_channel:
                raise form_error("flags", "Voice messages go to channels only.")
            files.check_voice(body, uploads)
        self._check_shape(body, uploads, posted)

    def _check_shape(self, body: Json, uploads: list[Upload], posted: Posted | None) -> None:
        """A message has text and rows, or is made of components; and it is never empty."""
        old: Json = posted.data if posted else {}
        is_v2 = shapes.check_mixture(body, was_v2=bool(posted and posted.is_v2))
        components: list[Json] = body.get("components", old.get("components")) or []
        if is_v2 and (body | {"content": body.get("content", old.get("content"))})["content"]:
            raise form_error("content", *shapes.ONLY_COMPONENTS)
        listed = [str(one["id"]) for one in body.get("attachments") or ()]
        is_kept = "attachments" not in body
        kept = [a["filename"] for a in old.get("attachments", ()) if is_kept or a["id"] in listed]
        new_files = [upload.name for upload in uploads]
        if "components" in body or is_v2:
            shapes.check_message(components, is_v2=is_v2, files=[*kept, *new_files])
        if is_v2:
            hidden = set(new_files) - shapes.shown_files(components)
            self.violations.extend(f"the file {name} is shown nowhere" for name in sorted(hidden))
            return
        content = body.get("content", old.get("content")) or ""
        if not content.strip() and not new_files and not kept and not (body.get("embeds") or body.get("poll")):
            raise Refusal(400, 50006, "Cannot send an empty message")


def polled(poll: Json) -> Json:
    """A poll as Discord tells of it; its answers are numbered from 1."""
    if any(len(answer["poll_media"]["text"]) > MAX_POLL_ANSWER for answer in poll["answers"]):
        raise form_error("poll", f"Must be {MAX_POLL_ANSWER} or fewer in length.")
    answers = [{"answer_id": number, **answer} for number, answer in enumerate(poll["answers"], 1)]
    return {
        "question": poll["question"],
        "answers": answers,
        "expiry": stamp(),
        "allow_multiselect": bool(poll.get("allow_multiselect")),
        "layout_type": 1,
        "results": {"answer_counts": [], "is_finalized": False},
    }
