"""Translation by itself: payloads in the gateway's form, odd ones among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bots.discord_bot.interactions import ReplyToken
from bots.discord_bot.translate import to_call, to_deletion, to_edit, to_message
from core.message import AttachmentKind, from_json, to_json

BOT, ALICE, BOB, ROLE, OTHER_ROLE, GUILD, ROOM = "900", "1", "2", "70", "71", "50", "60"
SENT = "2026-11-01T12:00:00.500000+00:00"


@dataclass(frozen=True)
class Known:
    """Surroundings with one guild, one channel and two roles."""

    own_thread: bool = False

    def place(self, guild: str, channel: str) -> str:
        return f"#general in Chess Club ({guild}/{channel})"

    def channel_name(self, guild: str, channel: str) -> str:
        return "general" if channel == ROOM else ""

    def role_name(self, guild: str, role: str) -> str:
        return "Players" if role == OTHER_ROLE else ""

    def is_own_role(self, guild: str, role: str) -> bool:
        return role == ROLE

    def is_own_thread(self, guild: str, channel: str) -> bool:
        return self.own_thread


def payload(content: str = "hi", **more: Any) -> dict[str, Any]:
    """A direct message of Alice's."""
    author = {"id": ALICE, "username": "alice", "global_name": "Alice"}
    base = {"id": "1000", "channel_id": ROOM, "type": 0, "author": author, "content": content, "timestamp": SENT}
    return {**base, "edited_timestamp": None, "mentions": [], "mention_roles": [], "attachments": [], **more}


def in_guild(content: str = "hi", **more: Any) -> dict[str, Any]:
    """A message in a guild that mentions the bot."""
    bot = {"id": BOT, "username": "parley", "bot": True}
    return payload(content, guild_id=GUILD, **{"mentions": [bot], "member": {"nick": "Al"}, **more})


def text_of(raw: dict[str, Any]) -> str:
    message = to_message(raw, BOT, Known())
    assert message is not None
    assert from_json(to_json(message)) == message
    return message.text


def test_every_field() -> None:
    message = to_message(in_guild("<@900> hi"), BOT, Known())
    assert message is not None
    assert str(message.conversation) == "discord:900:60:"
    assert (message.id, message.update, message.text) == ("1000", "1000", "hi")
    assert (message.author.id, message.author.name, message.author.is_bot) == (ALICE, "Al", False)
    assert (message.private, message.space, message.place) == (False, GUILD, "#general in Chess Club (50/60)")
    assert message.sent_at == 1793534400.5
    assert from_json(to_json(message)) == message


@pytest.mark.parametrize("known", [{"global_name": None}, {"global_name": "Alice"}])
def test_names(known: dict[str, Any]) -> None:
    raw = payload()
    raw["author"] = {**raw["author"], **known}
    message = to_message(raw, BOT, Known())
    assert message is not None
    assert message.author.name == (known["global_name"] or "alice")


@pytest.mark.parametrize(
    "changes",
    [
        {"author": {"id": BOT, "username": "parley", "bot": True}},
        {"author": {"id": "3", "username": "other", "bot": True}},
        {"author": {"id": "3", "username": "discord", "system": True}},
        {"webhook_id": "5"},
        *({"type": kind} for kind in (1, 6, 7, 8, 18, 20, 21, 23, 24, 46, 999)),
    ],
)
def test_not_written_by_a_person(changes: dict[str, Any]) -> None:
    assert to_message({**in_guild(), **changes}, BOT, Known()) is None
    assert to_message({**payload(), **changes}, BOT, Known()) is None


def test_in_a_guild_the_bot_must_be_spoken_to() -> None:
    assert to_message(in_guild(mentions=[]), BOT, Known()) is None
    assert to_message(in_guild("@everyone", mentions=[], mention_everyone=True), BOT, Known()) is None
    assert to_message(in_guild(mentions=[], mention_roles=[OTHER_ROLE]), BOT, Known()) is None
    assert to_message(in_guild(mentions=[], mention_roles=[ROLE]), BOT, Known()) is not None
    assert to_message(in_guild(mentions=[]), BOT, Known(own_thread=True)) is not None
    to_bob: dict[str, Any] = {"referenced_message": payload(author={"id": BOB, "username": "bob"})}
    to_bot: dict[str, Any] = {"referenced_message": payload(author={"id": BOT, "username": "parley", "bot": True})}
    assert to_message(in_guild(mentions=[], **to_bob), BOT, Known()) is None
    assert to_message(in_guild(mentions=[], **to_bot), BOT, Known()) is not None
    assert to_message(in_guild(mentions=[], referenced_message=None), BOT, Known()) is None


def test_mentions_become_names() -> None:
    bob = {"id": BOB, "username": "bob", "global_name": "Bob", "member": {"nick": "Bobby"}}
    raw = in_guild(f"<@!900> <@{BOB}>, <@3>: <@&71> <@&{ROLE}><@&9> in <#60>, <#61> <:smile:5> <a:wave:6> <t:5:R>")
    raw["mentions"].append(bob)
    assert text_of(raw) == "@Bobby, @somebody: @Players @role in #general, #channel :smile: :wave: <t:5:R>"


def test_a_bare_mention_is_nothing_but_points_at_what_it_replies_to() -> None:
    assert to_message(in_guild("<@900>"), BOT, Known()) is None
    replied = payload("the text", id="999", author={"id": BOB, "username": "bob"})
    message = to_message(
        in_guild("<@900>", type=19, message_reference={"message_id": "999"}, referenced_message=replied), BOT, Known()
    )
    assert message is not None
    assert (message.text, message.reply_to) == ("", "999")
    assert message.quote is not None
    assert (message.quote.message_id, message.quote.author, message.quote.text) == ("999", "bob", "the text")


def test_pictures_of_the_message_replied_to_belong_to_the_question() -> None:
    files = [_file("a.png", "image/png"), _file("b.zip", "application/zip")]
    replied = payload("", id="999", author={"id": BOB, "username": "bob"}, attachments=files)
    message = to_message(in_guild("what is it?", referenced_message=replied), BOT, Known())
    assert message is not None
    assert [a.name for a in message.attachments] == ["a.png"]
    own = {**replied, "author": {"id": BOT, "username": "parley"}}
    message = to_message(in_guild("what is it?", referenced_message=own), BOT, Known())
    assert message is not None
    assert message.attachments == ()


def test_a_long_quote_is_cut() -> None:
    replied = payload("x" * 4000, author={"id": BOB, "username": "bob"})
    message = to_message(payload(referenced_message=replied), BOT, Known())
    assert message is not None
    assert message.quote is not None
    assert len(message.quote.text) == 1000


@pytest.mark.parametrize(
    ("name", "mime", "kind"),
    [
        ("a.png", "image/png", AttachmentKind.IMAGE),
        ("a.JPG", "", AttachmentKind.IMAGE),
        ("a.webp", None, AttachmentKind.IMAGE),
        ("a.png", "application/zip", AttachmentKind.DOCUMENT),
        ("voice-message.ogg", "audio/ogg", AttachmentKind.AUDIO),
        ("a.mp4", "video/mp4", AttachmentKind.VIDEO),
        ("a.txt", "text/plain; charset=utf-8", AttachmentKind.DOCUMENT),
        ("a", None, AttachmentKind.DOCUMENT),
    ],
)
def test_attachments(name: str, mime: str | None, kind: AttachmentKind) -> None:
    message = to_message(payload("", attachments=[_file(name, mime)]), BOT, Known())
    assert message is not None
    (attachment,) = message.attachments
    assert (attachment.kind, attachment.name, attachment.size) == (kind, name, 5)
    assert ";" not in attachment.mime
    assert not message.unsupported


def test_a_voice_message_tells_its_length() -> None:
    voice = {**_file("voice-message.ogg", "audio/ogg"), "duration_secs": 3.2, "waveform": "AAAA"}
    message = to_message(payload("", attachments=[voice]), BOT, Known())
    assert message is not None
    assert message.attachments[0].seconds == 4


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"sticker_items": [{"id": "1", "name": "x"}]}, "sticker"),
        ({"poll": {"question": {"text": "?"}}}, "poll"),
        ({"activity": {"type": 1}}, "game invitation"),
        ({"components": [{"type": 17}]}, "message"),
        ({}, "message"),
    ],
)
def test_what_cannot_be_read(changes: dict[str, Any], kind: str) -> None:
    message = to_message(payload("", **changes), BOT, Known())
    assert message is not None
    assert message.unsupported == kind
    with_text = to_message(payload("and text", **changes), BOT, Known())
    assert with_text is not None
    assert with_text.unsupported == ""


def test_forwards_are_read() -> None:
    snapshot = {"message": {"content": "what I found", "attachments": [_file("a.png", "image/png")]}}
    raw = payload("", message_reference={"type": 1, "message_id": "5"}, message_snapshots=[snapshot])
    message = to_message(raw, BOT, Known())
    assert message is not None
    assert (message.text, message.reply_to, len(message.attachments)) == ("what I found", "", 1)
    assert text_of({**raw, "content": "look:"}) == "look:\n\nwhat I found"


def test_edits() -> None:
    assert to_edit(payload(), BOT, Known()) is None
    assert to_edit({"id": "1", "channel_id": "2", "edited_timestamp": SENT}, BOT, Known()) is None
    edited = to_edit(payload("new", edited_timestamp=SENT), BOT, Known())
    assert edited is not None
    assert (edited.text, edited.edited, edited.id, edited.update) == ("new", True, "1000", f"1000:{SENT}")
    assert to_edit(in_guild(mentions=[], edited_timestamp=SENT), BOT, Known()) is None


def test_history_gives_what_the_gateway_gave() -> None:
    live = in_guild()
    later = {**live, "edited_timestamp": SENT}
    del later["member"]
    first, second = to_message(live, BOT, Known()), to_message(later, BOT, Known())
    assert first is not None
    assert second is not None
    assert first.update == second.update


def test_deletions() -> None:
    one = to_deletion({"id": "5", "channel_id": ROOM, "guild_id": GUILD}, BOT)
    many = to_deletion({"ids": ["5", "6"], "channel_id": ROOM, "guild_id": GUILD}, BOT)
    assert (one.ids, many.ids) == (("5",), ("5", "6"))
    assert len({one.update, many.update, "5"}) == 3
    assert from_json(to_json(many)) == many


def test_commands_and_buttons() -> None:
    user = {"id": ALICE, "username": "alice"}
    options = [{"name": "text", "type": 3, "value": "a\ud800"}, {"name": "loud", "type": 5, "value": True}]
    raw: dict[str, Any] = {
        "id": str(5 << 22),
        "application_id": "800",
        "type": 2,
        "token": "tok",
        "channel_id": ROOM,
        "user": user,
        "locale": "zh-CN",
        "data": {"name": "chat", "options": options},
    }
    call = to_call(raw, BOT, Known())
    assert call is not None
    assert dict(call.options) == {"text": "a\ufffd", "loud": "true"}
    assert (call.private, call.space, call.author.language) == (True, "", "zh-CN")
    assert call.sent_at == 1420070400.005
    assert ReplyToken.parse(call.reply_token) == ReplyToken(True, "800", raw["id"], "tok")
    assert from_json(to_json(call)) == call
    button = {**raw, "type": 3, "data": {"custom_id": "continue"}, "message": {"id": "9", "flags": 0}}
    pressed = to_call(button, BOT, Known())
    assert pressed is not None
    assert (pressed.name, pressed.reply_to, pressed.reply_token) == ("continue", "9", "")
    hidden = to_call({**button, "message": {"id": "9", "flags": 64}}, BOT, Known())
    assert hidden is not None
    assert ReplyToken.parse(hidden.reply_token) == ReplyToken(False, "800", raw["id"], "tok")
    in_a_guild = to_call({**raw, "guild_id": GUILD, "member": {"nick": "Al", "user": user}}, BOT, Known())
    assert in_a_guild is not None
    assert (in_a_guild.author.name, in_a_guild.space, in_a_guild.private) == ("Al", GUILD, False)
    for kind in (1, 4, 5):
        assert to_call({**raw, "type": kind}, BOT, Known()) is None


def test_a_reply_token_is_read_strictly() -> None:
    for text in ("", "x", "original/1/2", "other/1/2/3", "original/1/2/3/4"):
        assert ReplyToken.parse(text) is None


def _file(name: str, mime: str | None) -> dict[str, Any]:
    return {"id": "7", "filename": name, "content_type": mime, "size": 5, "url": f"https://cdn.discordapp.com/{name}"}
