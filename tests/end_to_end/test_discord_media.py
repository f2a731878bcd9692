"""Voice and pictures, all the way from Discord to the models and back."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from core.conversation.history import History
from core.message import ConversationKey, Platform
from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.platforms.discord_components import GALLERY, ROW, TEXT
from tests.platforms.discord_permissions import May
from tests.platforms.discord_world import VOICE, Posted
from tests.platforms.openai_images import FORBIDDEN, png
from tests.platforms.opus import opus

MODELS = """
[[models]]
name = "whisper"
provider = "openai"
kind = "transcription"

[[models]]
name = "voice"
provider = "openai"
kind = "speech"

[[models]]
name = "painter"
provider = "openai"
kind = "image"
price_image = 0.04
"""
SOUND = opus([40] * 50 + [200] * 50)
"""Two seconds, the second half louder."""


@pytest.fixture
async def gifted(
    store: Store, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Village]:
    """Parley with models that hear, speak and draw. Nothing that Discord would block or ignore is done."""
    monkeypatch.setattr("core.storage.channels.LOOK_SECONDS", 0.02)
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="") as running:
        running.models.audio.sound = SOUND
        yield running
    assert running.discord.violations == []


def room(at: Village) -> str:
    """The channel of direct messages."""
    world = at.discord.world
    return world.direct(world.alice)


async def answers(at: Village, channel: str, count: int) -> list[Posted]:
    """Waits for so many messages of the bot in a channel."""
    await until(lambda: len(at.discord.by_bot(channel)) >= count, f"{count} messages")
    return at.discord.by_bot(channel)


async def shown(at: Village, channel: str, text: str) -> Posted:
    """The message of the bot that comes to show this."""
    await until(lambda: any(text in posted.text for posted in at.discord.by_bot(channel)), text)
    return next(posted for posted in at.discord.by_bot(channel) if text in posted.text)


async def spoken_always(at: Village, channel: str) -> None:
    history = History(at.store, keep_days=1, max_messages=100)
    await history.choose(ConversationKey(Platform.DISCORD, at.discord.world.bot, channel), "spoken", "1")


async def test_a_voice_message_is_a_question(gifted: Village) -> None:
    gifted.discord.voice_message(SOUND)
    await shown(gifted, room(gifted), "What is the tallest mountain?")
    (heard,) = gifted.models.audio.heard
    assert heard.data == SOUND
    assert heard.name == "recording.ogg"


async def test_nobody_can_mention_the_bot_in_a_voice_message_but_reply_to_it(gifted: Village) -> None:
    discord, general = gifted.discord, gifted.discord.world.general
    discord.voice_message(SOUND, channel=general)
    discord.say("Hello", general, mention=True)
    hello = await shown(gifted, general, "Hello")
    discord.voice_message(SOUND, channel=general, reply_to=hello.id)
    await shown(gifted, general, "🎤")
    thread = discord.open_thread("Mine")
    discord.voice_message(SOUND, channel=thread)
    await shown(gifted, thread, "🎤")
    # The first one was for others.
    assert len(gifted.models.audio.heard) == 2
    await offered(gifted)
    discord.slash("settings", {"name": "answers", "value": "always"}, general)
    await shown(gifted, general, say("settings_set"))
    async with asyncio.timeout(20):
        while not any("Anybody" in posted.text for posted in discord.by_bot(general)):
            # The receiver looks every 20 ms whether that was chosen.
            discord.say("Anybody?", general)
            await asyncio.sleep(0.2)
    discord.voice_message(SOUND, channel=general)
    await until(lambda: len(gifted.models.audio.heard) == 3, "the third one is heard")


async def test_limits_are_told_before_anything_is_fetched(gifted: Village) -> None:
    gifted.discord.voice_message(SOUND, seconds=100_000.0)
    await shown(gifted, room(gifted), "too long")
    assert not gifted.models.audio.heard


async def test_an_address_that_has_expired_is_asked_for_anew(gifted: Village) -> None:
    gifted.discord.voice_message(SOUND, expired=True)
    await shown(gifted, room(gifted), "What is the tallest mountain?")
    assert len(gifted.discord.wire.made("POST /attachments/refresh-urls")) == 1


async def test_an_answer_is_a_real_voice_message(gifted: Village) -> None:
    await spoken_always(gifted, room(gifted))
    gifted.discord.say("Say something")
    text, sound = await answers(gifted, room(gifted), 2)
    assert "Say something" in text.text
    assert sound.data["flags"] & VOICE
    (file,) = sound.data["attachments"]
    assert file["duration_secs"] == 2.0
    waveform = base64.b64decode(file["waveform"])
    assert waveform[0] < waveform[-1] == 255


async def test_where_no_voice_message_may_be_sent_the_sound_is_a_file(gifted: Village) -> None:
    world, general = gifted.discord.world, gifted.discord.world.general
    world.permissions.overwrite(general, world.guild["id"], deny=May.SEND_VOICE_MESSAGES)
    await spoken_always(gifted, general)
    for number in (1, 2):
        gifted.discord.say(f"Say {number}", general, mention=True)
        sound = (await answers(gifted, general, 2 * number))[-1]
        assert not sound.data["flags"] & VOICE
        assert [file["filename"] for file in sound.data["attachments"]] == ["answer.ogg"]
    # Refused calls count towards a ban: it is not tried each time.
    refused = [call for call in gifted.discord.calls if call.status == 403]
    assert len(refused) == 1


async def test_what_is_no_opus_is_a_file(gifted: Village) -> None:
    gifted.models.audio.sound = b"ID3\x04" + bytes(100)
    await spoken_always(gifted, room(gifted))
    gifted.discord.say("Say something")
    sound = (await answers(gifted, room(gifted), 2))[-1]
    assert [file["filename"] for file in sound.data["attachments"]] == ["answer.mp3"]


async def test_a_command_is_answered_with_the_sound(gifted: Village) -> None:
    gifted.discord.say("Say something")
    await shown(gifted, room(gifted), "Say something")
    await offered(gifted)
    made = gifted.discord.slash("speak")
    # An interaction's token sends no voice messages.
    await until(lambda: bool(made.original and gifted.discord.world.find(made.original).data["attachments"]), "sound")
    assert gifted.discord.world.find(made.original).data["attachments"][0]["filename"] == "answer.ogg"


async def offered(at: Village) -> set[str]:
    """What Discord lists of the bot."""
    await until(lambda: bool(at.discord.world.commands), "commands")
    return {command["name"] for command in at.discord.world.commands}


def pictures(at: Village, channel: str) -> list[bytes]:
    """All that the bot has shown."""
    files = at.discord.world.files
    shown = [file for posted in at.discord.by_bot(channel) for file in posted.data["attachments"]]
    return [files["/attachments" + file["url"].partition("/attachments")[2].partition("?")[0]][0] for file in shown]


async def test_a_picture_is_drawn(gifted: Village) -> None:
    world = gifted.discord.world
    await offered(gifted)
    gifted.discord.slash("imagine", {"prompt": "a fox", "size": "wide", "count": 2}, world.general)
    await until(lambda: len(pictures(gifted, world.general)) == 2, "two pictures")
    answer = await shown(gifted, world.general, "AI-generated by painter")
    assert len(gifted.discord.by_bot(world.general)) == 1
    assert [component["type"] for component in answer.data["components"]] == [TEXT, GALLERY, TEXT, ROW, ROW]
    (gallery,) = (part for part in answer.data["components"] if part["type"] == GALLERY)
    assert [item["description"] for item in gallery["items"]] == ["a fox"] * 2
    assert answer.footer.startswith("painter")
    body = gifted.models.images.asked[-1]
    assert (body["prompt"], body["size"], body["n"]) == ("a fox", "1536x1024", 2)
    with Image.open(io.BytesIO(pictures(gifted, world.general)[0])) as image:
        assert image.info["Description"] == "AI-generated by painter"
        assert image.size == (4, 4)
    gifted.discord.press(answer.id, "imagine size=tall")
    await until(lambda: len(pictures(gifted, world.general)) == 4, "two more pictures")
    assert gifted.models.images.asked[-1] == {**body, "size": "1024x1536"}


async def test_what_somebody_said_is_drawn_from_its_menu(gifted: Village) -> None:
    discord = gifted.discord
    await offered(gifted)
    said = discord.say("a castle by the sea", discord.world.general)
    made = discord.choose_in_menu("Draw this", said.id)
    await until(lambda: len(gifted.models.images.asked) > 0, "a picture asked for")
    assert gifted.models.images.asked[-1]["prompt"] == "a castle by the sea"
    await until(lambda: len(pictures(gifted, discord.world.general)) == 1, "a picture")
    (answer,) = discord.by_bot(discord.world.general)
    assert (answer.id, answer.ephemeral) == (made.original, True)
    assert "a castle by the sea" in answer.text


async def test_pictures_are_drawn_where_the_bot_is_no_member(gifted: Village) -> None:
    """Nothing but the command's token leads there."""
    discord = gifted.discord
    await offered(gifted)
    made = discord.slash("imagine", {"prompt": "a fox", "count": 4}, discord.world.general, own_install=True)
    await until(lambda: len(pictures(gifted, discord.world.general)) == 4, "four pictures")
    assert (made.followups, discord.by_bot(discord.world.general)[0].id) == ([], made.original)
    assert [call for call in discord.calls if call.status >= 400] == []


async def test_what_the_rules_do_not_allow_is_told_politely(gifted: Village) -> None:
    await offered(gifted)
    gifted.discord.slash("imagine", {"prompt": FORBIDDEN})
    await shown(gifted, room(gifted), "its rules do not allow it")


async def test_what_a_model_can_do_is_a_command(gifted: Village) -> None:
    assert await offered(gifted) >= {"imagine", "Draw this", "speak"}


async def test_what_no_model_can_do_is_no_command(place: Village) -> None:
    names = await offered(place)
    assert "help" in names
    assert not names & {"imagine", "Draw this", "speak"}


def test_the_fake_draws() -> None:
    with Image.open(io.BytesIO(png())) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (200, 60, 60)


async def test_a_voice_message_is_translated_from_its_menu(gifted: Village) -> None:
    discord, world = gifted.discord, gifted.discord.world
    theirs = discord.voice_message(SOUND, channel=world.general)
    await offered(gifted)
    made = discord.choose_in_menu("Translate", theirs.id, world.general, locale="zh-CN")
    await until(lambda: bool(gifted.models.requests) and gifted.models.active == 0, "asked")
    asked = str(gifted.models.requests[-1].body["messages"][-1])
    assert "into Chinese" in asked
    assert "What is the tallest mountain?" in asked
    await until(lambda: bool(discord.world.find(made.original).text.strip()), "its translation")
    assert world.find(made.original).ephemeral
