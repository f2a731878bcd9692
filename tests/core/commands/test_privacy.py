"""/privacy, as the engine answers it."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Platform
from core.models.catalog import Catalog
from core.parts import Finished, Media, Menu, Notice, Part, TextDelta
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.texts import say
from tests.builders import ADA, call, conversation
from tests.core.engines import engine
from tests.core.people.everything import ADA as HUMAN
from tests.core.people.everything import World


async def answer(store: Store, asked: CommandCall, settings: Settings | None = None) -> list[Part]:
    chosen = settings or Settings()
    mailbox = Mailbox(store, "w", Admission(), keep_days=30)
    async with engine(store, mailbox, models=Catalog.of(chosen), settings=chosen) as answering:
        parts = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
    assert isinstance(parts[-1], Finished)
    return parts[:-1]


async def told(store: Store, asked: CommandCall, settings: Settings | None = None) -> str:
    return "\n".join(part.text for part in await answer(store, asked, settings) if isinstance(part, TextDelta))


def typed(text: str = "", **values: Any) -> CommandCall:
    return call("privacy", options={"text": text} if text else {}, **values)


async def test_it_says_what_holds_here(store: Store) -> None:
    settings = Settings.model_validate(
        {
            "providers": [{"name": "acme-cloud", "base_url": "https://models.example.org/v1"}],
            "models": [{"name": "m", "provider": "acme-cloud"}],
            "storage": {"keep_days": 12},
        }
    )
    text = await told(store, typed(), settings)
    assert "12 days" in text
    assert "`acme-cloud`" in text
    assert say("privacy.open") in text
    assert say("privacy.passive_off") not in text
    text = await told(store, typed(private=False, space="-5"), settings)
    assert say("privacy.passive_off") in text
    assert say("privacy.seen_group") in text
    german_or_not = await told(store, typed(author=Author("7", "Ada", language="zh-hans")))
    assert say("privacy_head", "zh_Hans") in german_or_not


async def test_a_space_says_what_it_chose_for_itself(store: Store) -> None:
    world = World(store)

    def change(now: Any) -> Any:
        return now.model_copy(update={"keep_days": 3, "passive": True})

    await world.community.spaces.change("telegram:1:-5", change)
    text = await told(store, typed(private=False, space="-5"))
    assert "3 days" in text
    assert say("privacy.passive_on") in text
    assert "30 days" in await told(store, typed(chat="-6", private=False, space="-6"))


async def test_its_buttons_and_a_link_lead_there(store: Store) -> None:
    _, menu = await answer(store, typed())
    assert isinstance(menu, Menu)
    assert [choice.command for row in menu.rows for choice in row] == ["privacy export", "privacy erase"]
    assert "/privacy export" in menu.instead
    by_link = await answer(store, call("start", options={"text": "privacy"}))
    assert by_link == [*await answer(store, typed())]


@pytest.mark.parametrize("action", ["export", "erase", "erase 123456789012"])
async def test_what_is_private_is_handed_over_in_private_alone(store: Store, action: str) -> None:
    (part,) = await answer(store, typed(action, private=False, space="-5"))
    assert part == Notice("privacy_privately", {"name": "privacy"})
    # Discord shows the answer to the asker alone.
    place = conversation(platform=Platform.DISCORD)
    parts = await answer(store, typed(action, conversation=place, private=False, space="5", reply_token="t"))
    assert Notice("privacy_privately", {"name": "privacy"}) not in parts


async def test_words_that_mean_nothing_are_told(store: Store) -> None:
    assert await answer(store, typed("sell everything")) == [Notice("privacy_how")]
    assert Notice("privacy_code") in await answer(store, typed("erase 0123456789ab"))


async def test_all_of_theirs_comes_as_a_file(store: Store) -> None:
    world = World(store)
    await world.use(HUMAN, HUMAN)
    parts = await answer(store, typed("export", conversation=HUMAN.chat, author=HUMAN.telegram))
    (media,) = [part for part in parts if isinstance(part, Media)]
    assert (media.name, media.mime) == ("parley-1.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(media.data)) as archive:
        assert b"README" not in archive.read("README.txt")
        assert len([name for name in archive.namelist() if name.startswith("conversations/")]) == 10


async def test_erasing_is_asked_for_confirmed_and_receipted(store: Store) -> None:
    world = World(store)
    await world.use(HUMAN, HUMAN)
    values = {"conversation": HUMAN.chat, "author": HUMAN.telegram}
    first, menu = await answer(store, typed("erase", **values))
    assert isinstance(first, TextDelta)
    assert "- 8 questions of yours, with their answers, pictures and files" in first.text
    assert isinstance(menu, Menu)
    ((button,),) = menu.rows
    found = re.fullmatch(r"privacy (erase [0-9a-f]{12})", button.command)
    assert found is not None
    # Another person cannot use the button, nor its code.
    assert Notice("privacy_code") in await answer(store, typed(found[1]))
    text = await told(store, typed(found[1], **values))
    assert "- 8 questions of yours" in text
    assert say("privacy.stays_cases") in text
    assert say("privacy.stays_platform") in text
    # Nothing is left to be told but that, and the same receipt for whoever comes back with the same code.
    assert "8 questions" in await told(store, typed(found[1], **values))
    await passed(store)
    first, _ = await answer(store, typed("erase", **values))
    assert isinstance(first, TextDelta)
    assert "questions of yours" not in first.text


async def passed(store: Store) -> None:
    """Lets the time pass in which nobody may look through everything again."""
    for key in [key async for key in store.redis.scan_iter(match=keys.recently("privacy:*"))]:
        await store.redis.delete(key)


async def test_everything_is_looked_through_now_and_then_for_each(store: Store) -> None:
    first, second = typed("export"), typed("export")
    assert [part for part in await answer(store, first) if isinstance(part, Media)]
    # The same call is answered by another process, when the first one died of it.
    assert [part for part in await answer(store, first) if isinstance(part, Media)]
    assert await answer(store, second) == [Notice("privacy_soon", {"seconds": 20})]
    assert await answer(store, typed("export", author=Author("8", "Bob"))) != [Notice("privacy_soon", {"seconds": 20})]
    await passed(store)
    assert await answer(store, second) != [Notice("privacy_soon", {"seconds": 20})]


async def test_who_is_shut_out_has_it_too(store: Store) -> None:
    people = World(store).community.people
    await people.change("telegram:7", lambda person: person.model_copy(update={"blocked": "spam"}))
    assert say("privacy_head") in await told(store, typed())
    assert [part for part in await answer(store, typed("export")) if isinstance(part, Media)]
    (denied,) = await answer(store, call("help"))
    assert isinstance(denied, Notice)


async def test_who_has_nothing_is_told_so(store: Store) -> None:
    first, _ = await answer(store, typed("erase", author=ADA))
    assert isinstance(first, TextDelta)
    assert say("privacy.nothing") in first.text
