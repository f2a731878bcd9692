"""Appeals: asked for by whom an act is about, alone with the bot, and decided by the space's moderators."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.commands.acting import WAIT_SECONDS, receipt
from core.commands.marking import at_case
from core.commands.row import Moderation, Room
from core.message import ConversationKey, Platform
from core.moderation.acts import Actor
from core.moderation.appeals import COOLDOWN_SECONDS, MAX_WORDS, MOST_A_DAY, Appeals, is_too_near, right_over
from core.moderation.carrying import Acts
from core.moderation.cases import MAX_NAME, Case, CaseKind, CaseState, Evidence, space_of
from core.moderation.durations import DAY
from core.moderation.enforcer import Site
from core.moderation.reports import channel_of
from core.moderation.telling import LONGEST_PLACE, quoted
from core.moderation.undoing import Refused
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, TextDelta
from core.storage.appeals import Appeal, AppealBook, is_code, normal_code, waits
from core.storage.shared import Once
from core.texts import Label, Moment, Value, one_line, say

DONE = Finished(Ending.COMPLETE)
ACCEPT, KEEP = "accept", "keep"
DECIDE = "decide"
"""Name of the row that the buttons under an appeal call."""
MOST_LISTED = 5
MOST_OWN = 20


@dataclass(frozen=True, slots=True)
class _Matter:
    """What an appeal is about, as it is now."""

    code: str
    appeal: Appeal
    place: str
    case: Case
    moderation: Moderation
    appeals: Appeals

    @property
    def site(self) -> Site:
        """Of the space."""
        if self.case.conversation:
            where = ConversationKey.parse(self.case.conversation)
        else:
            platform, bot, id = self.place.split(":", 2)
            where = ConversationKey(Platform(platform), bot, id)
        return Site(where, self.place.split(":", 2)[2])


async def appeal(room: Room) -> AsyncIterator[Part]:
    """``CODE words``: appeals against a case; without words it tells how that stands, and without a code what can be
    appealed against."""
    first, _, rest = room.value("words").strip().partition(" ")
    code = normal_code(first)
    if not (room.call.private or room.call.alone or room.call.reply_token):
        # Everybody would read it, and have the code.
        yield Notice("appeal_privately")
    elif not is_code(code):
        yield TextDelta(await _own(room))
    elif (matter := await _matter(room, code)) is None:
        yield Notice("appeal_unknown")
    elif not (words := " ".join(rest.split())[:MAX_WORDS]):
        yield TextDelta(await _status(room, matter))
    else:
        yield await _appealed(room, matter, words)
    yield DONE


async def appeals(room: Room) -> AsyncIterator[Part]:
    """Those of a space that wait for a decision, the oldest first, each with its buttons."""
    if room.moderation is None or not room.call.space:
        yield Notice("groups_only", {"name": room.call.name})
        yield DONE
        return
    found = await AppealBook(room.community.store).open(space_of(room.call))
    lines, rows = list[str](), list[tuple[Choice, ...]]()
    for code, _ in found[:MOST_LISTED]:
        if (matter := await _matter(room, code)) is not None:
            lines.append(_in_words(matter, room.language))
            rows.append(_buttons(code, room.language, f"#{matter.case.number} "))
    if not lines:
        yield Notice("appeals_none")
    else:
        if len(found) > MOST_LISTED:
            lines.append(say("log_more", room.language, count=len(found) - MOST_LISTED))
        yield TextDelta("\n\n".join(lines))
        yield Menu(tuple(rows))
    yield DONE


async def decide(room: Room) -> AsyncIterator[Part]:
    """``accept CODE`` or ``keep CODE``, of a button under an appeal. Rights are asked anew."""
    word, _, code = room.value("appeal").partition(" ")
    matter = await _matter(room, code.strip()) if word in (ACCEPT, KEEP) else None
    there = None
    if matter is not None:
        there = await at_case(room, f"{matter.place.split(':', 2)[2]}/{matter.case.number}")
    acts = matter.moderation.acts if matter is not None else None
    if matter is None or there is None or acts is None or space_of(there[0].call) != matter.place:
        yield Notice("appeal_unknown")
    elif refusal := await _may_decide(there[0], matter, word):
        yield refusal
    else:
        async for part in _decided(there[0], acts, matter, word):
            yield part
    yield DONE


async def _matter(room: Room, code: str) -> _Matter | None:
    """None where there is no such appeal, or nothing is known any more of what it is about."""
    own = Appeals(AppealBook(room.community.store), room.community.spaces)
    found = await own.book.find(code)
    if found is None:
        return None
    moderation = room.elsewhere.get(Platform(found.place.partition(":")[0]))
    if moderation is None:
        return None
    place = await moderation.cases.place(found.place)
    case = await moderation.cases.get(place, found.number)
    return _Matter(code, found, place, case, moderation, own) if case is not None else None


# ---- whom an act is about


async def _own(room: Room) -> str:
    """What the caller can appeal against, and how that stands."""
    call, language = room.call, room.language
    book = AppealBook(room.community.store)
    tickets = await book.tickets(f"{call.conversation.platform}:{call.conversation.bot}", call.author.id)
    lines = list[str]()
    for ticket in reversed(tickets[-MOST_OWN:]):
        if (matter := await _matter(room, ticket.code)) is not None:
            lines.append("- " + await _status(room, matter))
    return "\n".join([say("appeal_yours", language), "", *lines]) if lines else say("appeal_none", language)


async def _status(room: Room, matter: _Matter) -> str:
    case, language, appeal = matter.case, room.language, matter.appeal
    about = _about(case, language)
    if appeal.state:
        return about + " · " + say(f"appeal_is.{appeal.state}", language)
    if refusal := await _refused(matter):
        return about + " · " + say(refusal.key, language, **refusal.values)
    until = Moment(datetime.fromtimestamp(round(await matter.appeals.until(matter.place, case)), UTC))
    return about + " · " + say("appeal_how", language, code=matter.code, until=until)


async def _refused(matter: _Matter) -> Notice | None:
    """Why nobody can appeal now."""
    case, appeal = matter.case, matter.appeal
    if appeal.state == "open":
        return Notice("appeal_is.open")
    if not case.state.is_in_force:
        return Notice("appeal_over")
    if time.time() > await matter.appeals.until(matter.place, case):
        return Notice("appeal_late")
    if again := waits(appeal, COOLDOWN_SECONDS):
        return Notice("appeal_again", {"until": Moment(datetime.fromtimestamp(round(again), UTC))})
    return None


async def _appealed(room: Room, matter: _Matter, words: str) -> Notice:
    call = room.call
    if matter.appeal.call != call.id:
        if refusal := await _refused(matter):
            return refusal
        if not await _has_one_left(room, matter):
            return Notice("appeal_too_many", {"most": MOST_A_DAY})
    now = call.sent_at or time.time()

    def begin(appeal: Appeal) -> Appeal:
        if appeal.state == "open":
            return appeal
        update = {"words": words, "language": room.language, "state": "open", "at": now, "call": call.id}
        return appeal.model_copy(update=update)

    kept = await matter.appeals.book.change(matter.code, begin)
    if kept.call != call.id:
        return Notice("appeal_is.open")
    await matter.appeals.book.list_open(matter.place, matter.code)
    is_told = await _posted(room, replace(matter, appeal=kept))
    return Notice("appeal_made" if is_told else "appeal_made_unseen", {"number": str(matter.case.number)})


async def _has_one_left(room: Room, matter: _Matter) -> bool:
    once, name = Once(room.community.store), f"appeal {matter.place} {matter.case.account}"
    for slot in range(MOST_A_DAY):
        if await once.may(f"{name} {slot}", DAY):
            return True
    return False


async def _posted(room: Room, matter: _Matter) -> bool:
    """Whether the moderators were told: in their channel, with buttons, else in private."""
    moderation, place, language = matter.moderation, matter.place, await _language(room, matter)
    channel = await channel_of(place, moderation.cases, room.community.spaces)
    text, key = _in_words(matter, language), f"appeal:{matter.code}:{matter.appeal.at}"
    enforcer = moderation.enforcer
    buttons = (_buttons(matter.code, language),)
    if channel and enforcer is not None and await enforcer.post(matter.site, channel, text, key, buttons):
        return True
    site, about = matter.site, matter.case.account
    there = replace(room.call, conversation=site.conversation, space=site.space, place=matter.case.where)

    def words(spoken: str) -> str:
        used = spoken or language
        return "\n\n".join((_in_words(matter, used), say("appeal_decide_there", used)))

    return await moderation.members.tell_moderators(there, "", about, words, key)


# ---- who decides


async def _may_decide(room: Room, matter: _Matter, word: str) -> Notice | None:
    """Why the caller may not; ``room`` is that of the space."""
    call, case, right = room.call, matter.case, right_over(matter.case)
    if matter.appeal.state != "open" and matter.appeal.call != call.id:
        return Notice(f"appeal_was.{matter.appeal.state}" if matter.appeal.state else "appeal_unknown")
    if room.access is not None and not await room.access.may(call, right):
        return Notice(f"lacking.{right}")
    if call.author.id == case.account:
        return Notice("not_yourself")
    if word == KEEP and is_too_near(case, call.author.id, matter.appeal.at):
        return Notice("appeal_not_alone")
    return None


async def _decided(room: Room, acts: Acts, matter: _Matter, word: str) -> AsyncIterator[Part]:
    call, case = room.call, matter.case
    state = "accepted" if word == ACCEPT else "kept"
    act, is_again = None, matter.appeal.call == call.id and matter.appeal.state == state
    if word == ACCEPT:
        try:
            act = await acts.undoing(matter.place, case.number, _actor(room), f"appeal:{matter.code}:{call.id}")
        except Refused as refused:
            if not is_again:
                yield Notice(refused.key, refused.values)
            if case.state.is_in_force:
                return
        if act is not None and (refusal := await acts.check(act, call)):
            yield refusal
            return

    def close(appeal: Appeal) -> Appeal:
        if appeal.state != "open":
            return appeal
        return appeal.model_copy(update={"state": state, "decided_at": time.time(), "call": call.id})

    kept = await matter.appeals.book.change(matter.code, close)
    if kept.call != call.id:
        yield Notice(f"appeal_was.{kept.state}" if kept.state else "appeal_unknown")
        return
    matter = replace(matter, appeal=kept)
    if act is not None:
        done = await acts.carried(matter.place, await acts.order([act]), WAIT_SECONDS)
        for notice in (notice for each in done for notice in receipt(room, each)):
            yield notice
        if any(each.state is CaseState.FAILED for each in done):
            await matter.appeals.book.change(matter.code, _reopened)
            return
    await matter.appeals.book.unlist(matter.place, matter.code)
    await _write_down(room, matter)
    is_told = await _tell(matter)
    yield Notice(f"appeal_done.{kept.state}" if is_told else f"appeal_done_untold.{kept.state}")


def _reopened(appeal: Appeal) -> Appeal:
    """What was accepted could not be done: it still waits for somebody."""
    return appeal.model_copy(update={"state": "open", "decided_at": 0.0})


async def _write_down(room: Room, matter: _Matter) -> None:
    """The decision becomes a note in the book, for whoever looks at them later."""
    case, call, language = matter.case, room.call, await _language(room, matter)
    is_alone = matter.appeal.state == "kept" and call.author.id == case.actor
    key = "appeal_note.alone" if is_alone else f"appeal_note.{matter.appeal.state}"
    note = Case(
        CaseKind.NOTE,
        case.account,
        case.name,
        call.author.id,
        call.author.name[:MAX_NAME],
        say(key, language, number=str(case.number)),
        matter.appeal.decided_at,
        Evidence(text=matter.appeal.words),
    )
    await matter.moderation.cases.make(matter.place, note, f"appeal:{matter.code}:{matter.appeal.decided_at}")


async def _tell(matter: _Matter) -> bool:
    """What was decided, to whom it is about; they may be out of reach, and can ask with their code."""
    enforcer, appeal, case = matter.moderation.enforcer, matter.appeal, matter.case
    if enforcer is None:
        return False
    text = _about(case, appeal.language) + " · " + say(f"appeal_is.{appeal.state}", appeal.language)
    return await enforcer.tell(matter.site, case.account, text, f"appeal:{matter.code}:{appeal.decided_at}")


def _actor(room: Room) -> Actor:
    return Actor(room.call.author.id, room.call.author.name)


async def _language(room: Room, matter: _Matter) -> str:
    return (await room.community.spaces.of(matter.place)).language


def _about(case: Case, language: str) -> str:
    """A case, for whom it is about."""
    place = one_line(case.where, LONGEST_PLACE) or say("act_somewhere", language)
    return say("appeal_about", language, number=str(case.number), act=Label("act", case.kind), place=place)


def _in_words(matter: _Matter, language: str) -> str:
    """An appeal, for moderators. What people wrote stands there as code."""
    case, appeal = matter.case, matter.appeal
    values: dict[str, Value] = {"number": str(case.number), "act": Label("act", case.kind)}
    name = quoted(case.name) or "?"
    lines = [say("appeal_told", language, **values, name=name, account=quoted(case.account))]
    if case.reason:
        lines.append(say("act_told_reason", language, reason=quoted(case.reason)))
    lines.append("> " + quoted(appeal.words))
    return "\n".join(lines)


def _buttons(code: str, language: str, begin: str = "") -> tuple[Choice, ...]:
    return tuple(
        Choice(begin + say(f"button.appeal_{word}", language), f"{DECIDE} {word} {code}") for word in (ACCEPT, KEEP)
    )
