"""Answers by an interaction's token: where it is the only way, and when its time is over."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest

from bots.adapter import Page, Slot, Target
from bots.discord_bot import interactions
from bots.discord_bot.interactions import Deferrals, ReplyToken
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.rest import Rest
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey, Platform
from tests.bots.discord_bot.running import settings_for
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import Interaction


@dataclass(slots=True)
class Stage:
    """An outbound without any gateway."""

    discord: FakeDiscord
    outbound: DiscordOutbound
    rest: Rest

    def interaction(self, *, only: bool = False, ephemeral: bool = False) -> tuple[Interaction, Target]:
        world = self.discord.world
        made = self.discord.slash("chat", {"text": "hi"}, world.general, own_install=only)
        self.discord.rest.defer(made, {"data": {"flags": 64}} if ephemeral else {})
        token = ReplyToken(True, world.application_id, made.id, made.token, only=only)
        key = ConversationKey(Platform.DISCORD, world.bot, world.general, world.alice if only else "")
        return made, Target(key, False, "", str(token), ephemeral=ephemeral)

    def slot(self, number: int) -> Slot:
        return Slot("t", number, "0")

    @property
    def in_channels(self) -> list[str]:
        return [call.path for call in self.discord.calls if call.path.startswith("/channels/")]


@pytest.fixture
async def stage(discord: FakeDiscord) -> AsyncGenerator[Stage]:
    settings = settings_for(discord)
    rest = Rest(settings.api_base, TOKEN)
    yield Stage(discord, DiscordOutbound(settings, rest, Deferrals(rest)), rest)
    await rest.close()


def page(text: str, *, final: bool = False) -> Page:
    return Page(text, len(text), final=final)


async def test_where_the_bot_is_no_member_everything_goes_by_the_token(stage: Stage) -> None:
    made, target = stage.interaction(only=True)
    await stage.outbound.typing(target)
    first = await stage.outbound.send(target, page("one"), stage.slot(0))
    await stage.outbound.edit(target, first, page("one!"))
    stage.discord.fail("reset after", "POST")
    with pytest.raises(OutboundError):
        await stage.outbound.send(target, page("two"), stage.slot(1))
    # Whether it came through is not to be seen from there.
    assert await stage.outbound.find(target, page("two"), stage.slot(1), [first]) is None
    second = await stage.outbound.send(target, page("two"), stage.slot(1))
    await stage.outbound.delete(target, second)
    assert stage.discord.world.find(made.original).text == "one!"
    assert stage.in_channels == []


@pytest.mark.parametrize("kind", ["only", "ephemeral"])
async def test_no_call_is_made_when_the_only_tokens_time_is_over(
    stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target = stage.interaction(only=kind == "only", ephemeral=kind == "ephemeral")
    first = await stage.outbound.send(target, page("so far"), stage.slot(0))
    monkeypatch.setattr(interactions, "TOKEN_SECONDS", -5.0)
    before = len(stage.discord.calls)
    for work in (
        stage.outbound.edit(target, first, page("more")),
        stage.outbound.send(target, page("next"), stage.slot(1)),
    ):
        with pytest.raises(OutboundError) as raised:
            await work
        assert raised.value.fault is OutboundFault.GONE
    assert len(stage.discord.calls) == before
    assert stage.discord.world.find(made.original).text == "so far"


async def test_an_answer_that_outlives_its_token_goes_on_in_the_channel(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages that there are are edited there, further ones are sent there, and no call is refused on the way."""
    _, target = stage.interaction()
    first = await stage.outbound.send(target, page("one"), stage.slot(0))
    monkeypatch.setattr(interactions, "TOKEN_SECONDS", -5.0)
    await stage.outbound.edit(target, first, page("one!"))
    await stage.outbound.send(target, page("two"), stage.slot(1))
    assert [posted.text for posted in stage.discord.by_bot(stage.discord.world.general)] == ["one!", "two"]
    assert all(call.status < 300 for call in stage.discord.calls)


async def test_what_grows_says_that_its_time_is_nearly_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = stage.interaction(only=True)
    first = await stage.outbound.send(target, page("one"), stage.slot(0))
    monkeypatch.setattr(interactions, "TOKEN_SECONDS", 10.0)
    await stage.outbound.edit(target, first, page("one, two"))
    assert stage.discord.world.find(made.original).text.startswith("one, two\n\n⏳")
    # Where it ends in time it is shown as it is; and what others see goes on in the channel.
    await stage.outbound.edit(target, first, page("all of it", final=True))
    assert "⏳" not in str(stage.discord.world.find(made.original).data)
    _, public = stage.interaction()
    shown = await stage.outbound.send(public, page("one"), stage.slot(0))
    await stage.outbound.edit(public, shown, page("one, two"))
    assert stage.discord.world.find(shown).text == "one, two"


async def test_the_bots_global_limit_does_not_hold_back_answers_by_token(stage: Stage) -> None:
    _, target = stage.interaction()
    stage.discord.fail("429 global", "/gateway", seconds=5)
    with pytest.raises(OutboundError):
        await stage.rest.call("GET", "/gateway")
    await stage.outbound.send(target, page("in time"), stage.slot(0))
    with pytest.raises(OutboundError):
        await stage.rest.call("GET", "/users/@me")
