"""The owner's pages: for the owner alone, by plain forms, and of two tabs at once the second is told."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import aiohttp
import pytest

from core.message import Platform
from core.people.changing import Actor, change_space, history
from core.people.community import Community
from core.people.fields import FIELDS
from core.people.spaces import Allowance, SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from tests.bots.web_chat.world import Visitor, World, found

SPACE, PATH = "discord:900:5", "/console/spaces/discord/900/5"


@pytest.fixture
async def community(store: Store) -> Community:
    community = Community.of(Settings(), store)
    community.seen.saw(Platform.DISCORD, "900", "5", "Chess <b>Club</b>", members=12)
    await community.seen.flush()
    return community


async def fields_of(visitor: Visitor) -> dict[str, str]:
    """What a browser would send of the page's form as it is."""
    _, page = await visitor.get(PATH)
    form = page[page.index('class="settings"') : page.index("</form>")]
    values = {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
    for name, options in re.findall(r'<select id="[^"]*" name="(\w+)">(.*?)</select>', form, re.DOTALL):
        values[name] = html.unescape(found(r'value="([^"]*)" selected', options))
    return {name: value for name, value in values.items() if name not in ("models", "tools")}


async def send(visitor: Visitor, path: str, data: object) -> tuple[int, str]:
    """As a browser without script sends a form: no header but its own."""
    headers = {**visitor.own, "Accept": "text/html"}
    async with visitor.http.post(path, data=data, headers=headers) as answer:
        return answer.status, await answer.text()


async def save(visitor: Visitor, changed: Mapping[str, str]) -> tuple[int, str]:
    return await send(visitor, PATH, {**await fields_of(visitor), **changed})


async def settings(community: Community) -> SpaceSettings:
    return (await community.spaces.records.fresh(SPACE)).value


async def test_guests_and_strangers_see_nothing(world: World, owner: Visitor, community: Community) -> None:
    link = html.unescape(found(r'value="(http[^"]+)"', (await owner.post("/invitations"))[1]))
    async with world.browser() as guest, world.browser() as stranger:
        await guest.enter(link)
        assert "/console" not in (await guest.get("/"))[1]
        for path in ("/console", PATH, f"{PATH}/export"):
            assert (await guest.get(path))[0] == 403
            assert (await stranger.get(path))[0] == 401
        for path in (PATH, f"{PATH}/undo", f"{PATH}/import", f"{PATH}/apply"):
            assert (await send(guest, path, {"token": guest.token, "version": "0"}))[0] == 403
            assert (await send(stranger, path, {"token": owner.token, "version": "0"}))[0] == 401
    assert await settings(community) == SpaceSettings()


async def test_a_form_without_our_token_changes_nothing(owner: Visitor, community: Community) -> None:
    for token in ("", "0" * 64):
        status, page = await save(owner, {"token": token, "keep_days": "7"})
        assert status == 403
        assert "<html" in page
    assert await settings(community) == SpaceSettings()


async def test_the_list_and_the_page_show_names_as_text(owner: Visitor, community: Community) -> None:
    for path in ("/console", PATH):
        status, page = await owner.get(path)
        assert status == 200
        assert "Chess &lt;b&gt;Club&lt;/b&gt;" in page
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert "12 members" in (await owner.get("/console"))[1]
    _, page = await owner.get(PATH)
    assert [field.name for field in FIELDS if f'name="{field.name}"' not in page] == []
    assert 'href="/console"' in (await owner.get("/"))[1]


async def test_what_is_no_known_space_is_not_found(owner: Visitor, community: Community) -> None:
    for path in ("discord/900/6", "web/1/2", "discord/900/x", "discord/a:b/5", "telegram/900/5"):
        assert (await owner.get(f"/console/spaces/{path}"))[0] == 404, path


async def test_the_whole_form_is_saved_as_one_change(owner: Visitor, community: Community) -> None:
    form = {"keep_days": "7", "answers": "always", "person_day_money": "2.50", "only_channels": "1, 2", "passive": "on"}
    status, page = await save(owner, form)
    assert status == 200
    assert "Saved." in page
    now = await settings(community)
    assert (now.keep_days, now.answers, now.only_channels, now.passive) == (7, "always", ("1", "2"), True)
    assert now.person_allowance == Allowance(day_money=2_500_000)
    (entry,) = await history(community, SPACE)
    assert entry.actor.startswith("web:")
    assert "as set up → 7" in page
    # Sent as it is, nothing changes; emptied, a field is as set up again.
    await save(owner, {})
    await save(owner, {"keep_days": "", "answers": ""})
    assert len(await history(community, SPACE)) == 2
    assert (await settings(community)).keep_days is None


async def test_models_are_ticked(owner: Visitor, community: Community) -> None:
    data = aiohttp.FormData({**await fields_of(owner)})
    for name in ("large-2", "small-1"):
        data.add_field("models", name)
    await send(owner, PATH, data)
    assert set((await settings(community)).models) == {"small-1", "large-2"}
    page = (await owner.get(PATH))[1]
    assert len(re.findall(r'name="models" value="[^"]+" checked', page)) == 2


async def test_tools_are_ticked_and_words_typed(owner: Visitor, community: Community) -> None:
    status, page = await save(owner, {"tools": "draw", "blocked_words": "spam, <b>"})
    assert status == 200
    kept = await settings(community)
    assert (kept.tools, kept.blocked_words) == (("draw",), ("spam", "<b>"))
    assert re.findall(r'name="tools" value="([^"]+)" checked', page) == ["draw"]
    assert 'name="blocked_words" value="spam, &lt;b&gt;"' in page
    assert (await save(owner, {"tools": "off"}))[0] == 200
    assert (await settings(community)).tools == ("off",)


async def test_a_wrong_field_is_marked_and_nothing_is_saved(owner: Visitor, community: Community) -> None:
    status, page = await save(owner, {"keep_days": "-1", "quiet": '22-7"><b>', "language": "en"})
    assert status == 422
    assert page.count('class="error"') == 2
    assert 'value="-1"' in page
    _, other = await save(owner, {"quiet": "22_to_7"})
    assert "“22_to_7” cannot be used" in other, "as text, without marks of Markdown"
    assert "<b>" not in page[page.index("settings") :]
    assert await settings(community) == SpaceSettings()


async def test_the_second_of_two_tabs_sees_a_conflict(owner: Visitor, community: Community) -> None:
    first = await fields_of(owner)
    await change_space(community, SPACE, Actor("x", "X"), lambda s: s.model_copy(update={"keep_days": 9}))
    status, page = await send(owner, PATH, {**first, "language": "en"})
    assert status == 409
    assert "Somebody else has changed this" in page
    assert (await settings(community)).language == ""
    for version in ("", "-1", "x", "9" * 40):
        assert (await save(owner, {"version": version, "language": "en"}))[0] == 409
    # With a mistake in it as well: corrected, it would put back what the other one has changed.
    status, page = await send(owner, PATH, {**first, "quiet": "late"})
    assert status == 409
    assert 'value="9"' in page


async def test_the_last_change_is_taken_back(owner: Visitor, community: Community) -> None:
    await save(owner, {"keep_days": "7"})
    status, page = await send(owner, f"{PATH}/undo", {"token": owner.token, "version": "1"})
    assert status == 200
    assert "taken back" in page
    assert await settings(community) == SpaceSettings()
    assert (await send(owner, f"{PATH}/undo", {"token": owner.token, "version": "1"}))[0] == 409


def upload(visitor: Visitor, data: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData({"token": visitor.token})
    form.add_field("file", data, filename="settings.toml", content_type="application/toml")
    return form


async def test_a_file_is_compared_first_and_applied_then(owner: Visitor, community: Community) -> None:
    await save(owner, {"keep_days": "7"})
    async with owner.http.get(f"{PATH}/export") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="settings-discord-5.toml"'
        exported = await answer.read()
    changed = exported.replace(b"keep_days = 7", b"keep_days = 30")
    status, page = await send(owner, f"{PATH}/import", upload(owner, changed))
    assert status == 200
    assert "7 → 30" in page
    assert (await settings(community)).keep_days == 7
    file, version = (html.unescape(found(rf'name="{name}" value="([^"]*)"', page)) for name in ("file", "version"))
    applying = {"token": owner.token, "file": file, "version": version}
    assert (await send(owner, f"{PATH}/apply", applying))[0] == 200
    assert (await settings(community)).keep_days == 30
    assert (await send(owner, f"{PATH}/apply", applying))[0] == 409


async def test_a_bad_file_is_told_and_changes_nothing(owner: Visitor, community: Community) -> None:
    for data in (b"", b"format = 9\n", b"[[", b"\xff", b"#" * 70_000, b"format = 1\n[settings]\n"):
        status, page = await send(owner, f"{PATH}/import", upload(owner, data))
        assert status == 422, data
        assert 'role="alert"' in page
    assert await settings(community) == SpaceSettings()
