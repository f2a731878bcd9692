"""Translation by itself: payloads in the gateway's form, odd ones among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bots.discord_bot.translate import to_deletions, to_departures, to_edit, to_message
from core.message import AttachmentKind
from core.message_json import from_json, to_json
from core.people.spaces import USUAL, SpaceSettings

BOT, ALICE, BOB, ROLE, OTHER_ROLE, GUILD, ROOM = "900", "1", "2", "70", "71", "50", "60"
SENT = "2026-11-01T12:00:00.500000+00:00"


@dataclass(frozen=True)
class Known:
    """Surroundings with one guild, one channel and two roles."""

    listening: bool = False
    opening: frozenset[str] = frozenset()
    """Messages that are answered in a thread opened on them; ``*`` for all."""
    heading: str = ""
    space: SpaceSettings = USUAL
    cdn: str = "https://cdn.example"

    def place(self, guild: str, channel: str) -> str:
        return f"#general in Chess Club ({guild}/{channel})"

    def channel_name(self, guild: str, channel: str) -> str:
        return "general" if channel == ROOM else ""

    def role_name(self, guild: str, role: str) -> str:
        return "Players" if role == OTHER_ROLE else ""

    def is_own_application(self, application: str) -> bool:
        return application == "900"

    def is_own_role(self, guild: str, role: str) -> bool:
        return role == ROLE

    def post(self, guild: str, channel: str) -> str:
        return self.heading

    def listens(self, guild: str, channel: str) -> bool:
        return self.listening

    def chosen(self, guild: str) -> SpaceSettings:
        return self.space

    def above(self, guild: str, channel: str) -> tuple[str, ...]:
        return ("50",)

    def configures(self, guild: str, user: str, roles: Sequence[str]) -> bool:
        return OTHER_ROLE in roles

    def opens_thread(self, guild: str, channel: str, message: str) -> bool:
        return bool(self.opening & {message, "*"})

    def threads(self, guild: str, channel: str) -> Sequence[str]:
        return ("61", "62")

    def is_in(self, guild: str) -> bool:
        return guild == GUILD


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
    assert to_message(in_guild(mentions=[]), BOT, Known(listening=True)) is not None
    to_bob: dict[str, Any] = {"referenced_message": payload(author={"id": BOB, "username": "bob"})}
    to_bot: dict[str, Any] = {"referenced_message": payload(author={"id": BOT, "username": "parley", "bot": True})}
    assert to_message(in_guild(mentions=[], **to_bob), BOT, Known()) is None
    assert to_message(in_guild(mentions=[], **to_bot), BOT, Known()) is not None
    assert to_message(in_guild(mentions=[], referenced_message=None), BOT, Known()) is None


def test_mentions_become_names() -> None:
    bob = {"id": BOB, "username": "bob", "global_name": "Bob", "member": {"nick": "Bobby"}}
    raw = in_guild(f"<@!900> <@{BOB}>, <@3>: <@&71> <@&{ROLE}><@&9> in <#60>, <#61> <:smile:5> <a:wave:6> <t:5:R>")
    raw["mentions"].append(bob)
    assert (
        text_of(raw)
        == "@Bobby, @somebody: @Players @role in #general, #channel :smile: :wave: 01 January 1970, 00:00 UTC"
    )


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


def test_files_of_the_message_replied_to_belong_to_the_question() -> None:
    files = [_file("a.png", "image/png"), _file("b.zip", "application/zip"), _file("c.ogg", "audio/ogg")]
    replied = payload("", id="999", author={"id": BOB, "username": "bob"}, attachments=files)
    message = to_message(in_guild("what is it?", referenced_message=replied), BOT, Known())
    assert message is not None
    assert [(a.name, a.quoted) for a in message.attachments] == [("a.png", True), ("b.zip", True), ("c.ogg", True)]
    own = {**replied, "author": {"id": BOT, "username": "parley"}}
    message = to_message(in_guild("what is it?", referenced_message=own), BOT, Known())
    assert message is not None
    assert [a.name for a in message.attachments] == ["a.png"], "what it said stands in the history as text"
    message = to_message(payload("what is it?", referenced_message=replied), BOT, Known())
    assert message is not None
    assert message.attachments == (), "in private they are in the history"


def test_a_long_quote_is_cut() -> None:
    replied = payload("x" * 4000, author={"id": BOB, "username": "bob"}, message_reference={"message_id": "5"})
    message = to_message(payload(referenced_message=replied), BOT, Known())
    assert message is not None
    assert message.quote is not None
    assert (len(message.quote.text), message.quote.reply_to) == (2000, "5")


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


def test_what_cannot_be_read() -> None:
    message = to_message(payload(""), BOT, Known())
    assert message is not None
    assert message.unsupported == "message"


def test_what_stands_beside_the_text_is_read() -> None:
    sticker = {"id": "31", "name": "Wave", "format_type": 1}
    message = to_message(payload("", sticker_items=[sticker]), BOT, Known())
    assert message is not None
    assert (message.text, message.unsupported) == ("[Sticker: Wave]", "")
    assert [a.ref for a in message.attachments] == ["https://cdn.example/stickers/31.png"]
    poll: dict[str, Any] = {"question": {"text": "Which?"}, "answers": []}
    assert text_of(payload("look", poll=poll)) == "look\n\n[Poll: Which?]"


def test_previews_of_links_are_no_part_of_what_people_write() -> None:
    """They come a moment later, without a word: payloads of the gateway and of the history would differ."""
    live = payload("https://example.org")
    later = {**live, "embeds": [{"type": "link", "title": "An example"}]}
    assert to_message(live, BOT, Known()) == to_message(later, BOT, Known())
    assert to_edit(later, BOT, Known()) is None
    message = to_message(payload("and this?", referenced_message=later), BOT, Known())
    assert message is not None
    assert message.quote is not None
    assert message.quote.text == "https://example.org\n\nAn example"


def test_other_bots_are_read_where_people_reply_to_them() -> None:
    other = {"id": "3", "username": "score", "bot": True}
    embed = {
        "type": "rich",
        "title": "Round 3",
        "image": {"url": "x", "proxy_url": "https://images-ext-1.discordapp.net/a"},
    }
    replied = payload("", id="999", author=other, embeds=[embed])
    assert to_message({**replied, "guild_id": GUILD}, BOT, Known(listening=True)) is None
    message = to_message(in_guild("<@900> who leads?", referenced_message=replied), BOT, Known())
    assert message is not None
    assert message.quote is not None
    assert (message.quote.author, message.quote.text) == ("score", "Round 3")
    assert [(a.ref, a.quoted) for a in message.attachments] == [("https://images-ext-1.discordapp.net/a", True)]


def test_forwards_are_read() -> None:
    files = [_file("a.png", "image/png")]
    embed = {"type": "rich", "description": "from a bot"}
    snapshot = {"message": {"content": "what I found", "attachments": files, "embeds": [embed], "timestamp": SENT}}
    raw = payload("", message_reference={"type": 1, "message_id": "5"}, message_snapshots=[snapshot])
    message = to_message(raw, BOT, Known())
    assert message is not None
    said = "[Forwarded message, 01 November 2026]\nwhat I found\nfrom a bot"
    assert (message.text, message.reply_to, len(message.attachments)) == (said, "", 1)
    assert text_of({**raw, "content": "look:"}) == f"look:\n\n{said}"
    here = {"type": 1, "message_id": "5", "channel_id": ROOM, "guild_id": GUILD}
    assert "from #general," in text_of(in_guild(message_reference=here, message_snapshots=[snapshot]))
    elsewhere = {**here, "guild_id": "51"}
    assert "#" not in text_of(in_guild(message_reference=elsewhere, message_snapshots=[snapshot]))


def test_a_forum_post_begins_with_its_title() -> None:
    known = Known(heading="[Post: Which opening?; tags: theory]")
    starter = in_guild("<@900> for White", id=ROOM)
    message = to_message(starter, BOT, known)
    assert message is not None
    assert message.text == "[Post: Which opening?; tags: theory]\n\nfor White"
    message = to_message({**starter, "id": "1001"}, BOT, known)
    assert message is not None
    assert message.quote is not None
    assert (message.text, message.quote.message_id, message.quote.begins) == ("for White", ROOM, True)
    assert message.quote.text == "[Post: Which opening?; tags: theory]"
    replied = payload("with e4", id="1001", author={"id": BOB, "username": "bob"})
    message = to_message({**starter, "id": "1002", "referenced_message": replied}, BOT, known)
    assert message is not None
    assert message.quote is not None
    assert (message.quote.text, message.quote.begins) == ("with e4", False)


def test_where_all_is_for_the_bot_people_still_talk_with_each_other() -> None:
    known = Known(listening=True)
    bob, mine = {"id": BOB, "username": "bob"}, {"id": ALICE, "username": "alice"}
    answered = [
        in_guild("what now?", mentions=[]),
        in_guild("and <@2> too?", mentions=[bob]),
        in_guild("I mean", mentions=[], referenced_message=payload(author=mine)),
        in_guild("and you, bot?", referenced_message=payload(author=bob)),
        in_guild(
            "why?", mentions=[], referenced_message=payload(author={"id": BOT, "username": "parley", "bot": True})
        ),
        in_guild("it is gone", mentions=[], type=19, referenced_message=None),
    ]
    left_alone = [
        in_guild("<@2> what do you say?", mentions=[bob]),
        in_guild(" <@&71> dinner!", mentions=[], mention_roles=[OTHER_ROLE]),
        in_guild("I agree", mentions=[], referenced_message=payload(author=bob)),
        in_guild("I agree", mentions=[], referenced_message=payload(author={"id": "3", "username": "x", "bot": True})),
        in_guild("by a bot", mentions=[], author={"id": "3", "username": "x", "bot": True}),
        in_guild("by a webhook", mentions=[], webhook_id="5"),
    ]
    assert [to_message(raw, BOT, known) is not None for raw in answered] == [True] * len(answered)
    assert [to_message(raw, BOT, known) for raw in left_alone] == [None] * len(left_alone)


def test_a_question_that_opens_a_thread_is_of_that_conversation() -> None:
    known = Known(opening=frozenset("*"))
    message = to_message(in_guild("<@900> hi"), BOT, known)
    assert message is not None
    assert (str(message.conversation), message.opens, message.place) == (
        "discord:900:1000:",
        ROOM,
        "#general in Chess Club (50/60)",
    )
    assert from_json(to_json(message)) == message
    edited = to_edit(in_guild("<@900> hello", edited_timestamp=SENT), BOT, known)
    assert edited is not None
    assert (str(edited.conversation), edited.opens) == ("discord:900:1000:", ROOM)
    private = to_message(payload(), BOT, known)
    assert private is not None
    assert private.opens == ""


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
    (one,) = to_deletions({"id": "5", "channel_id": ROOM, "guild_id": GUILD}, BOT, Known())
    (many,) = to_deletions({"ids": ["5", "6"], "channel_id": ROOM, "guild_id": GUILD}, BOT, Known())
    assert (one.ids, many.ids) == (("5",), ("5", "6"))
    assert len({one.update, many.update, "5"}) == 3
    assert from_json(to_json(many)) == many


def test_a_deleted_question_is_forgotten_in_its_thread_too() -> None:
    gone = {"ids": ["5", "6"], "channel_id": ROOM, "guild_id": GUILD}
    found = to_deletions(gone, BOT, Known(opening=frozenset(("6",))))
    assert [(one.conversation.chat, one.ids) for one in found] == [(ROOM, ("5", "6")), ("6", ("6",))]


def test_what_is_gone_is_left() -> None:
    (thread,) = to_departures("THREAD_DELETE", {"id": "61", "guild_id": GUILD, "parent_id": ROOM}, BOT, Known())
    assert (str(thread.conversation), thread.gone, thread.space) == ("discord:900:61:", True, "")
    channel = to_departures("CHANNEL_DELETE", {"id": ROOM, "guild_id": GUILD, "type": 0}, BOT, Known())
    assert [(one.conversation.chat, one.gone) for one in channel] == [(ROOM, True), ("61", True), ("62", True)]
    (guild,) = to_departures("GUILD_DELETE", {"id": GUILD}, BOT, Known())
    assert (guild.space, guild.gone) == (GUILD, False)
    assert to_departures("GUILD_DELETE", {"id": GUILD, "unavailable": True}, BOT, Known()) == []


def _file(name: str, mime: str | None) -> dict[str, Any]:
    return {"id": "7", "filename": name, "content_type": mime, "size": 5, "url": f"https://cdn.discordapp.com/{name}"}


def test_what_is_for_others_is_read_along_only_where_that_was_chosen() -> None:
    gossip = in_guild("see you at 8", mentions=[], attachments=[_file("a.png", "image/png")])
    assert to_message(gossip, BOT, Known()) is None
    curious = Known(space=SpaceSettings(passive=True), opening=frozenset("*"))
    message = to_message(gossip, BOT, curious)
    assert message is not None
    assert (message.overheard, message.text, message.attachments) == (True, "see you at 8", ())
    assert (message.conversation.chat, message.within) == (ROOM, ("50",)), "no thread is opened on it"
    assert from_json(to_json(message)) == message
    assert to_message(in_guild("", mentions=[], attachments=[_file("a.png", "image/png")]), BOT, curious) is None
    asked = to_message(in_guild(), BOT, curious)
    assert asked is not None
    assert not asked.overheard


def test_where_there_are_quiet_hours_it_is_told_who_may_choose_for_all() -> None:
    admin = in_guild(member={"nick": "Al", "roles": [OTHER_ROLE]})
    for space, raw, told in (
        (USUAL, admin, False),
        (SpaceSettings(quiet="22:00-07:00"), admin, True),
        (SpaceSettings(quiet="22:00-07:00"), in_guild(), False),
    ):
        message = to_message(raw, BOT, Known(space=space))
        assert message is not None
        assert message.by_admin is told
