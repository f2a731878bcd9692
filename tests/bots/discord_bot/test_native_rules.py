"""A space's words and limits in Discord's own AutoMod: pushed with a difference, and nothing of people's touched."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bots.discord_bot.native_rules import AutoMod
from bots.pacing import Limits, Pacer
from core.errors import OutboundError
from core.moderation.acts import Answer, Outcome
from core.moderation.native import NativeRule, diff
from tests.bots.discord_bot.enforced import STAFF, Court, court_of
from tests.platforms.discord_permissions import May
from tests.platforms.discord_refusals import Json
from tests.platforms.discord_server import FakeDiscord


class Filter:
    """What is pushed to Alice's guild."""

    def __init__(self, court: Court) -> None:
        self.court = court
        self.automod = AutoMod(court.rest, court.rights, Pacer(Limits()))
        self.site = court.site()

    @property
    def there(self) -> list[Json]:
        return self.court.world.automod.get(self.court.guild, [])

    async def push(self, *wanted: NativeRule) -> tuple[Answer, tuple[str, ...]]:
        fitted = await self.automod.fit(self.site, wanted)
        return await self.automod.push(self.site, fitted.rules), fitted.left

    def people_make(self, name: str, kind: int = 1) -> Json:
        made: Json = {"id": self.court.world.snowflake(), "name": name, "trigger_type": kind, "trigger_metadata": {}}
        made |= {"actions": [{"type": 1}], "enabled": True}
        self.court.world.automod.setdefault(self.court.guild, []).append(made)
        return made


@pytest.fixture
async def filter(discord: FakeDiscord) -> AsyncIterator[Filter]:
    async with court_of(discord) as court:
        yield Filter(court)


async def test_words_are_pushed_once_and_only_what_changed(filter: Filter) -> None:
    theirs = filter.people_make("Bad words")
    rule = NativeRule("scam", words=("free nitro", "加微信"), regexes=("n1tro+",), reason="No adverts, please.")
    answer, left = await filter.push(rule, NativeRule("crowd", mentions=6))
    assert (answer, left) == (Answer(Outcome.DONE), ())
    assert [one["name"] for one in filter.there] == ["Bad words", "Parley: mentions", "Parley: words 1"]
    mentions, words = filter.there[1:]
    assert words["trigger_metadata"]["keyword_filter"] == ["free nitro", "*加微信*"], "Chinese has no blanks"
    assert words["trigger_metadata"]["regex_patterns"] == ["(?i)n1tro+"]
    assert words["actions"] == [{"type": 1, "metadata": {"custom_message": "No adverts, please."}}]
    assert words["enabled"]
    assert mentions["trigger_metadata"] == {"mention_total_limit": 5}, "six are too many"
    calls = len(filter.court.discord.calls)
    assert (await filter.push(rule, NativeRule("crowd", mentions=6)))[0] == Answer(Outcome.NOTHING)
    assert all(call.method == "GET" for call in filter.court.discord.calls[calls:])
    await filter.push(NativeRule("scam", words=("free nitro", "crypto*")))
    assert [one["name"] for one in filter.there] == ["Bad words", "Parley: words 1"]
    assert filter.there[1]["id"] == words["id"], "changed in place"
    [read] = await filter.automod.read(filter.site)
    assert (read.name, read.words, read.is_on) == ("words 1", ("free nitro", "crypto*"), True)
    await filter.push()
    assert filter.there == [theirs]


async def test_a_difference_shows_what_comes_and_goes(filter: Filter) -> None:
    await filter.push(NativeRule("a", words=("one", "two")))
    wanted = await filter.automod.fit(filter.site, [NativeRule("a", words=("two", "three"))])
    [change] = diff(await filter.automod.read(filter.site), wanted.rules)
    assert (change.name, change.added, change.removed) == ("words 1", ("three",), ("one",))
    assert diff(wanted.rules, wanted.rules) == []
    filter.there[0]["enabled"] = False
    wanted = await filter.automod.fit(filter.site, [NativeRule("a", words=("one", "two"))])
    assert len(diff(await filter.automod.read(filter.site), wanted.rules)) == 1, "somebody has switched it off"


async def test_limits_are_kept_and_what_has_no_room_is_told(filter: Filter) -> None:
    """The fake refuses what is over them."""
    for number in range(4):
        filter.people_make(f"rule {number}")
    filter.people_make("crowds", kind=5)
    words = tuple(f"word{number}" for number in range(2500))
    rule = NativeRule("many", words=(*words, "x" * 61), regexes=("y" * 300,), mentions=99)
    answer, left = await filter.push(rule)
    assert answer == Answer(Outcome.DONE)
    assert [len(one["trigger_metadata"]["keyword_filter"]) for one in filter.there[5:]] == [1000, 1000]
    assert left == ("x" * 61, "y" * 300, *words[2000:], "mentions = 51")


async def test_rules_with_other_exemptions_stay_apart(filter: Filter) -> None:
    one = NativeRule("one", words=("a",), exempt_channels=("5",), alert=filter.court.world.general)
    await filter.push(one, NativeRule("two", words=("b",)), NativeRule("three", words=("b", "c")))
    assert [rule["trigger_metadata"]["keyword_filter"] for rule in filter.there] == [["a"], ["b", "c"]]
    assert filter.there[0]["actions"][1] == {"type": 2, "metadata": {"channel_id": filter.court.world.general}}
    assert filter.there[0]["exempt_channels"] == ["5"]


async def test_the_staff_may_say_it(filter: Filter) -> None:
    helpers = filter.court.held.give(filter.court.guild, filter.court.carol, May.MANAGE_MESSAGES)
    await filter.push(NativeRule("one", words=("a",), exempt_roles=(helpers, "5", "a role elsewhere")))
    assert set(filter.there[0]["exempt_roles"]) == {helpers, "5", filter.court.role}
    filter.there[0]["exempt_roles"].reverse()
    wanted = await filter.automod.fit(filter.site, [NativeRule("one", words=("a",), exempt_roles=(helpers, "5"))])
    assert diff(await filter.automod.read(filter.site), wanted.rules) == []


async def test_without_the_right_it_is_named(filter: Filter) -> None:
    assert await filter.automod.lacking(filter.site) == ""
    role = next(one for one in filter.court.world.guild["roles"] if one["id"] == filter.court.role)
    role["permissions"] = str(int(sum(right for right in STAFF if right is not May.MANAGE_GUILD)))
    assert await filter.automod.lacking(filter.site) == "permission.manage_guild"
    with pytest.raises(OutboundError):
        await filter.automod.read(filter.site)
    answer = await filter.automod.push(filter.site, [NativeRule("a", words=("b",))])
    assert (answer.outcome, answer.key) == (Outcome.FORBIDDEN, "permission.manage_guild")
