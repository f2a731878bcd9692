"""Roles, rights and /why on Discord and Telegram, through the whole of Parley."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.end_to_end.test_discord_rights import Club
from tests.platforms.discord_permissions import May

GROUP, OWNER, MO, BOB = -4001, 3, 4, 5


@pytest.fixture
async def club(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Club]:
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="") as place:
        club = Club(place)
        await club.registered()
        yield club
        assert place.discord.violations == []


def shown(club: Club) -> list[str]:
    return [posted.text for posted in club.discord.by_bot(club.channel)]


async def test_a_role_on_discord_and_why_it_holds(club: Club) -> None:
    club.world.permissions.give(club.guild, club.mo, May.MANAGE_GUILD)
    role = club.world.permissions.give(club.guild, club.carol, May.SEND_MESSAGES)
    assert await club.call("admin role", club.bob, user=club.carol, role="member") == say("lacking.configure")
    assert await club.call("admin role", club.mo, user=club.world.alice, role="member") == say("not_the_owner")
    done = say("role_set", name="`Bob`", role=say("role.blocked"))
    assert await club.call("admin role", club.mo, user=club.bob, role="blocked") == done
    club.discord.say("hello", club.channel, mention=True, user=club.bob)
    await until(lambda: say("blocked_here") in shown(club), "the sentence")
    assert "as shut out here" in await club.call("why", club.bob, right="talk")
    assert "as shut out here" in await club.call("why", club.mo, user=club.bob)
    assert await club.call("why", club.carol, user=club.bob) == say("why_others")
    values = {"right": say("right.draw"), "name": f"`{role}`"}
    assert await club.call("admin deny", club.mo, right="draw", server_role=role) == say("rule_taken", **values)
    said = await club.call("why", club.carol, right="draw")
    assert said.startswith(say("why_rule.no", right=say("right.draw"), whom=say("platform_role", id=f"`{role}`")))
    listed = await club.call("admin roles", club.mo)
    assert "`Bob`" in listed
    assert f"`{role}`" in listed


async def test_who_was_made_an_admin_chooses_for_all_and_who_was_unmade_does_not(club: Club) -> None:
    """Where a press is decided at the receiver, too."""
    club.world.permissions.give(club.guild, club.mo, May.MANAGE_GUILD)
    page = club.discord.slash("settings", {}, club.channel, user=club.mo)
    assert say("settings_head") in await club.said(page)
    await club.call("admin role", club.world.alice, user=club.mo, role="member")
    await club.call("admin role", club.world.alice, user=club.bob, role="admin")
    press = club.discord.press(page.original, ".set buttons=0", user=club.mo)
    await until(lambda: bool(press.answered), "the press is answered")
    assert say("admins_only") in str(press.callback)
    other = club.discord.slash("settings", {"name": "buttons", "value": "off"}, club.channel, user=club.bob)
    assert await club.said(other) == say("settings_set")


async def test_what_was_not_answered_is_told_by_the_menu_of_its_message(club: Club) -> None:
    await club.call("admin deny", club.world.alice, right="talk", role="member")
    asked = club.discord.say("hello", club.channel, mention=True, user=club.bob)
    await until(lambda: say("lacking.talk") in shown(club), "the sentence")
    why = club.discord.choose_in_menu("Why", asked.id, club.channel, user=club.bob)
    assert f"> {say('lacking.talk')}" in await club.said(why)
    stranger = club.discord.choose_in_menu("Why", asked.id, club.channel, user=club.carol)
    assert await club.said(stranger) == say("why_others")


async def test_roles_on_telegram_are_given_by_replies_and_mentions(on_telegram: Village) -> None:
    place = on_telegram
    world = place.telegram.world
    chat = world.group(GROUP)
    chat.admins.add(OWNER)
    chat.moderators[MO] = ("can_change_info",)
    spam = world.text(GROUP, "buy this", user=BOB)

    async def said(text: str, user: int, reply_to: int = 0, **more: Any) -> str:
        before = len(world.texts(GROUP))
        world.text(GROUP, text, user=user, reply_to=reply_to, **more)
        await until(lambda: len(world.texts(GROUP)) > before, f"an answer to {text}")
        return world.texts(GROUP)[-1].replace("`", "")

    assert await said("/admin role blocked", BOB, spam) == say("lacking.configure")
    person = world.person(BOB)
    name = f"{person['first_name']} {person['last_name']}"
    done = say("role_set", name=name, role=say("role.blocked"))
    assert await said("/admin role blocked", MO, spam) == done
    assert await said("@parley_bot hello", BOB) == say("blocked_here")
    world.text(GROUP, "@parley_bot hello again", user=BOB)
    assert "as shut out here" in await said("/why talk", BOB)
    mention = {"type": "text_mention", "offset": 12, "length": len(name), "user": person}
    command = {"type": "bot_command", "offset": 0, "length": 6}
    text = f"/admin role {name} automatic"
    assert await said(text, MO, entities=[command, mention]) == say("role_automatic", name=name)
    assert world.texts(GROUP).count(say("blocked_here")) == 1, "said once a day"
    assert await said("@parley_bot hello", BOB) != say("blocked_here")
