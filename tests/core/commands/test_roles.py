"""/admin role, grant, deny, reset, roles, block: through the engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from core.access import Right
from core.commands.row import Moderation
from core.commands.table import meant
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, ConversationKey, Platform, Quote
from core.moderation.carrying import Acts
from core.moderation.members import Member, Rank
from core.parts import Finished, Notice, Part, TextDelta
from core.people.access import Access, Asker, Standing
from core.people.identity import People
from core.people.spaces import Spaces, SpaceSettings
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.shared import Once
from tests.builders import call, message
from tests.core.commands.test_moderate import Club
from tests.core.engines import engine
from tests.core.moderation.town import Crowd, at_work

SPACE = "telegram:1:100"
ADMIN, OTHER_ADMIN, BOB, BOSS, OURS = "2", "6", "5", "1", "99"
STANDINGS = {
    BOSS: Standing(True, frozenset(Right)),
    ADMIN: Standing(False, frozenset(Right)),
    OTHER_ADMIN: Standing(False, frozenset(Right)),
}


@dataclass
class World:
    store: Store
    club: Club

    async def parts(self, asked: CommandCall | Any) -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        club = self.club

        async def may(asker: Asker, right: Right) -> bool:
            return right in STANDINGS.get(asker.author.id, Standing()).rights

        async def standing(asker: Asker, fresh: bool) -> Standing:
            return STANDINGS.get(asker.author.id, Standing())

        hands, owners = Crowd(club), (f"telegram:{OURS}",)
        store = self.store
        access = Access(People(store), Spaces(store), owners, Once(store), may=may, standing=standing)
        async with (
            at_work(Acts(store, {Platform.TELEGRAM: hands}, keep_days=1, access=access)) as acts,
            engine(
                store,
                mailbox,
                owners=owners,
                may=may,
                standing=standing,
                moderation={
                    platform: Moderation(Cases(store, keep_days=1), club, acts=acts, enforcer=hands)
                    for platform in (Platform.TELEGRAM, Platform.DISCORD)
                },
            ) as answering,
        ):
            found = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
        assert isinstance(found[-1], Finished)
        return found[:-1]

    async def say(self, text: str, by: str = ADMIN, **values: Any) -> str:
        """Key of what is said to a command."""
        name, rest = meant("admin", text)
        values = {"author": Author(by, "Somebody"), "private": False, "space": "100", **values}
        (part,) = await self.parts(call(name, options={"text": rest}, **values))
        if isinstance(part, TextDelta):
            return part.text
        assert isinstance(part, Notice)
        return part.key

    async def settings(self) -> SpaceSettings:
        return (await Spaces(self.store).records.fresh(SPACE)).value


@pytest.fixture
def world(store: Store) -> World:
    return World(store, Club())


async def test_a_role_is_given_and_taken_back(world: World) -> None:
    assert await world.say("role 5 moderator") == "role_set"
    assert (await world.settings()).roles == {"telegram:5": "moderator"}
    replied = Quote("77", "Bob", "hello", author_id=BOB)
    assert await world.say("role Blocked", quote=replied) == "role_set"
    assert (await world.settings()).roles == {"telegram:5": "blocked"}
    assert await world.say("role 5 automatic") == "role_automatic"
    assert (await world.settings()).roles == {}


@pytest.mark.parametrize(
    ("text", "by", "key"),
    [
        ("role 5 admin", BOB, "lacking.configure"),
        ("role 5", ADMIN, "role_how"),
        ("role 5 king", ADMIN, "role_how"),
        ("role 55555 member", ADMIN, "account_unknown"),
        ("role -5 member", ADMIN, "role_how"),
        ("role discord:5 member", ADMIN, "account_unknown"),
        # Read as a number it would be Bob's, whom a rule under this name would not be about.
        ("role 005 blocked", ADMIN, "account_unknown"),
        ("deny talk user=٥", ADMIN, "account_unknown"),
        ("role 9 member", ADMIN, "not_a_bot"),
        ("role 1 member", ADMIN, "not_the_owner"),
        ("role 6 member", ADMIN, "not_above_them"),
        ("role 2 owner", ADMIN, "role_too_high"),
        ("role 5 owner", ADMIN, "role_too_high"),
        ("role 5 owner", OURS, "role_set"),
        ("role 6 member", BOSS, "role_set"),
        # Downward they may.
        ("role 2 member", ADMIN, "role_set"),
        ("grant draw", ADMIN, "grant_how"),
        ("grant fly member", ADMIN, "grant_how"),
        ("grant draw 5 member", ADMIN, "grant_how"),
        ("deny configure admin", ADMIN, "not_above_them"),
        ("deny configure everyone", ADMIN, "not_above_them"),
        ("deny configure everyone", BOSS, "rule_taken"),
        ("deny draw 6", ADMIN, "not_above_them"),
        ("deny draw 5 -1234", ADMIN, "no_such_channel"),
        ("role 4242 automatic", ADMIN, "account_unknown"),
        ("reset draw 4242", ADMIN, "account_unknown"),
        ("reset draw member", ADMIN, "no_such_rule"),
        ("grant draw server_role=77", ADMIN, "grant_how"),
    ],
)
async def test_nobody_decides_on_who_stands_as_high_or_gives_what_they_lack(
    world: World, text: str, by: str, key: str
) -> None:
    assert await world.say(text, by) == key
    if key not in ("role_set", "rule_taken"):
        settings = await world.settings()
        assert (settings.roles, settings.grants) == ({}, ())


async def test_a_right_that_was_taken_cannot_be_given_on(world: World) -> None:
    assert await world.say("deny purge 2", BOSS) == "rule_taken"
    assert await world.say("grant purge 5") == "not_held"
    assert await world.say("reset purge 2") == "not_above_them"
    assert await world.say("grant warn 5") == "rule_given"


async def test_what_is_held_in_one_channel_is_given_on_in_that_channel_alone(world: World) -> None:
    assert await world.say("deny purge 2", BOSS) == "rule_taken"
    assert await world.say("grant purge 2 100", BOSS) == "rule_given"
    assert await world.say("grant purge 5") == "not_held"
    assert await world.say("grant purge 5 100") == "rule_given"


async def test_a_name_that_is_not_understood_is_not_taken_for_who_was_replied_to(world: World) -> None:
    replied = Quote("77", "Bob", "hello", author_id=BOB)
    for text in ("deny talk @eve", "deny talk everyon"):
        assert await world.say(text, quote=replied) == "grant_how"
    world.club.people["8"] = Member("Cy", Rank.BELOW)
    assert await world.say("role 8 moderator", quote=replied) == "role_set"
    settings = await world.settings()
    assert (settings.roles, settings.grants) == ({"telegram:8": "moderator"}, ())
    assert await world.say("deny talk", quote=replied) == "rule_taken"


async def test_the_role_that_all_of_a_server_have_is_everyone(world: World) -> None:
    there = ConversationKey(Platform.DISCORD, "1", "42")
    options = {"right": "draw", "server_role": "100"}
    values: dict[str, Any] = {"conversation": there, "private": False, "space": "100", "author": Author(BOSS, "Boss")}
    (part,) = await world.parts(call("admin deny", options=options, **values))
    assert isinstance(part, Notice)
    assert part.key == "rule_taken"
    (grant,) = (await Spaces(world.store).records.fresh("discord:1:100")).value.grants
    assert grant.who == "everyone"


async def test_rules_hold_from_the_next_message_on(world: World) -> None:
    assert await world.say("deny draw member 100") == "rule_taken"
    assert await world.say("deny talk 5") == "rule_taken"
    draw = call("imagine", author=Author("8", "Cy"), private=False, space="100", options={"text": "a cat"})
    assert await world.parts(draw) == [Notice("lacking.draw")]
    talk = message("hi", author=Author(BOB, "Bob"), private=False, space="100")
    assert await world.parts(talk) == [Notice("lacking.talk")]
    assert await world.parts(talk) == [], "said once a day"
    help = call("help", author=Author(BOB, "Bob"), private=False, space="100")
    assert await world.parts(help) == []
    assert await world.say("reset talk 5") == "rule_dropped"
    (told,) = await world.parts(help)
    assert isinstance(told, TextDelta)


async def test_what_was_chosen_for_an_account_that_is_no_more_is_taken_back(world: World) -> None:
    world.club.people["7"] = Member("Gone", Rank.BELOW)
    assert await world.say("role 7 blocked") == "role_set"
    assert await world.say("deny draw 7") == "rule_taken"
    del world.club.people["7"]
    assert await world.say("role 7 moderator") == "account_unknown"
    assert await world.say("role 7 automatic") == "role_automatic"
    assert await world.say("reset draw 7") == "rule_dropped"
    settings = await world.settings()
    assert (settings.roles, settings.grants) == ({}, ())


async def test_who_was_made_a_moderator_warns_members_and_nobody_above(world: World) -> None:
    world.club.people[BOB] = Member("Bob", Rank.ABOVE)
    cy: dict[str, Any] = {"author": Author("8", "Cy"), "private": False, "space": "100"}
    world.club.people["8"] = Member("Cy", Rank.BELOW)

    async def warned(account: str) -> str:
        parts = await world.parts(call("warn", options={"user": account, "reason": "rude"}, **cy))
        assert isinstance(parts[0], Notice)
        return parts[0].key

    assert await warned(BOB) == "lacking.warn"
    assert await world.say("role 8 moderator") == "role_set"
    assert await warned(BOB) == "warned"
    assert await warned(OTHER_ADMIN) == "not_above_you"
    assert await warned(BOSS) == "not_the_owner"
    await world.say("role 8 automatic")
    assert await warned(BOB) == "lacking.warn"
    assert await world.say("grant warn 8") == "rule_given"
    assert await warned(BOB) == "warned"


async def test_the_list_names_people_and_nothing_in_it_is_a_mark(world: World) -> None:
    world.club.people[BOB] = Member("**Bob** `x` @everyone\u202e", Rank.BELOW)
    assert await world.say("roles") == "roles_none"
    for text in ("role 5 moderator", "grant warn 5 42", "deny draw everyone", "deny upload member"):
        await world.say(text)
    told = await world.say("roles")
    assert "- `**Bob** 'x' @everyone" in told
    assert "allowed in `42`: warn people" in told
    assert "- everyone: not allowed: have pictures made" in told
    assert "- member: not allowed: have files read" in told


async def test_of_two_admins_at_once_one_is_told_that_there_was_another(world: World) -> None:
    said = await asyncio.gather(*(world.say(f"role {who} member", BOSS) for who in (ADMIN, OTHER_ADMIN, BOB)))
    assert "role_set" in said
    assert set(said) <= {"role_set", "changed_meanwhile"}
    assert len((await world.settings()).roles) == said.count("role_set")


async def test_changes_stand_in_the_log(world: World) -> None:
    await world.say("role 5 moderator")
    (entry,) = [text for _, text in await Spaces(world.store).records.log(SPACE, 5)]
    assert "telegram:5" in entry
    assert "telegram:2" in entry


# ---------------------------------------------------------------------- shutting out
async def owner(world: World, text: str) -> str:
    return await world.say(text, OURS, private=True, space="")


async def test_who_is_shut_out_is_told_once_and_let_in_again(world: World) -> None:
    assert await owner(world, "block 5 spam  and\nmore") == "blocked_set"
    people = People(world.store)
    assert (await people.fresh("telegram:5")).value.blocked == "spam and more"
    talk = message("hi", author=Author(BOB, "Bob"))
    assert await world.parts(talk) == [Notice("blocked_everywhere")]
    assert await world.parts(talk) == []
    waiting = call("help", author=Author(BOB, "Bob"), reply_token="t")
    assert await world.parts(waiting) == [Notice("blocked_everywhere")], "Discord shows that an answer is coming"
    assert await owner(world, "unblock telegram:5") == "blocked_lifted"
    assert await owner(world, "unblock 5") == "not_blocked"
    (told,) = await world.parts(call("help", author=Author(BOB, "Bob")))
    assert isinstance(told, TextDelta)


async def test_all_linked_accounts_are_shut_out(world: World) -> None:
    people = People(world.store)
    linked = ("telegram:5", "discord:8")
    await people.change("telegram:5", lambda person: person.model_copy(update={"id": "telegram:5", "accounts": linked}))
    await people.records.change("discord:8", lambda person: person.model_copy(update={"goes_by": "telegram:5"}))
    assert await owner(world, "block discord:8") == "blocked_set"
    assert (await people.fresh("telegram:5")).value.blocked == "-"
    assert await world.parts(message("hi", author=Author(BOB, "Bob"))) == [Notice("blocked_everywhere")]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("block", "block_how"),
        ("block mars:5", "block_how"),
        ("block 99", "not_yourself"),
        ("block ！", "block_how"),
        ("block 005", "block_how"),
    ],
)
async def test_a_wrong_account_is_told(world: World, text: str, key: str) -> None:
    assert await owner(world, text) == key


async def test_only_the_owner_blocks(world: World) -> None:
    assert await world.say("block 5", ADMIN, private=True, space="") == "owner_only"
