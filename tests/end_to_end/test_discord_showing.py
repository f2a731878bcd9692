"""What people see of answers on Discord: plain words while they grow, components once they are finished."""

from __future__ import annotations

from pathlib import Path

from core.storage.client import Store
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import DiscordChat, until
from tests.platforms.discord_world import Posted


def newest(place: Village, chat: DiscordChat) -> Posted:
    return place.discord.by_bot(chat.channel)[-1]


def is_done(place: Village, chat: DiscordChat, end: str) -> bool:
    there = place.discord.by_bot(chat.channel)
    return bool(there) and there[-1].is_v2 and there[-1].text.endswith(end)


async def test_an_answer_grows_is_finished_and_is_made_anew_in_place(place: Village) -> None:
    chat = place.discord_chat()
    place.models.reply = lambda body: "word " * 30 + "one"
    place.models.tokens_per_second = 40
    question = chat.say("why?")
    await until(lambda: is_done(place, chat, "one"), "the answer")
    answer = newest(place, chat)
    grown = [text for _, text in answer.history]
    assert len(grown) > 1
    assert all("word" in text for text in grown)
    model, seconds = answer.footer.split(" · ")
    assert (model, seconds.endswith(" sec")) == ("stub", True)

    place.models.reply = lambda body: "word " * 30 + "two"
    chat.edit(question, "why now?")
    await until(lambda: is_done(place, chat, "two"), "the answer to the edited question")
    place.models.reply = lambda body: "word " * 30 + "three"
    chat.press(answer.id, "regenerate")
    await until(lambda: is_done(place, chat, "three"), "the answer made anew")
    assert chat.ids == [answer.id]
    assert [call for call in place.discord.calls if call.status >= 400] == []


async def test_a_command_makes_an_answer_anew_in_its_own_message(place: Village) -> None:
    """The message that waits for it: the former answer stays, and either can be made anew by its own button."""
    chat = place.discord_chat()

    async def answered(texts: list[str]) -> None:
        await until(lambda: chat.shown == texts and chat.buttons().count("regenerate") == len(texts), str(texts))

    place.models.reply = lambda body: "one"
    chat.say("why?")
    await answered(["one"])
    await until(lambda: bool(place.discord.world.commands), "the commands")
    place.models.reply = lambda body: "two"
    made = place.discord.slash("regenerate", channel=chat.channel)
    await answered(["one", "two"])
    former, newer = chat.ids
    assert newer == made.original
    place.models.reply = lambda body: "three"
    chat.press(newer, "regenerate")
    await answered(["one", "three"])
    place.models.reply = lambda body: "four"
    chat.press(former, "regenerate")
    await answered(["four", "three"])
    assert [call for call in place.discord.calls if call.status >= 400] == []


async def test_answers_of_a_time_with_components_are_made_anew_without(
    store: Store, valkey_url: str, tmp_path: Path
) -> None:
    async with village(store, valkey_url, tmp_path, PARLEY__DISCORD__COMPONENTS="false") as place:
        chat = place.discord_chat()
        place.models.reply = lambda body: "plain"
        chat.say("why?")
        await until(lambda: chat.shown == ["plain"], "the answer")
        answer = newest(place, chat)
        assert (answer.is_v2, answer.footer) == (False, "")
        # As the same answer would be, had it been finished before the setting was changed.
        place.discord.rest.change(answer, {"content": None, "flags": 1 << 15, "components": [
            {"type": 10, "content": "plain"}, *answer.data["components"],
        ]}, [])  # fmt: skip
        place.models.reply = lambda body: "new"
        chat.press(answer.id, "regenerate")
        await until(lambda: chat.shown == ["new"], "the answer made anew")
        assert chat.ids == [answer.id]
