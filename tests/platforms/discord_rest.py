"""The REST half of the fake Discord: version 10 of the API as far as a chat bot uses it, with its refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.discord_wire import Call, Upload
from tests.platforms.discord_world import (
    DIRECT,
    EPHEMERAL,
    LOADING,
    MAX_FILE,
    MAX_TEXT,
    Interaction,
    Json,
    Posted,
    Refusal,
    World,
    form_error,
)

MESSAGE_FIELDS = {
    *("content", "embeds", "allowed_mentions", "sticker_ids", "components", "flags", "attachments", "poll"),
    *("message_reference", "nonce", "enforce_nonce", "tts"),
}
WEBHOOK_FIELDS = MESSAGE_FIELDS - {"message_reference", "nonce", "enforce_nonce"}
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

    def answer(self, call: Call, uploads: list[Upload]) -> tuple[int, Any]:
        parts = call.path.strip("/").split("/")
        match parts[0]:
            case "channels":
                found = self._on_channel(call, parts, uploads)
            case "interactions" | "webhooks":
                found = self._on_interaction(call, parts, uploads)
            case _:
                found = self._on_account(call, parts)
        if found is None:
            self.violations.append(f"unknown route {call.method} {call.path}")
            raise Refusal(404, 0, "404: Not Found")
        return found

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
            case ("POST", ["users", "@me", "channels"]):
                return 200, world.channel(world.direct(str(call.body["recipient_id"])))
            case _:
                return None

    def _on_channel(self, call: Call, parts: list[str], uploads: list[Upload]) -> tuple[int, Any] | None:
        body = call.body
        match (call.method, parts[1:]):
            case ("GET", [channel]):
                return 200, self.world.channel(channel)
            case ("POST", [channel, "typing"]):
                self._may_write(channel)
                return 204, None
            case ("GET", [channel, "messages"]):
                return 200, self._list(channel, call.query)
            case ("POST", [channel, "messages"]):
                return 200, self._create(channel, body, uploads)
            case ("GET", [channel, "messages", message]):
                return 200, self._found(channel, message).data
            case ("PATCH", [channel, "messages", message]):
                return 200, self._edit(channel, message, body, uploads)
            case ("DELETE", [channel, "messages", message]):
                self.delete(self._found(channel, message))
                return 204, None
            case ("POST", [channel, "threads"] | [channel, "messages", _, "threads"]):
                return 201, self._open_thread(channel, body, call.path)
            case _:
                return None

    def _on_interaction(self, call: Call, parts: list[str], uploads: list[Upload]) -> tuple[int, Any] | None:
        match (call.method, parts):
            case ("POST", ["interactions", interaction, token, "callback"]):
                self._callback(interaction, token, call.body)
                return 204, None
            case ("POST", ["webhooks", application, token]):
                return 200, self._follow_up(self._live(application, token), call.body, uploads).data
            case (method, ["webhooks", application, token, "messages", message]):
                interaction = self._live(application, token)
                return self._webhook_message(method, interaction, message, call.body, uploads)
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
            "flags": 1 << 19,
            "owner": world.users[world.alice],
            "team": None,
            "bot": world.users[world.bot],
            "interactions_endpoint_url": None,
            "redirect_uris": [],
        }

    def _register(self, application: str, commands: Any) -> list[Json]:
        if application != self.world.application_id:
            raise Refusal(404, 10002, "Unknown Application")
        if len(commands) > 100:
            raise form_error("commands", "Must be 100 or fewer in length.")
        for command in commands:
            if not re.fullmatch(r"[-_a-z0-9]{1,32}", command["name"]):
                raise form_error("name", "Command name is invalid")
            options: list[Json] = command.get("options") or []
            if any(not 1 <= len(row["description"]) <= 100 for row in (command, *options)):
                raise form_error("description", "Must be between 1 and 100 in length.")
            required = [bool(option.get("required")) for option in options]
            if required != sorted(required, reverse=True):
                raise form_error("options", "Required options must be placed before non-required options")
        self.world.commands = [{**c, "id": self.world.snowflake(), "version": "1"} for c in commands]
        return self.world.commands

    # ------------------------------------------------------------------ channels and messages
    def _may_write(self, channel_id: str) -> Json:
        channel = self.world.channel(channel_id)
        if channel_id in self.world.forbidden:
            if channel["type"] == DIRECT:
                raise Refusal(403, 50007, "Cannot send messages to this user")
            raise Refusal(403, 50013, "Missing Permissions")
        return channel

    def _found(self, channel_id: str, message_id: str) -> Posted:
        self.world.channel(channel_id)
        found = self.world.message(channel_id, message_id)
        if found.ephemeral:
            raise Refusal(404, 10008, "Unknown Message")
        return found

    def _list(self, channel_id: str, query: Mapping[str, str]) -> list[Json]:
        self.world.channel(channel_id)
        if channel_id in self.world.unreadable:
            return []
        limit = int(query.get("limit", 50))
        if not 1 <= limit <= 100:
            raise form_error("limit", "int value should be between 1 and 100.")
        there = [m.data for m in self.world.messages[channel_id].values() if not m.deleted and not m.ephemeral]
        if "after" in query:
            there = [m for m in there if int(m["id"]) > int(query["after"])][:limit]
        elif "before" in query:
            there = [m for m in there if int(m["id"]) < int(query["before"])]
        return [{k: v for k, v in m.items() if k != "nonce"} for m in there[-limit:][::-1]]

    def _create(self, channel_id: str, body: Json, uploads: list[Upload]) -> Json:
        self._may_write(channel_id)
        self._check_body(body, uploads, MESSAGE_FIELDS, new=True)
        nonce = str(body.get("nonce") or "")
        if nonce and body.get("enforce_nonce"):
            for old in self.world.messages[channel_id].values():
                if old.nonce == nonce:
                    return old.data
        reference: Json = body.get("message_reference") or {}
        reply_to = str(reference.get("message_id", ""))
        if reply_to:
            if channel_id in self.world.unreadable:
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
        return self._store(channel_id, body, uploads, reply_to, nonce).data

    def _store(
        self,
        channel_id: str,
        body: Json,
        uploads: list[Upload],
        reply_to: str = "",
        nonce: str = "",
        flags: int = 0,
    ) -> Posted:
        world = self.world
        fields: Json = {
            "components": body.get("components") or [],
            "attachments": self._keep(channel_id, uploads),
        }
        if nonce:
            fields["nonce"] = nonce
        posted = world.post(
            channel_id,
            world.bot,
            body.get("content") or "",
            reply_to=reply_to,
            flags=flags,
            **fields,
        )
        posted.nonce = nonce
        posted.ephemeral = bool(flags & EPHEMERAL)
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

    def _keep(self, channel_id: str, uploads: list[Upload]) -> list[Json]:
        return [self.world.store_file(channel_id, u.name, u.mime, u.data, self.cdn) for u in uploads]

    def _edit(self, channel_id: str, message_id: str, body: Json, uploads: list[Upload]) -> Json:
        posted = self._found(channel_id, message_id)
        if posted.data["author"]["id"] != self.world.bot:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        return self._change(posted, body, uploads)

    def _change(self, posted: Posted, body: Json, uploads: list[Upload]) -> Json:
        self._check_body(body, uploads, WEBHOOK_FIELDS, new=False)
        fields: Json = {k: body[k] for k in ("content", "components") if k in body}
        if fields.get("content", posted.text) in ("", None) and not uploads and not posted.data["attachments"]:
            raise Refusal(400, 50006, "Cannot send an empty message")
        if uploads:
            fields["attachments"] = self._keep(posted.data["channel_id"], uploads)
        fields["flags"] = posted.data["flags"] & ~LOADING
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

    def _check_body(self, body: Json, uploads: list[Upload], known: set[str], *, new: bool) -> None:
        for name in body.keys() - known:
            self.violations.append(f"unknown field {name}")
        content = body.get("content") or ""
        if len(content) > MAX_TEXT:
            raise form_error("content", f"Must be {MAX_TEXT} or fewer in length.")
        if new and not content.strip() and not uploads:
            raise Refusal(400, 50006, "Cannot send an empty message")
        if len(str(body.get("nonce") or "")) > 25:
            raise form_error("nonce", "Must be 25 or fewer in length.")
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
        self._check_components(body.get("components") or [])

    def _check_components(self, rows: list[Json]) -> None:
        if len(rows) > 5:
            raise form_error("components", "Must be between 1 and 5 in length.")
        seen: set[str] = set()
        for row in rows:
            buttons: list[Json] = row.get("components") or []
            if row.get("type") != 1 or not 1 <= len(buttons) <= 5:
                raise form_error("components", "Must be between 1 and 5 in length.")
            for button in buttons:
                custom_id = button.get("custom_id") or ""
                if button.get("type") != 2 or button.get("style") not in (1, 2, 3, 4):
                    raise form_error("components", "Value of field must be one of the known buttons.")
                if not 1 <= len(custom_id) <= 100 or not 1 <= len(button.get("label") or "") <= 80:
                    raise form_error("components", "Must be between 1 and 80 in length.")
                if custom_id in seen:
                    raise form_error("components", "Component custom id cannot be duplicated")
                seen.add(custom_id)

    def _open_thread(self, channel_id: str, body: Json, path: str) -> Json:
        message = re.search(r"/messages/(\d+)/threads", path)
        thread = self.world.add_thread(channel_id, body["name"], self.world.bot, message[1] if message else "")
        self.emit("THREAD_CREATE", {**thread, "newly_created": True}, thread["guild_id"])
        return thread

    # ------------------------------------------------------------------ interactions
    def _callback(self, interaction_id: str, token: str, body: Json) -> None:
        interaction = self.world.interactions.get(token)
        if interaction is None or interaction.id != interaction_id:
            raise Refusal(404, 10062, "Unknown interaction")
        if interaction.answered:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        if time.time() - interaction.created > self.callback_seconds:
            raise Refusal(404, 10062, "Unknown interaction")
        interaction.answered, interaction.callback = time.time(), body
        data: Json = body.get("data") or {}
        flags = int(data.get("flags") or 0) & EPHEMERAL
        match body["type"]:
            case 4:
                interaction.original = self._store(interaction.channel, data, [], flags=flags).id
            case 5:
                interaction.original = self._store(interaction.channel, {}, [], flags=flags | LOADING).id
            case 6 if interaction.message:
                interaction.original = interaction.message
            case kind:
                raise form_error("type", f"Value {kind} is not possible here.")

    def defer(self, interaction: Interaction, more: Json) -> None:
        """As if another process of the bot's had deferred it."""
        self._callback(interaction.id, interaction.token, {"type": 5, **more})

    def _live(self, application: str, token: str) -> Interaction:
        interaction = self.world.interactions.get(token)
        if interaction is None or application != self.world.application_id or not interaction.answered:
            raise Refusal(404, 10015, "Unknown Webhook")
        if time.time() - interaction.created > self.token_seconds:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        return interaction

    def _follow_up(self, interaction: Interaction, body: Json, uploads: list[Upload]) -> Posted:
        self._check_body(body, uploads, WEBHOOK_FIELDS, new=True)
        original = self.world.find(interaction.original)
        if original.data["flags"] & LOADING:
            self._change(original, body, uploads)
            return original
        flags = int(body.get("flags") or 0) & EPHEMERAL
        posted = self._store(interaction.channel, body, uploads, flags=flags)
        interaction.followups.append(posted.id)
        return posted

    def _webhook_message(
        self,
        method: str,
        interaction: Interaction,
        message_id: str,
        body: Json,
        uploads: list[Upload],
    ) -> tuple[int, Any]:
        wanted = interaction.original if message_id == "@original" else message_id
        if wanted not in (interaction.original, *interaction.followups):
            raise Refusal(404, 10008, "Unknown Message")
        posted = self.world.message(interaction.channel, wanted)
        match method:
            case "GET":
                return 200, posted.data
            case "PATCH":
                return 200, self._change(posted, body, uploads)
            case "DELETE":
                self.delete(posted)
                return 204, None
            case _:
                raise Refusal(405, 0, "405: Method Not Allowed")
