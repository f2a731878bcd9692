"""A space's words and limits in the platform's own filter, where that has one: only that stops a message before anybody
has seen it. What would change is shown first, to whoever asks alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from core.commands.choosing import CLOSE
from core.commands.row import TYPED, Moderation, Room
from core.errors import OutboundError, RightsUnknownError
from core.moderation.cases import space_of
from core.moderation.checking import bot_lacks
from core.moderation.enforcer import Site
from core.moderation.native import Change, NativeRules, diff, digest
from core.moderation.presets import presets
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, TextDelta
from core.people.spaces import space_id
from core.texts import plain_line, say

DONE = Finished(Ending.COMPLETE)
PUSH = "rules push"
MOST_SHOWN = 10
"""Words of one rule that are shown."""
LONGEST_WORD = 60


async def push(room: Room) -> AsyncIterator[Part]:
    """Shows what would change; with the digest of just these changes, as the button below has it, it does them."""
    moderation = room.moderation
    if moderation is None or moderation.native is None:
        yield Notice("native_none")
    else:
        try:
            async for part in _pushed(room, moderation, moderation.native):
                yield part
        except RightsUnknownError:
            yield Notice("rights_unknown")
        except OutboundError:
            yield Notice("native_unreachable")
    yield DONE


async def _pushed(room: Room, moderation: Moderation, native: NativeRules) -> AsyncIterator[Part]:
    books, space = room.community.policy.books, space_id(room.call.conversation, room.call.space)
    rules, site = await books.rules(space), Site(room.call.conversation, room.call.space)
    if rules is None:
        yield Notice("rules_none", {"presets": ", ".join(presets())})
        return
    if lacking := bot_lacks(await native.lacking(site), room.call.conversation.platform):
        yield lacking
        return
    alert = await _channel(room, moderation)
    fitted = await native.fit(site, [replace(rule, alert=alert) for rule in rules.native()])
    changes = diff(await native.read(site), fitted.rules)
    agreed = room.call.options.get(TYPED, "").strip()
    if agreed and changes and agreed == digest(changes):
        answer = await native.push(site, fitted.rules)
        done = "native_pushed" if answer.is_done else "native_refused"
        yield bot_lacks(answer.key, room.call.conversation.platform) or Notice(done)
        return
    lines = [say("native_changed" if agreed else "native_head", room.language)] if changes else []
    lines += [line for change in changes for line in _lines(change, room.language)]
    lines = lines or [say("native_same", room.language)]
    if fitted.left:
        lines += [
            "",
            say("native_left", room.language, count=len(fitted.left), words=_listed(fitted.left, room.language)),
        ]
    yield TextDelta("\n".join(lines))
    if changes:
        apply = Choice(say("button.apply", room.language), f"{PUSH} {digest(changes)}")
        yield Menu(((apply, Choice(say("button.close", room.language), CLOSE)),), say("import_menus", room.language))


async def _channel(room: Room, moderation: Moderation) -> str:
    """Where the moderators read reports: there the platform tells what it stopped, as long as it is open."""
    chosen = await moderation.cases.channel(space_of(room.call))
    return (await moderation.members.channel(room.call, chosen) or "") if chosen else ""


def _lines(change: Change, language: str) -> list[str]:
    kind = "new" if change.old is None else "gone" if change.new is None else "changed"
    lines = [f"- {say(f'native_rule.{kind}', language, name=_quoted(change.name))}"]
    for sign, words in (("+", change.added), ("−", change.removed)):
        if words:
            lines.append(f"  {sign} {_listed(words, language)}")
    if change.new is not None and change.new.mentions:
        lines.append(f"  {say('native_mentions', language, count=change.new.mentions)}")
    return lines


def _listed(words: Sequence[str], language: str) -> str:
    shown = ", ".join(map(_quoted, words[:MOST_SHOWN]))
    return (
        f"{shown} {say('native_more', language, number=len(words) - MOST_SHOWN)}" if len(words) > MOST_SHOWN else shown
    )


def _quoted(word: str) -> str:
    return "`" + plain_line(word, LONGEST_WORD).replace("`", "'") + "`"
