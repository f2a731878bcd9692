"""What a person asked to keep in mind: kept, shown, changed and forgotten, by word and by buttons.

All of it is shown to themselves alone. The buttons begin with a dot, as those of the settings do: they are for the page
and never reach a mailbox.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from zlib import crc32

from core.commands.row import Room
from core.message import CommandCall
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, TextDelta
from core.people.identity import Fact, People, Person, account_of
from core.people.linking import MOST_FACTS
from core.people.memory import LONGEST_FACT, added, clean, find, reference, replaced
from core.storage.records import Conflict
from core.texts import say

DONE = Finished(Ending.COMPLETE)
PAGE = ".memory"
SHORTENED = 40
"""Characters of a fact on a button."""
MOST_SHOWN, SHORTEST = 1500, 30
"""Characters of all facts on the page, which is one message on each platform (Discord's has 2,000), and of one."""
COLUMNS = 2
ON, OFF = "on", "off"


async def remember(room: Room) -> AsyncIterator[Part]:
    """Keeps a fact that the caller wrote themselves."""
    call, text = room.call, clean(room.value("text"))
    if call.quote is not None and call.quote.author_id != call.author.id:
        yield Notice("remember_others")
    elif not text:
        yield Notice("remember_how")
    elif len(text) > LONGEST_FACT:
        yield Notice("remember_long", {"found": len(text), "allowed": LONGEST_FACT})
    else:
        yield await _remembered(room, text)
    yield DONE


async def _remembered(room: Room, text: str) -> Notice:
    people, account = room.community.people, _account(room.call)
    person = await people.of(account)
    if any(fact.text == text for fact in person.facts):
        return Notice("remember_known")
    person = await people.change(account, lambda person: added(person, text, room.call.sent_at or time.time()))
    if not any(fact.text == text for fact in person.facts):
        return Notice("remember_many", {"allowed": MOST_FACTS})
    return Notice("remembered")


async def memory(room: Room) -> AsyncIterator[Part]:
    """Shows the facts, numbered; ``edit`` and ``forget`` take a number, ``groups`` a switch."""
    call = room.call
    action, number, words = (room.value(name) for name in ("action", "number", "words"))
    if not (call.private or call.reply_token):
        yield Notice("memory_privately")
    elif not (action or number or words):
        text, menu = page(await room.community.people.of(_account(call)), room.language)
        yield TextDelta(text)
        if menu.rows:
            yield menu
    elif action == "groups":
        yield await _switched(room.community.people, call, (number or words).lower())
    elif action in ("edit", "forget"):
        yield await change(room.community.people, call, number, words if action == "edit" else None)
    else:
        yield Notice("memory_how")
    yield DONE


async def change(people: People, call: CommandCall, wanted: str, words: str | None) -> Notice:
    """Puts other words in the place of a fact of the caller's, or with None forgets it. Raises StorageError."""
    text = clean(words or "")
    if words is not None and not text:
        return Notice("memory_how")
    if len(text) > LONGEST_FACT:
        return Notice("remember_long", {"found": len(text), "allowed": LONGEST_FACT})
    done, this = Notice("memory_changed" if text else "memory_forgotten"), _digest(call)
    person = await people.of(_account(call))
    # What the number or the button meant when it was given; not what another change has made of it.
    fact = find(person, wanted)
    if person.tidied == this:
        return done
    if fact is None:
        return Notice("memory_unknown", {"found": wanted[:20]})

    def once(person: Person) -> Person:
        if person.tidied == this:
            return person
        return replaced(person, fact, text).model_copy(update={"tidied": this})

    try:
        await people.change(_account(call), once)
    except Conflict:
        return Notice("conflict")
    return done


async def _switched(people: People, call: CommandCall, wanted: str) -> Notice:
    if wanted not in (ON, OFF):
        return Notice("memory_how")
    await people.change(_account(call), lambda person: person.model_copy(update={"facts_in_groups": wanted == ON}))
    return Notice("memory_in_groups" if wanted == ON else "memory_not_in_groups")


def page(person: Person, language: str) -> tuple[str, Menu]:
    """All facts, with a button for each; of many their beginnings."""
    in_groups = say("memory_in_groups" if person.facts_in_groups else "memory_not_in_groups", language)
    if not person.facts:
        return say("memory_none", language), Menu(())
    room = max(SHORTEST, MOST_SHOWN // len(person.facts))
    lines = [f"{number}. {_shown(_brief(fact, room))}" for number, fact in enumerate(person.facts, 1)]
    among = say("list.facts", language)
    cells = [
        Choice(f"{number} · {_brief(fact, SHORTENED)}", f"{PAGE} fact={reference(fact)}", among)
        for number, fact in enumerate(person.facts, 1)
    ]
    wanted = OFF if person.facts_in_groups else ON
    switch = Choice(say(f"button.memory_{wanted}", language), f"{PAGE} groups={wanted}")
    text = "\n".join((say("memory_head", language), "", *lines, "", in_groups))
    rows = [tuple(cells[at : at + COLUMNS]) for at in range(0, len(cells), COLUMNS)]
    return text, Menu((*rows, (switch,)), say("memory_how", language))


def fact_page(person: Person, fact: Fact, language: str) -> tuple[str, Menu]:
    """One fact, and what can be done with it."""
    number = person.facts.index(fact) + 1
    forget = Choice(say("button.forget_now", language), f"{PAGE} forget={reference(fact)}")
    back = Choice(say("button.back", language), PAGE)
    text = f"{number}. {_shown(fact.text)}\n\n{say('memory_edit_how', language, number=number)}"
    return text, Menu(((forget, back),))


async def pressed(people: People, call: CommandCall, language: str) -> tuple[str, str, Menu]:
    """What comes of a button of the page: a word about it, and the page as it is then. Raises StorageError."""
    word = ""
    match dict[str, str](_named(call.options)):
        case {"forget": wanted}:
            notice = await change(people, call, wanted, None)
            word = say(notice.key, language, **notice.values)
        case {"groups": wanted}:
            notice = await _switched(people, call, wanted)
            word = say(notice.key, language)
        case {"fact": wanted}:
            person = await people.of(_account(call))
            if (fact := find(person, wanted)) is not None:
                return "", *fact_page(person, fact, language)
            word = say("toast.old", language)
        case _:
            pass
    return word, *page(await people.of(_account(call)), language)


def _named(options: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in options.items() if name in ("forget", "groups", "fact")}


def _digest(call: CommandCall) -> str:
    return f"{crc32(f'{call.conversation} {call.id}'.encode()):08x}"


def _account(call: CommandCall) -> str:
    return account_of(call.author, call.conversation.platform)


def _shown(text: str) -> str:
    """As code: nothing in it is a mark or a mention."""
    return "`" + text.replace("`", "'") + "`"


def _brief(fact: Fact, room: int) -> str:
    return fact.text if len(fact.text) <= room else f"{fact.text[: room - 1].rstrip()}…"
