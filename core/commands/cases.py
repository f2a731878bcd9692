"""The book of a space as its moderators read it: lists, one case with all that is known, and a file of all."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.commands.moderate import account_of_call, name_of
from core.commands.row import Moderation, Room
from core.message import ConversationKey, Platform
from core.moderation.cases import MAX_REASON, Case, CaseKind, CaseState, space_of
from core.moderation.posting import buttons, in_words
from core.moderation.strikes import Strikes
from core.moderation.telling import quoted
from core.parts import Choice, Ending, Finished, Media, Menu, Notice, Part, TextDelta
from core.storage.cases import LISTED, MOST_CASES
from core.texts import Moment, one_line, say

DONE = Finished(Ending.COMPLETE)
MAX_LISTED = 120
"""Characters of a reason in a list."""
MAX_WORDS = 200
FILE = "cases.jsonl"


async def listed(room: Room) -> AsyncIterator[Part]:
    """The newest cases of the space, those about somebody, or those with certain words; all of them as a file."""
    if room.moderation is None or not room.call.space:
        yield Notice("groups_only", {"name": room.call.name})
    elif room.value("file") == "true":
        yield await _file(room, room.moderation)
    else:
        before = room.value("before")
        number = int(before) if before.isascii() and before.isdecimal() and len(before) < 12 else 0
        async for part in _shown(room, room.moderation, await _list(room, room.moderation, number)):
            yield part
    yield DONE


async def one(room: Room) -> AsyncIterator[Part]:
    """Shows a case; with words behind its number it gets these as its reason, and keeps the one before."""
    given, reason = room.value("number").lstrip("#"), " ".join(room.value("reason").split())[:MAX_REASON]
    number = int(given) if given.isascii() and given.isdecimal() and len(given) < 12 else 0
    moderation, call, place = room.moderation, room.call, space_of(room.call)
    if moderation is None or not call.space:
        yield Notice("groups_only", {"name": call.name})
    elif not number:
        yield Notice("case_how")
    elif (case := await moderation.cases.get(place, number)) is None:
        yield Notice("case_none", {"number": str(number)})
    elif reason and case.account == call.author.id:
        yield Notice("not_yourself")
    elif reason:
        at = call.sent_at or time.time()

        def edit(now: Case) -> Case:
            # The same call may come again.
            return now if now.reason == reason else now.with_reason(reason, call.author.id, call.author.name, at)

        await moderation.cases.change(place, number, edit)
        yield Notice("case_reason_set", {"number": str(number)})
    else:
        case = _for_reader(case, call.author.id)
        rows = buttons(case, place, room.language)
        async for part in _shown(room, moderation, (await _in_full(room, moderation, case), rows)):
            yield part
    yield DONE


async def _shown(
    room: Room, moderation: Moderation, page: tuple[str, Sequence[Sequence[Choice]]]
) -> AsyncIterator[Part]:
    """For the moderator's eyes only."""
    text, rows = page
    if room.call.reply_token or room.call.private:
        yield TextDelta(text)
        if rows:
            yield Menu(tuple(map(tuple, rows)))
    else:
        # Here everybody would read it.
        told = await moderation.members.tell(room.call, room.call.author.id, lambda _: text, room.call.id)
        yield Notice("told_in_private" if told else "start_first")


def _for_reader(case: Case, reader: str) -> Case:
    """Who reported is nobody's business whom they reported, be it a moderator."""
    if case.kind is not CaseKind.REPORT or case.account != reader:
        return case
    return replace(case, actor="", actor_name="")


# ---- lists


async def _list(room: Room, moderation: Moderation, before: int) -> tuple[str, Sequence[Sequence[Choice]]]:
    call, language, place = room.call, room.language, space_of(room.call)
    account, words = account_of_call(room), _folded(room.value("words"))[:MAX_WORDS]
    found = list[Case]()
    async for case in moderation.cases.each(place, account):
        if (not before or case.number < before) and all(word in _said(case) for word in words.split()):
            found.append(_for_reader(case, call.author.id))
        if len(found) > LISTED:
            break
    name = quoted(await name_of(room, moderation, account)) if account else ""
    if not found:
        return _nothing(name, words, language), ()
    count, _ = await moderation.cases.of(place, account) if account else (0, ())
    lines = [_head(name, count, words, language)]
    if account and not before:
        strikes = await Strikes(moderation.cases, room.community.spaces).of(place, account)
        lines += [say("cases_strikes", language, count=strikes)] if strikes else []
    lines += [_line(case, language, names=not account) for case in found[:LISTED]]
    if len(found) <= LISTED:
        return "\n".join(lines), ()
    older = f"cases before={found[LISTED - 1].number}"
    older += f" user={account}" if account else ""
    older += f" words={json.dumps(words, ensure_ascii=False)}" if words else ""
    return "\n".join([*lines, "", say("cases_more", language)]), [[Choice(say("button.older", language), older)]]


def _head(name: str, count: int, words: str, language: str) -> str:
    if words:
        return say("cases_with", language, words=quoted(words))
    return say("cases_head", language, name=name, count=count) if name else say("cases_newest", language)


def _nothing(name: str, words: str, language: str) -> str:
    if words:
        return say("cases_without", language, words=quoted(words))
    return say("cases_none", language, name=name) if name else say("cases_empty", language)


def _line(case: Case, language: str, *, names: bool) -> str:
    day = datetime.fromtimestamp(case.at, UTC).date().isoformat()
    actor = quoted(case.actor_name)
    kind = say(f"case.{case.kind}", language, actor=actor) if actor else say("case.unnamed", language)
    said = quoted((case.reason or case.evidence.text)[:MAX_LISTED])
    name = quoted(case.name) if names else ""
    state = "" if case.state is CaseState.DONE else say(f"case_state.{case.state}", language)
    parts = (f"- **#{case.number}**", day, name, kind, state, said, case.evidence.link)
    return " · ".join(filter(None, parts))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace('"', " ").strip()


def _said(case: Case) -> str:
    earlier = (edit.reason for edit in case.edits)
    return _folded(" ".join((case.reason, *earlier, case.name, case.account, case.rule, case.evidence.text)))


# ---- one of them


async def _in_full(room: Room, moderation: Moderation, case: Case) -> str:
    language, place = room.language, space_of(room.call)
    lines = [in_words(case, Platform(place.partition(":")[0]), case.evidence.link, language)]
    if case.state is not CaseState.DONE:
        lines.append(say(f"case_state.{case.state}", language))
    if case.undone_by:
        lines.append(say("case_undone_by", language, number=str(case.undone_by)))
    for edit in case.edits:
        at, name = _moment(edit.at), quoted(edit.by_name) or "?"
        lines.append(say("case_reason_was", language, time=at, name=name, reason=quoted(edit.reason) or "–"))
    if earlier := await _edits(room, case):
        lines.append(say("case_said", language))
        lines += [f"> {quoted(one_line(text, MAX_REASON))}" for text in earlier]
    lines.append(say("case_made", language, time=_moment(case.at)))
    return "\n".join(lines)


async def _edits(room: Room, case: Case) -> list[str]:
    """What the message said at other times, as long as that is kept."""
    if not case.evidence.message_id or not case.conversation:
        return []
    where, id = ConversationKey.parse(case.conversation), case.evidence.message_id
    kept = await room.community.policy.watched.of(space_of(room.call), where, [id])
    texts = dict.fromkeys(seen.text for seen in kept.get(id, ()))
    return [text for text in texts if text and text != case.evidence.text]


def _moment(at: float) -> Moment:
    return Moment(datetime.fromtimestamp(round(at), UTC))


# ---- all of them


async def _file(room: Room, moderation: Moderation) -> Part:
    if not (room.call.reply_token or room.call.private):
        return Notice("cases_file_public")
    place, lines = space_of(room.call), list[str]()
    async for case in moderation.cases.each(place, account_of_call(room)):
        lines.append(json.dumps(exported(_for_reader(case, room.call.author.id)), ensure_ascii=False))
        if len(lines) >= MOST_CASES:
            break
    if not lines:
        return Notice("cases_empty")
    return Media(FILE, "application/jsonl", ("\n".join(lines) + "\n").encode())


def exported(case: Case) -> dict[str, Any]:
    """A case for other programs: a line of JSON. Who reported is left out, whoever reads it."""
    is_report = case.kind is CaseKind.REPORT
    values: dict[str, Any] = {
        "number": case.number,
        "kind": case.kind,
        "state": case.state,
        "at": _iso(case.at),
        "until": _iso(case.until) if case.until else "",
        "account": case.account,
        "name": case.name,
        "actor": "" if is_report else case.actor,
        "actor_name": "" if is_report else case.actor_name,
        "rule": case.rule,
        "reason": case.reason,
        "earlier_reasons": [edit.reason for edit in case.edits],
        "strikes": case.strikes,
        "said": case.evidence.text,
        "files": list(case.evidence.files),
        "link": case.evidence.link,
        "undoes": case.undoes,
        "undone_by": case.undone_by,
        "answers": [answer.outcome for answer in case.answers],
    }
    return {name: value for name, value in values.items() if value not in ("", 0, [])}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(round(at), UTC).isoformat()
