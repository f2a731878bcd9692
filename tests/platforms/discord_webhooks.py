"""Webhooks of the fake Discord: made in a channel by who may, used by whoever has their token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.platforms.discord_permissions import May
from tests.platforms.discord_refusals import Json, Refusal, form_error
from tests.platforms.discord_wire import Call, Upload
from tests.platforms.discord_world import DIRECT, THREAD, Posted

if TYPE_CHECKING:
    from tests.platforms.discord_rest import Rest

MOST = 15
"""In a channel."""
LONGEST_NAME = 80
FORBIDDEN = ("discord", "clyde")


class Webhooks:
    """What calls below /channels/ID/webhooks and /webhooks do, interactions' tokens apart."""

    def __init__(self, rest: Rest) -> None:
        self._rest, self._world = rest, rest.world

    def answer(self, call: Call, path: list[str], uploads: list[Upload]) -> tuple[int, Any] | None:
        """Status and JSON; None for an unknown route."""
        match (call.method, path):
            case ("GET", ["channels", channel, "webhooks"]):
                self._may_manage(channel)
                return 200, [self._told(one) for one in self._of(channel)]
            case ("POST", ["channels", channel, "webhooks"]):
                self._may_manage(channel)
                if len(self._of(channel)) >= MOST:
                    raise Refusal(400, 30007, f"Maximum number of webhooks reached ({MOST})")
                _check_name("name", str(call.body.get("name") or ""))
                return 200, make(self._rest, channel, call.body["name"])
            case ("POST", ["webhooks", id, token]):
                posted = self._execute(self._known(id, token), call, uploads)
                return (200, posted.data) if call.query.get("wait") == "true" else (204, None)
            case ("DELETE", ["webhooks", id, token]):
                del self._world.webhooks[self._known(id, token)["id"]]
                return 204, None
            case (method, ["webhooks", id, token, "messages", message]):
                return self._on_message(method, self._known(id, token), message, call, uploads)
            case _:
                return None

    def _may_manage(self, channel: str) -> None:
        found = self._world.channel(channel)
        if found["type"] in (DIRECT, THREAD):
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        self._world.permissions.require(self._world.bot, channel, May.MANAGE_WEBHOOKS)

    def _of(self, channel: str) -> list[Json]:
        return [one for one in self._world.webhooks.values() if one["channel_id"] == channel]

    def _told(self, webhook: Json) -> Json:
        """Others' tokens are told to nobody."""
        is_ours = webhook["application_id"] == self._world.application_id
        return webhook if is_ours else {key: value for key, value in webhook.items() if key != "token"}

    def _known(self, id: str, token: str) -> Json:
        found = self._world.webhooks.get(id)
        if found is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        if found["token"] != token:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if found["application_id"] != self._world.application_id:
            self._rest.violations.append("somebody else's webhook was used")
        return found

    def _room(self, webhook: Json, call: Call) -> str:
        thread = call.query.get("thread_id", "")
        if not thread:
            return webhook["channel_id"]
        if self._world.channel(thread).get("parent_id") != webhook["channel_id"]:
            raise Refusal(404, 10003, "Unknown Channel")
        return thread

    def _execute(self, webhook: Json, call: Call, uploads: list[Upload]) -> Posted:
        body = dict(call.body)
        name = body.pop("username", None)
        if name is not None:
            _check_name("username", name)
        avatar = body.pop("avatar_url", None)
        if avatar and not avatar.startswith(("https://", "http://")):
            raise form_error("avatar_url", 'Scheme must be one of ("http", "https").')
        self._rest.check_body(body, uploads)
        author: Json = {
            "id": webhook["id"],
            "username": name or webhook["name"],
            "global_name": None,
            "avatar": None,
            "discriminator": "0000",
            "bot": True,
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
        }
        by = {"author": author, "webhook_id": webhook["id"], "application_id": webhook["application_id"]}
        return self._rest.store(self._room(webhook, call), body, uploads, by=by)

    def _on_message(
        self, method: str, webhook: Json, message: str, call: Call, uploads: list[Upload]
    ) -> tuple[int, Any] | None:
        posted = self._world.message(self._room(webhook, call), message)
        if posted.data.get("webhook_id") != webhook["id"]:
            raise Refusal(404, 10008, "Unknown Message")
        match method:
            case "GET":
                return 200, posted.data
            case "PATCH":
                return 200, self._rest.change(posted, call.body, uploads)
            case "DELETE":
                self._rest.delete(posted)
                return 204, None
            case _:
                return None


def make(rest: Rest, channel: str, name: str, application: str = "") -> Json:
    """A new webhook in a channel, by the bot or by another application."""
    world = rest.world
    id = world.snowflake()
    made: Json = {
        "id": id,
        "type": 1,
        "name": name,
        "avatar": None,
        "channel_id": channel,
        "guild_id": world.channel(channel)["guild_id"],
        "application_id": application or world.application_id,
        "token": f"hook-{id}",
        "user": world.users[world.bot],
    }
    world.webhooks[id] = made
    return made


def _check_name(where: str, name: str) -> None:
    if not 0 < len(name.strip()) <= LONGEST_NAME:
        raise form_error(where, f"Must be between 1 and {LONGEST_NAME} in length.")
    if any(word in name.lower() for word in FORBIDDEN):
        raise form_error(where, f'Username cannot contain "{name}"', "USERNAME_INVALID_CONTAINS")
