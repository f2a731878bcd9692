"""What people spent and may spend: everybody's own, a space's for those who may see it, and all of it for owners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from core.access import Right
from core.commands.row import Room
from core.models.budget import Amounts, Budget, Scope, Span, Thing
from core.models.paying import told_of
from core.parts import Ending, Finished, Media, Notice, Part, TextDelta
from core.people import usage_chart
from core.people.budgets import MILLION, SHOWN_DAYS
from core.people.fields import BY_NAME, Refused, Terms, parse
from core.people.identity import Person
from core.people.spaces import space_id
from core.people.usage import Report, report, table
from core.storage.budgets import ALL
from core.storage.records import Conflict
from core.texts import Amount, Label, Money, Value, one_line, say

DONE = Finished(Ending.COMPLETE)
USUAL_DAYS = 30
LISTED = 10
LONGEST_NAME = 40
BUDGETS = ("day_money", "month_money", "day_images", "month_images", "day_seconds", "month_seconds")


async def usage(room: Room) -> AsyncIterator[Part]:
    """The caller's own, today and this month, and what is left of the budgets that hold for them."""
    budgets, payer, language = room.community.budgets, room.turn.payer, room.language
    currency = room.community.settings.chat.currency
    used = await budgets.used(f"person:{payer.person}")
    lines = [say("usage_head", language), ""]
    lines += [f"- {say(f'usage_line.{span}', language, **_amounts(used[span], currency))}" for span in Span]
    standing = await budgets.standing(payer)
    lines += ["", say("usage_limits" if standing else "usage_no_limits", language)]
    lines += [f"- {_limit(budget, currency, language)}" for budget in standing]
    yield TextDelta("\n".join(lines))
    yield DONE


async def all_usage(room: Room) -> AsyncIterator[Part]:
    """Of a space, for those who may see it there; of all, for owners in private: a chart and a table."""
    space = space_id(room.call.conversation, room.call.space)
    asked = room.value("days")
    if not (room.is_owner or (space and await room.may(Right.SEE_USAGE))):
        yield Notice("lacking.see-usage")
    elif asked and not (asked.isascii() and asked.isdecimal() and len(asked) < 4 and 1 <= int(asked) <= SHOWN_DAYS):
        yield Notice("usage_days", {"allowed": SHOWN_DAYS})
    else:
        found = await report(room.community.budgets, space or ALL, int(asked or USUAL_DAYS))
        if not found.rows:
            yield Notice("usage_none", {"days": len(found.days)})
        else:
            for part in await _told(room, found):
                yield part
    yield DONE


async def _told(room: Room, found: Report) -> list[Part]:
    language, currency = room.language, room.community.settings.chat.currency
    money = found.measure == "money"
    others = say("usage_others", language)
    by_day = say("usage_by_day_money" if money else "usage_by_day_calls", language, currency=currency)
    titles = (by_day, say("usage_by_model", language), say("usage_by_person", language))

    def lines(rows: list[tuple[str, int]]) -> list[str]:
        return [
            f"{number}. {one_line(name, LONGEST_NAME)}: {_counted(amount, currency, language, money=money)}"
            for number, (name, amount) in enumerate(rows[:LISTED], 1)
        ]

    text = [
        say(
            "usage_all",
            language,
            days=len(found.days),
            calls=found.total("calls"),
            money=Money(found.total("money") / MILLION, currency),
            own=Money(found.total("own") / MILLION, currency),
        ),
        "",
        f"**{titles[1]}**",
        *lines(found.by_model()),
        "",
        f"**{titles[2]}**",
        *lines([(found.called(person), amount) for person, amount in found.by_person()]),
    ]
    image = await asyncio.to_thread(usage_chart.draw, found, titles, others)
    description = say("usage_chart", language, days=len(found.days))
    return [
        TextDelta("\n".join(text)),
        Media("usage.png", "image/png", image, description),
        Media("usage.csv", "text/csv", table(found)),
    ]


async def budget(room: Room) -> AsyncIterator[Part]:
    """The owner sets what somebody may spend, in place of what the configuration says of everybody."""
    user, name, typed = (room.value(option) for option in ("user", "budget", "amount"))
    people = room.community.people
    if not user.isascii() or not user.isdecimal() or len(user) > LONGEST_NAME:
        yield Notice("budget_how", {"names": ", ".join(BUDGETS)})
        yield DONE
        return
    account = f"{room.call.conversation.platform}:{user}"
    if (name or typed) and name not in BUDGETS:
        yield Notice("budget_unknown", {"found": one_line(name or typed, LONGEST_NAME), "names": ", ".join(BUDGETS)})
    elif name and typed:
        yield await _set(room, account, name, typed)
    else:
        person = await people.of(account)
        chosen = person.allowance.model_dump(exclude_none=True)
        lines = [f"- `{key}`: {_plain(key, value)}" for key, value in chosen.items() if key in BUDGETS]
        yield TextDelta("\n".join((say("budget_of", room.language), "", *lines))) if lines else Notice("budget_usual")
    yield DONE


async def _set(room: Room, account: str, name: str, typed: str) -> Notice:
    terms = Terms(currency=room.community.settings.chat.currency, language=room.language)
    try:
        value: int | None = parse(BY_NAME[f"person_{name}"], typed, terms)
    except Refused as refused:
        return Notice(refused.key, refused.values)

    def chosen(person: Person) -> Person:
        return person.model_copy(update={"allowance": person.allowance.model_copy(update={name: value})})

    try:
        await room.community.people.change(account, chosen)
    except Conflict:
        return Notice("budget_conflict")
    return (
        Notice("budget_set", {"name": name, "value": _plain(name, value)})
        if value is not None
        else Notice("budget_unset", {"name": name})
    )


def _plain(name: str, value: int | None) -> str:
    amount = value or 0
    return f"{amount // MILLION}.{amount % MILLION:06d}".rstrip("0").rstrip(".") if "money" in name else str(amount)


def _amounts(amounts: Amounts, currency: str) -> dict[str, Value]:
    return {
        "money": Money(amounts.money / MILLION, currency),
        "images": amounts.images,
        "sound": Amount(amounts.seconds, "second"),
    }


def _value(thing: Thing, amount: int, currency: str) -> Value:
    if thing is Thing.MONEY:
        return Money(amount / MILLION, currency)
    return Amount(amount, "second") if thing is Thing.SECONDS else amount


def _limit(budget: Budget, currency: str, language: str) -> str:
    """How a budget stands. Of what others spend as well only the share is told."""
    values = {**told_of(budget), "whose": Label("budget_whose", budget.scope)}
    if budget.scope in (Scope.SPACE, Scope.ALL):
        percent = min(100, 100 * budget.used // budget.most) if budget.most else 100
        return say("usage_share", language, percent=percent, **values)
    used, most = (_value(budget.thing, amount, currency) for amount in (budget.used, budget.most))
    return say("usage_limit", language, used=used, most=most, **values)


def _counted(amount: int, currency: str, language: str, *, money: bool) -> str:
    if money:
        return say("usage_money", language, money=Money(amount / MILLION, currency))
    return say("usage_calls", language, number=amount)
