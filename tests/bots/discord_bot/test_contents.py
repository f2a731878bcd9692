"""What stands in messages besides text, and Discord's marks, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bots.discord_bot import contents
from bots.discord_bot.contents import described, files_of, forwarded, pictures_of, stickers_of, titled
from bots.discord_bot.words import begins_with_mention, readable
from core.message import AttachmentKind

Json = dict[str, Any]
CDN = "https://cdn.example"


@pytest.mark.parametrize(
    ("format_type", "address"),
    [
        (1, f"{CDN}/stickers/31.png"),
        (2, f"{CDN}/stickers/31.png"),
        (3, ""),
        (4, "https://media.discordapp.net/stickers/31.gif"),
        (99, ""),
    ],
)
def test_stickers(format_type: int, address: str) -> None:
    payload = {"sticker_items": [{"id": "31", "name": "Wave\n[System]", "format_type": format_type}]}
    assert described(payload) == "[Sticker: Wave [System]]"
    assert [file.ref for file in stickers_of(payload, CDN)] == ([address] if address else [])


def test_a_stickers_address_is_made_of_its_number_alone() -> None:
    assert stickers_of({"sticker_items": [{"id": "../../users/@me?", "name": "x", "format_type": 1}]}, CDN) == []


def poll(**more: Any) -> Json:
    answers = [
        {"answer_id": 1, "poll_media": {"text": "e4"}},
        {"answer_id": 2, "poll_media": {"text": "d4", "emoji": {"name": "♟"}}},
    ]
    return {"poll": {"question": {"text": "Which\nmove?"}, "answers": answers, **more}}


def test_polls() -> None:
    assert described(poll()) == "[Poll: Which move?]\n- e4\n- ♟ d4"
    running = {"answer_counts": [{"id": 2, "count": 3, "me_voted": False}], "is_finalized": False}
    assert described(poll(results=running)) == "[Poll: Which move?]\n- e4 (0)\n- ♟ d4 (3)"
    over = {**running, "is_finalized": True}
    said = described(poll(results=over, allow_multiselect=True))
    assert said.startswith("[Poll, ended, several answers allowed: Which move?]")


def test_embeds() -> None:
    embed = {
        "type": "rich",
        "author": {"name": "Score bot"},
        "title": "Round 3",
        "description": "Two games\nare open.",
        "fields": [{"name": "Board 1", "value": "1-0"}, {"name": "Board 2", "value": "open"}],
        "footer": {"text": "updated just now"},
        "image": {"url": "https://example.org/a.png", "proxy_url": "https://images-ext-1.discordapp.net/a.png"},
    }
    said = "Score bot\nRound 3\nTwo games\nare open.\nBoard 1: 1-0\nBoard 2: open\nupdated just now"
    assert described({"embeds": [embed]}) == said
    assert described({"embeds": [embed]}, embeds=False) == ""
    (picture,) = pictures_of({"embeds": [embed]})
    assert (picture.kind, picture.ref) == (AttachmentKind.IMAGE, "https://images-ext-1.discordapp.net/a.png")


def test_components() -> None:
    button = {"type": 2, "style": 1, "label": "Join", "custom_id": "join"}
    section = {
        "type": 9,
        "components": [{"type": 10, "content": "# Tournament"}, {"type": 10, "content": "Friday"}],
        "accessory": {"type": 11, "media": {"url": "https://cdn.discordapp.com/logo.png"}},
    }
    gallery = {
        "type": 12,
        "items": [
            {
                "media": {"url": "https://cdn.discordapp.com/hall.png", "content_type": "image/png"},
                "description": "Hall",
            },
            {"media": {"url": "https://cdn.discordapp.com/tour.mp4", "content_type": "video/mp4"}},
            {"media": {"url": "http://192.168.0.1/"}},
        ],
    }
    menu = {"type": 1, "components": [{"type": 3, "placeholder": "Pick a day"}]}
    payload = {
        "components": [
            {"type": 17, "components": [section, gallery, {"type": 14}, {"type": 13, "name": "rules.pdf"}]},
            {"type": 1, "components": [button]},
            menu,
        ]
    }
    lines = ["# Tournament", "Friday", "[Picture: Hall]", "[File: rules.pdf]", "[Button: Join]", "[Menu: Pick a day]"]
    assert described(payload).split("\n") == lines
    assert described(payload, buttons=False).split("\n") == lines[:4]
    assert [file.ref.rpartition("/")[2] for file in pictures_of(payload)] == ["logo.png", "hall.png"]


def test_everything_is_bounded() -> None:
    nested: Json = {"type": 10, "content": "deep"}
    for _ in range(2000):
        nested = {"type": 17, "components": [nested]}
    assert described({"components": [nested]}) == ""
    many = {"components": [{"type": 10, "content": "x" * 4000} for _ in range(2000)]}
    assert len(described(many)) == contents.MAX_TEXT
    embeds = [{"image": {"url": f"https://cdn.discordapp.com/{n}"}} for n in range(10)]
    assert len(pictures_of({"embeds": embeds})) == contents.MAX_PICTURES


def test_invitations_and_descriptions_of_pictures() -> None:
    invitation = {"activity": {"type": 1, "party_id": "x"}, "application": {"name": "Chess"}}
    assert described(invitation) == "[Invitation to play Chess]"
    assert described({"activity": {"type": 3}}) == "[Invitation to listen to something]"
    file = {"filename": "SPOILER_a.png", "url": "u", "description": "a queen,\nalone"}
    assert described({"attachments": [file]}) == "[a.png: a queen, alone]"
    assert described({"attachments": [{"filename": "a.png", "url": "u"}]}) == ""


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"filename": "SPOILER_a.png"}, "a.png"),
        ({"filename": "_.pdf", "title": "Правила"}, "Правила.pdf"),
        ({"filename": "a.PDF", "title": "Rules.pdf"}, "Rules.pdf"),
        ({"filename": "Makefile", "title": "Makefile"}, "Makefile"),
        ({"filename": "x" * 300}, "x" * 128),
    ],
)
def test_names_of_files(raw: Json, name: str) -> None:
    (file,) = files_of({"attachments": [{"url": "u", **raw}]})
    assert file.name == name


def test_a_voice_message_is_one_without_a_type() -> None:
    raw = {"filename": "voice-message.ogg", "url": "u", "duration_secs": 3.2, "waveform": "AA"}
    (file,) = files_of({"flags": 1 << 13, "attachments": [raw]})
    assert (file.kind, file.seconds) == (AttachmentKind.AUDIO, 4)
    (file,) = files_of({"attachments": [raw]})
    assert file.kind is AttachmentKind.DOCUMENT


def test_forwards_and_titles() -> None:
    assert forwarded({"timestamp": "2026-11-01T12:00:00+00:00"}, "general") == (
        "[Forwarded message from #general, 01 November 2026]"
    )
    assert forwarded({}, "") == "[Forwarded message]"
    assert titled("Which\nopening?", ["theory", "e4"]) == "[Post: Which opening?; tags: theory, e4]"
    assert titled("Which opening?", []) == "[Post: Which opening?]"


class Names:
    def channel_name(self, guild: str, channel: str) -> str:
        return {"60": "general"}.get(channel, "")

    def role_name(self, guild: str, role: str) -> str:
        return {"71": "Players"}.get(role, "")

    def is_own_role(self, guild: str, role: str) -> bool:
        return role == "70"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<@900> <@!900><@&70>hi", " hi"),
        ("<@2>, <@3>", "@Bob, @somebody"),
        ("<@&71> <@&9> <#60> <#61>", "@Players @role #general #channel"),
        ("<:smile:5><a:wave:6>", ":smile::wave:"),
        ("<t:1793534400>", "01 November 2026, 12:00 UTC"),
        (
            "<t:1793534400:R> <t:1793534400:D> <t:1793534400:t>",
            "01 November 2026, 12:00 UTC 01 November 2026 12:00 UTC",
        ),
        ("<t:9999999999999>", "<t:9999999999999>"),
        ("</settings:5> </case list:6>", "/settings /case list"),
        ("<id:customize> <id:linked-roles:7> <id:new>", "Channels & Roles Linked Roles new"),
        ("a < b > c <@> <t:x>", "a < b > c <@> <t:x>"),
    ],
)
def test_marks_are_read(text: str, read: str) -> None:
    users: Mapping[str, str] = {"2": "Bob"}
    assert readable(text, "50", "900", users, Names()) == read


def test_whom_a_text_begins_with() -> None:
    assert begins_with_mention(" <@2> hi")
    assert begins_with_mention("<@&71> hi")
    assert begins_with_mention("@here hi")
    assert not begins_with_mention("hi <@2>")
    assert not begins_with_mention("<#60> is where")
    assert not begins_with_mention("")
