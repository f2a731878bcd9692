"""The commands by which people link their accounts and part them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from core.commands.row import Room
from core.knowledge.documents import person_scope
from core.message import Author, CommandCall, ConversationKey, Platform
from core.parts import Ending, Finished, Notice, Part
from core.people.identity import account_of
from core.people.linking import CODE_SECONDS, Issued, Linked, Outcome, platform_of, read_code
from core.storage.records import Conflict
from core.texts import Amount, Label, Value, one_line, say

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
LONGEST_NAME = 64
TOLD = "linked-"
"""Begins the ids of what the bot posts itself, as no platform's do."""


async def link(room: Room) -> AsyncIterator[Part]:
    """Without a code gives one; with one links the caller's account to whoever it was given to."""
    call, linking = room.call, room.community.linking
    account, typed = account_of(call.author, call.conversation.platform), room.value("code")
    code = read_code(typed)
    if not (call.private or call.reply_token):
        if code:
            await linking.void(account, code, room.turn.id)
        yield Notice("link_void") if typed else Notice("link_privately", {"name": call.name})
    elif not typed:
        # A chat of a server's, where only the caller sees this, is no place to tell them later.
        here = str(call.conversation) if call.private and not call.conversation.thread else ""
        code = await linking.issue(Issued(account, call.author.name[:LONGEST_NAME], here, call.author.language))
        yield Notice("link_code", {"code": code, "minutes": CODE_SECONDS // 60})
        if others := [one for one in room.turn.person.known_accounts if one != account]:
            yield Notice("link_with", {"platforms": ", ".join(_spoken(one, room.language) for one in others)})
    elif not code:
        yield Notice("link_no_code")
    else:
        try:
            linked = await linking.redeem(account, code, room.turn.id)
        except Conflict:
            yield Notice("conflict")
        else:
            yield _told(linked)
            if linked.outcome is Outcome.DONE and linked.issued is not None:
                await _tell(room, linked.issued)
    yield DONE


async def linked(room: Room) -> AsyncIterator[Part]:
    """Tells who was given a code that it was used: posted to their chat by :func:`link`, in the name of the bot. Nobody
    else has the bot say so."""
    if room.call.id.startswith(TOLD):
        yield Notice("link_told", _whose(room.value("name"), room.value("platform")))
    else:
        yield Notice("unknown_command", {"found": room.call.name})
    yield DONE


async def unlink(room: Room) -> AsyncIterator[Part]:
    """Parts the account that the call comes from, or that of a platform, from the caller's others."""
    call = room.call
    account, wanted = account_of(call.author, call.conversation.platform), room.value("platform").lower()
    if not (call.private or call.reply_token):
        yield Notice("link_privately", {"name": call.name})
        yield DONE
        return
    try:
        await _leave_documents(room, account, wanted)
        parted = await room.community.linking.part(account, wanted)
    except Conflict:
        yield Notice("conflict")
    else:
        if parted.outcome is Outcome.DONE:
            log.info("accounts parted", account=parted.account)
            yield Notice("unlink_done", {"platform": _label(platform_of(parted.account))})
        else:
            yield Notice("unlink_alone")
    yield DONE


async def _leave_documents(room: Room, account: str, leaving: str) -> None:
    """Where the person goes by the account that is about to leave, what they taught themselves stays with the rest, who
    keep all there is. Should this be all that comes to pass, :meth:`Passages.own` takes it back."""
    person = (await room.community.people.fresh(account)).value
    gone = [one for one in person.known_accounts if (platform_of(one) == leaving if leaving else one == account)]
    rest = [one for one in person.known_accounts if one not in gone]
    if rest and person.id in gone:
        await room.workshop.passages.carry(person_scope(person.id), person_scope(rest[0]))


def _told(linked: Linked) -> Notice:
    match linked.outcome:
        case Outcome.DONE if linked.issued is not None:
            return Notice("link_done", _whose(linked.issued.name, platform_of(linked.issued.account)))
        case Outcome.PAUSED:
            minutes = -(-linked.seconds // 60)
            return Notice("link_paused", {"time": Amount(minutes, "duration-minute")})
        case Outcome.TAKEN:
            return Notice("link_taken", {"platform": _label(linked.platform)})
        case outcome:
            return Notice(f"link_{outcome}")


async def _tell(room: Room, issued: Issued) -> None:
    """On the platform where the code was given: a link that they know nothing of they can take back."""
    call, platform = room.call, room.call.conversation.platform
    log.info("accounts linked", host=issued.account, guest=account_of(call.author, platform))
    name = call.author.name[:LONGEST_NAME]
    theirs, account = issued.account.split(":", 1)
    if issued.conversation:
        there = ConversationKey.parse(issued.conversation)
        author = Author(account, issued.name, language=issued.language)
        options = {"name": name, "platform": str(platform)}
        id = f"{TOLD}{room.turn.id}"
        told = CommandCall(there, id, id, author, "linked", options, call.sent_at, private=True)
        await room.mailbox.post([told], wakes=True)
    elif (moderation := room.elsewhere.get(Platform(theirs))) is not None:

        def words(language: str) -> str:
            return say("link_told", issued.language or language, **_whose(name, platform))

        await moderation.members.tell(call, account, words, f"{TOLD}{room.turn.id}")


def _whose(name: str, platform: str) -> dict[str, Value]:
    return {"name": one_line(name, LONGEST_NAME) or "?", "platform": _label(platform)}


def _label(platform: str) -> Label:
    return Label("platform", platform)


def _spoken(account: str, language: str) -> str:
    return say(f"platform.{platform_of(account)}", language)
