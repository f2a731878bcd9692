"""How the bot answers interactions of the fake Discord: the first answer in time and once, then by the token."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.platforms import discord_components as shapes
from tests.platforms.discord_refusals import Json, Refusal, form_error
from tests.platforms.discord_wire import Call, Upload
from tests.platforms.discord_world import EPHEMERAL, LOADING, Interaction, Posted

if TYPE_CHECKING:
    from tests.platforms.discord_rest import Rest

MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
COMMAND, COMPONENT, TYPING, SUBMIT = 2, 3, 4, 5
ALLOWED: Mapping[int, frozenset[int]] = {
    COMMAND: frozenset({MESSAGE, DEFER, MODAL}),
    COMPONENT: frozenset({MESSAGE, DEFER, DEFER_UPDATE, UPDATE, MODAL}),
    TYPING: frozenset({CHOICES}),
    SUBMIT: frozenset({MESSAGE, DEFER, DEFER_UPDATE, UPDATE}),
}
"""Kind of interaction -> the first answers that it may have."""
MAX_VALUE = 100
"""Characters of a choice, by the documentation."""
MAX_FOLLOW_UPS = 5
"""Further messages where the app is installed for a person alone."""


class Callbacks:
    """What calls below /interactions and /webhooks do."""

    def __init__(self, rest: Rest) -> None:
        self._rest, self._world = rest, rest.world

    def answer(self, call: Call, path: list[str], uploads: list[Upload]) -> tuple[int, Any] | None:
        """Status and JSON; None for an unknown route."""
        match (call.method, path):
            case ("POST", ["interactions", interaction, token, "callback"]):
                made = self.take(interaction, token, call.body, uploads)
                if call.query.get("with_response") != "true":
                    return 204, None
                return 200, self._response(made)
            case ("POST", ["webhooks", application, token]):
                return 200, self._follow_up(self._live(application, token), call.body, uploads).data
            case (method, ["webhooks", application, token, "messages", message]):
                return self._on_message(method, self._live(application, token), message, call.body, uploads)
            case _:
                return None

    def take(self, interaction_id: str, token: str, body: Json, uploads: list[Upload]) -> Interaction:
        """The first answer."""
        found = self._world.interactions.get(token)
        if found is None or found.id != interaction_id:
            raise Refusal(404, 10062, "Unknown interaction")
        if found.answered:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        if time.time() - found.created > self._rest.callback_seconds:
            raise Refusal(404, 10062, "Unknown interaction")
        kind: int = body["type"]
        data: Json = body.get("data") or {}
        if kind not in ALLOWED[found.kind] or (kind in (DEFER_UPDATE, UPDATE) and not found.message):
            raise form_error("type", f"Value {kind} is not possible here.")
        self._carry_out(found, kind, data, uploads)
        found.answered, found.callback = time.time(), body
        return found

    def _carry_out(self, found: Interaction, kind: int, data: Json, uploads: list[Upload]) -> None:
        match kind:
            case 4:
                self._rest.check_body(data, uploads)
                found.original = self._made_by(found, self._rest.store(found.channel, data, uploads)).id
            case 5:
                flags = int(data.get("flags") or 0) & EPHEMERAL
                waits = self._rest.store(found.channel, {}, [], flags=flags | LOADING)
                found.original = self._made_by(found, waits).id
            case 6:
                found.original = found.message
            case 7:
                self._rest.change(self._world.find(found.message), data, uploads)
                found.original = found.message
            case 8:
                _check_choices(data.get("choices"))
            case _:
                shapes.check_modal(data["components"])

    def _made_by(self, interaction: Interaction, posted: Posted) -> Posted:
        """With what a message tells of the interaction that it came from."""
        users, target = self._world.users, interaction.target
        told: Json = {"id": interaction.id, "type": interaction.kind, "user": users[interaction.user]}
        by_guild = {"0": interaction.guild or "0"}
        told["authorizing_integration_owners"] = {"1": interaction.user} if interaction.by_user_install else by_guild
        if target:
            told |= {"target_user": users[target]} if target in users else {"target_message_id": target}
        posted.data["interaction_metadata"] = told
        return posted

    def _response(self, found: Interaction) -> Json:
        """What ``with_response`` asks for."""
        about: Json = {"id": found.id, "type": found.kind, "response_message_id": found.original or None}
        answer: Json = {"interaction": about, "resource": {"type": found.callback["type"]}}
        if found.original:
            answer["resource"]["message"] = self._world.find(found.original).data
        return answer

    def _live(self, application: str, token: str) -> Interaction:
        interaction = self._world.interactions.get(token)
        if interaction is None or application != self._world.application_id or not interaction.answered:
            raise Refusal(404, 10015, "Unknown Webhook")
        if time.time() - interaction.created > self._rest.token_seconds:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        return interaction

    def _follow_up(self, interaction: Interaction, body: Json, uploads: list[Upload]) -> Posted:
        self._rest.check_body(body, uploads)
        original = self._world.find(interaction.original) if interaction.original else None
        if original and original.data["flags"] & LOADING:
            self._rest.change(original, body, uploads)
            return original
        if interaction.by_user_install and len(interaction.followups) >= MAX_FOLLOW_UPS:
            raise Refusal(400, 40094, "This interaction has reached its limit of follow-up messages")
        posted = self._made_by(interaction, self._rest.store(interaction.channel, body, uploads))
        interaction.followups.append(posted.id)
        return posted

    def _on_message(
        self, method: str, interaction: Interaction, message_id: str, body: Json, uploads: list[Upload]
    ) -> tuple[int, Any]:
        wanted = interaction.original if message_id == "@original" else message_id
        if wanted not in (interaction.original, *interaction.followups):
            raise Refusal(404, 10008, "Unknown Message")
        posted = self._world.message(interaction.channel, wanted)
        match method:
            case "GET":
                return 200, posted.data
            case "PATCH":
                return 200, self._rest.change(posted, body, uploads)
            case "DELETE":
                self._rest.delete(posted)
                return 204, None
            case _:
                raise Refusal(405, 0, "405: Method Not Allowed")


def _check_choices(choices: list[Json] | None) -> None:
    if any(len(str(choice["value"])) > MAX_VALUE for choice in choices or ()):
        raise form_error("data.choices", f"Must be {MAX_VALUE} or fewer in length.")
