"""The moderators' commands for the rules of their space: shown, chosen, written, switched, and tried before that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import structlog

from core.commands.row import Room
from core.errors import OutboundError, RightsUnknownError
from core.message import Sighting
from core.moderation.enforcer import Site
from core.moderation.presets import preset, presets
from core.moderation.rulebook import RuleBook
from core.parts import Ending, Finished, Media, Notice, Part, Progress, TextDelta
from core.people.changing import Actor, change_space
from core.people.hearing import zone_of
from core.people.identity import account_of
from core.people.spaces import space_id
from core.storage.marks import Hit
from core.storage.records import Conflict
from core.texts import one_line, plain_line, say

if TYPE_CHECKING:
    from core.moderation.replay import OfRule, Replayed
    from core.moderation.rules import RuleSet

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
STATES = ("on", "shadow", "off")
COUNTED_DAYS = 7
MAX_FILE = 400_000
"""Bytes of a file with rules."""
MOST_REPLAYED = 20_000
"""Messages; the newest."""
MOST_DAYS = 90
TOLD_SECONDS = 1.0
LONGEST_NAME = 40
LONGEST_LINE = 400
LONGEST_EXAMPLE = 100


async def list_rules(room: Room) -> AsyncIterator[Part]:
    """Each rule in a sentence, how it is switched, and what it hit of late."""
    policy, space = room.community.policy, _space(room)
    rules, book = await policy.books.rules(space), (await policy.books.of(space)).value
    if rules is None:
        yield Notice("rules_none" if not book.text else "rules_unreadable", {"presets": ", ".join(presets())})
        yield DONE
        return
    counts = await policy.marks.counts(space, COUNTED_DAYS)
    lines = [say("rules_heading", room.language, count=len(rules.rules), days=COUNTED_DAYS)]
    if not (await room.community.spaces.of(space)).moderated:
        lines.append(say("rules_not_on", room.language))
    if time.time() < book.paused_until:
        lines.append(say("rules_paused", room.language))
    if missing := await _missing(room, rules):
        lines.append(say("rules_lacking", room.language, names=", ".join(missing)))
    for number, rule in enumerate(rules.rules, 1):
        count = counts.get(rule.name, Counter[Hit]())
        hits = count[Hit.ACTED] + count[Hit.SHADOW]
        values = {"hits": hits, "right": count[Hit.RIGHT], "wrong": count[Hit.WRONG]}
        lines.append(
            f"{number}. {_in_words(rules, rule.name, room.language)} {say('rules_hits', room.language, **values)}"
        )
    yield TextDelta("\n".join(lines))
    yield DONE


async def choose(room: Room) -> AsyncIterator[Part]:
    """Rules to begin with take the place of those that are there."""
    name = room.value("name").lower()
    if name not in presets():
        yield Notice("rules_no_preset", {"found": one_line(name, LONGEST_NAME), "presets": ", ".join(presets())})
        yield DONE
        return
    async for part in _written(room, preset(name)):
        yield part


async def write(room: Room) -> AsyncIterator[Part]:
    """Rules from a file take the place of those that are there, if nothing is wrong with them."""
    try:
        text = await _file(room)
    except OutboundError:
        yield Notice("rules_no_file")
        yield DONE
        return
    if text is None:
        yield Notice("rules_no_file")
        yield DONE
        return
    async for part in _written(room, text, keeps=True):
        yield part


async def _written(room: Room, text: str, *, keeps: bool = False) -> AsyncIterator[Part]:
    """``keeps``: what was switched off or into the shadow stays so under the same name, until it is switched again."""
    # Beside the event loop, as long lists of words take a while.
    rules = await asyncio.to_thread(_parsed, text, room.language)
    if isinstance(rules, str):
        yield TextDelta(rules)
        yield DONE
        return
    by = account_of(room.call.author, room.call.conversation.platform)
    names = {rule.name for rule in rules.rules} if keeps else set[str]()

    def written(book: RuleBook) -> RuleBook:
        off, shadow = (tuple(name for name in listed if name in names) for listed in (book.off, book.shadow))
        return RuleBook(text=text, off=off, shadow=shadow, paused_until=book.paused_until, by=by)

    changed = await _change(room, written)
    if changed is not None:
        yield changed
        yield DONE
        return
    await change_space(
        room.community, _space(room), Actor.of(room.turn), lambda now: now.model_copy(update={"moderated": True})
    )
    yield Notice("rules_written", {"count": len(rules.rules)})
    if sentence := await _blind(room):
        yield Notice(sentence)
    async for part in list_rules(room):
        yield part


async def _missing(room: Room, rules: RuleSet) -> list[str]:
    """The rights that the bot lacks for what the rules want done, in words."""
    enforcer = room.moderation.enforcer if room.moderation is not None else None
    if enforcer is None:
        return []
    wanted = {name for rule in rules.rules if rule.enabled for name in rule.effects}
    with contextlib.suppress(RightsUnknownError):
        lacking = await enforcer.lacking_all(Site(room.call.conversation, room.call.space))
        return list(dict.fromkeys(say(key, room.language) for kind, key in lacking if kind in wanted))
    return []


async def _blind(room: Room) -> str:
    """The sentence for why the bot does not see all that is said there."""
    enforcer = room.moderation.enforcer if room.moderation is not None else None
    if enforcer is None:
        return ""
    with contextlib.suppress(RightsUnknownError):
        return await enforcer.blind(Site(room.call.conversation, room.call.space))
    return ""


async def show_file(room: Room) -> AsyncIterator[Part]:
    """The rules as they are written, to be changed and given back."""
    book = (await room.community.policy.books.of(_space(room))).value
    if not book.text:
        yield Notice("rules_none", {"presets": ", ".join(presets())})
    else:
        yield Media("rules.toml", "application/toml", book.text.encode())
    yield DONE


async def switch(room: Room) -> AsyncIterator[Part]:
    """One rule on, off, or in the shadow, where it only counts."""
    state, rules = room.value("state").lower(), await room.community.policy.books.rules(_space(room))
    if rules is None:
        yield Notice("rules_none", {"presets": ", ".join(presets())})
        yield DONE
        return
    try:
        rule = rules[room.value("name")]
    except KeyError:
        names = ", ".join(f"`{_plain(rule.name)}`" for rule in rules.rules)
        yield Notice("rules_unknown", {"found": one_line(room.value("name"), LONGEST_NAME), "names": names})
        yield DONE
        return
    if state not in STATES:
        yield Notice("rules_states", {"states": ", ".join(STATES)})
        yield DONE
        return
    changed = await _change(room, lambda book: _switched(book, rule.name, state))
    if changed is not None:
        yield changed
    else:
        yield Notice(f"rules_switched.{state}", {"name": f"`{_plain(rule.name)}`"})
    yield DONE


def _switched(book: RuleBook, name: str, state: str) -> RuleBook:
    def without(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in names if one != name)

    of = {"off": without(book.off), "shadow": without(book.shadow), "live": without(book.live)}
    chosen = "live" if state == "on" else state
    of[chosen] = (*of[chosen], name)
    return book.model_copy(update=of)


async def attempt(room: Room) -> AsyncIterator[Part]:
    """Which rules these words would hit, as an ordinary member's."""
    from core.moderation.classify import shared_classifier
    from core.moderation.facts import Facts

    space, words = _space(room), room.value("words")
    rules = await room.community.policy.books.rules(space)
    if rules is None:
        yield Notice("rules_none", {"presets": ", ".join(presets())})
        yield DONE
        return
    call, classifier = room.call, await asyncio.to_thread(shared_classifier)
    said = Sighting(call.conversation, call.id, call.update, call.author, words, time.time(), call.space)
    scores = classifier.scores(words)
    hits = rules.look(said, Facts(now=time.time(), scores=lambda: scores, thresholds=classifier.thresholds))
    lines = [
        f"- {_in_words(rules, hit.rule.name, room.language)}"
        + (" " + say("rules_unsure", room.language) if hit.needs_judge else "")
        for hit in hits
    ]
    values = {label: f"{scores[label]:.2f}" for label in scores}
    head = say("rules_try_hits" if hits else "rules_try_none", room.language, count=len(hits))
    yield TextDelta("\n".join([head, *lines, say("rules_scores", room.language, **values)]))
    yield DONE


async def replay(room: Room) -> AsyncIterator[Part]:
    """What rules would have hit of what was said in the last days: those of a file, or those that are there."""
    from core.moderation.classify import shared_classifier
    from core.moderation.replay import Replayed, past
    from core.moderation.replay import replay as run

    policy, space = room.community.policy, _space(room)
    try:
        text = await _file(room)
    except OutboundError:
        text = None
    if text is None and room.call.attachments:
        # Whoever sends rules wants to know about these, and not about those that are there.
        yield Notice("rules_no_file")
        yield DONE
        return
    if text is not None:
        rules = await asyncio.to_thread(_parsed, text, room.language)
    else:
        rules = await policy.books.rules(space)
    if rules is None or isinstance(rules, str):
        yield TextDelta(rules) if rules else Notice("rules_none", {"presets": ", ".join(presets())})
        yield DONE
        return
    typed = room.value("days")
    days = int(typed) if typed.isascii() and typed.isdecimal() and 1 <= int(typed[:4]) <= MOST_DAYS else COUNTED_DAYS
    settings = await room.community.spaces.of(space)
    since, told = time.time() - days * 86400, Replayed()

    def watch(so_far: Replayed) -> None:
        told.messages = so_far.messages

    work = asyncio.create_task(
        run(
            rules,
            await past(policy.watched, room.community.people, settings, space, since, MOST_REPLAYED),
            space=space,
            classifier=await asyncio.to_thread(shared_classifier),
            zone=zone_of(settings.time_zone or room.community.settings.chat.time_zone),
            watch=watch,
        )
    )
    try:
        while not (await asyncio.wait([work], timeout=TOLD_SECONDS))[0]:
            yield Progress("rules_replaying", {"number": told.messages})
        yield TextDelta(replayed(work.result(), days, room.language))
    finally:
        work.cancel()
    yield DONE


def replayed(done: Replayed, days: int, language: str = "") -> str:
    """What came of it, in words."""
    if not done.messages:
        return say("rules_replay_empty", language)
    values = {"number": done.messages, "count": done.acted_on, "days": days}
    lines = [say("rules_replayed", language, **values)]
    lines += [_of_rule(name, of, done, language) for name, of in done.rules.items()]
    return "\n".join(lines)


def _of_rule(name: str, of: OfRule, done: Replayed, language: str) -> str:
    people = [f"`{_plain(done.names[account])}` ({count})" for account, count in of.people.most_common(5)]
    line = f"- `{_plain(name)}`: {say('rules_replay_hits', language, count=of.hits)}"
    if of.unsure:
        line += " " + say("rules_replay_unsure", language, count=of.unsure)
    if people:
        line += ": " + ", ".join(people)
    examples = [f"  - `{_plain(plain_line(one.text, LONGEST_EXAMPLE))}`" for one in of.examples if one.text]
    return "\n".join([line, *examples])


def _parsed(text: str, language: str) -> RuleSet | str:
    """The rules, or all that is wrong with them in words."""
    from core.moderation.rules import RulesError, RuleSet

    try:
        return RuleSet.parse(text)
    except RulesError as error:
        sentences = error.sentences(language)
        head = say("rules_wrong", language, count=len(sentences))
        return "\n".join([head, *(f"- `{_plain(sentence)}`" for sentence in sentences)])


async def _file(room: Room) -> str | None:
    """The text of the file that came with it; None where none did, or it is no text. Raises OutboundError."""
    file = next((one for one in room.call.attachments if one.size <= MAX_FILE), None)
    if file is None or room.fetch is None:
        return None
    try:
        return (await room.fetch(file, MAX_FILE)).decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


async def _change(room: Room, change: Callable[[RuleBook], RuleBook]) -> Notice | None:
    try:
        await room.community.policy.books.change(_space(room), change)
    except Conflict:
        return Notice("conflict")
    call = room.call
    log.info("rules changed", space=_space(room), by=account_of(call.author, call.conversation.platform))
    return None


def _in_words(rules: RuleSet, name: str, language: str) -> str:
    from core.moderation.wording import to_words

    return f"**{one_line(name, LONGEST_NAME)}**: {one_line(to_words(rules[name], language), LONGEST_LINE)}"


def _plain(text: str) -> str:
    """To stand between backquotes."""
    return plain_line(text, LONGEST_LINE).replace("`", "'")


def _space(room: Room) -> str:
    return space_id(room.call.conversation, room.call.space)
