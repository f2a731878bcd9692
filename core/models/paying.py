"""Who pays for a model call: what it may cost at most is reserved before it, what it did cost is settled after it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from core.errors import ParleyError
from core.models.budget import NOTHING, Amounts, Budget, Cap, Period
from core.models.model import Model
from core.parts import Notice, Usage
from core.texts import Label, Moment, Value

SPARE_SECONDS = 120.0
"""How much longer than its call a reservation holds: settling waits for a Redis that is away for a moment."""


@dataclass(frozen=True, slots=True)
class Payer:
    """In whose name models are asked. Without a person and a space only what all may spend counts."""

    person: str = ""
    """``Person.id``."""
    space: str = ""
    """``core.people.spaces.space_id``; empty in private chats."""
    name: str = ""
    """What the person is called, for the lists of who used what."""
    own: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Provider -> the person's own API key: calls to it are theirs to pay, and no budget of the community's."""

    shares: bool = False
    """Where their own key fails, the community's budget may be used: they chose so."""

    listens: bool = True
    """They are told what is to be said of their budgets; nobody is of work in the background."""

    def pays(self, model: Model) -> bool:
        """Whether the person pays for this model's calls with a key of their own."""
        return model.provider in self.own

    def among(self, models: tuple[Model, ...]) -> tuple[Model, ...]:
        """Those of the models, best first, that may be asked. Where the best is paid with an own key, what is asked of
        it is not to be paid by the community in its place, unless the person chose so."""
        if self.shares or not models or not self.pays(models[0]):
            return models
        return tuple(model for model in models if self.pays(model) or model.is_free)

    def without(self, provider: str) -> Payer:
        """The same where their key for a provider was of no use."""
        return replace(self, own={name: key for name, key in self.own.items() if name != provider})


NOBODY = Payer()


class OverBudget(ParleyError):
    """A call is more than what is left. ``is_passing``: it would not be, were it not for calls under way."""

    def __init__(self, budget: Budget, *, is_passing: bool = False) -> None:
        what = f"{budget.scope} {budget.thing} of the {budget.span}"
        super().__init__(f"over the budget: {what}, {budget.used} of {budget.most}")
        self.budget = budget
        self.is_passing = is_passing

    def notice(self) -> Notice:
        """What the person is told: whose budget, and when there is some again."""
        if self.is_passing:
            return Notice("budget_held")
        return Notice(f"budget_spent.{self.budget.scope}", told_of(self.budget))


def told_of(budget: Budget) -> dict[str, Value]:
    """What sentences about a budget are filled with."""
    return {
        "thing": Label("budget_thing", budget.thing),
        "span": Label("budget_span", budget.span),
        "when": Moment(budget.until),
    }


class LowBudget(ParleyError):
    """Little money is left, and who asked was ready to do with a cheaper model."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was set aside for one call. To be settled or given back exactly once; who does neither loses nothing but
    the count: it comes back by itself after a time."""

    id: str
    payer: Payer
    model: Model
    granted: Amounts
    """What was set aside: less money than wanted where there was not so much left."""
    caps: tuple[Cap, ...] = ()
    """The limits that it is set aside from; empty where none holds and nothing was."""
    period: Period | None = None
    """The day it counts for, whenever it ends; None: that on which it is settled."""


class Purse(Protocol):
    """Keeps the budgets."""

    async def reserve(
        self, payer: Payer, model: Model, most: Amounts, least: Amounts, *, seconds: float, sparing: bool = False
    ) -> Reservation:
        """Sets ``most`` aside for ``seconds``, or less money but no less than ``least``, from all budgets that hold.

        Raises OverBudget; LowBudget where little money is left and the call is ``sparing``; StorageError.
        """
        ...

    async def settle(self, reservation: Reservation, took: Amounts, usage: Usage) -> tuple[Notice, ...]:
        """Counts what a call took in place of what was reserved, once however often it is called. Answers what the
        payer is to be told: that little of a budget is left. Never fails: what cannot be written now is later."""
        ...

    async def give_back(self, reservation: Reservation) -> None:
        """Counts nothing: the call took nothing. Never fails."""
        ...


@dataclass(slots=True)
class Bill:
    """One call as it is paid for."""

    granted: Amounts
    took: Amounts = NOTHING
    """To be filled in as soon as it is known, and in any case before the call ends."""
    usage: Usage = field(default_factory=Usage)
    notices: tuple[Notice, ...] = ()
    """What is to be said of the budget, once the call has ended."""


@asynccontextmanager
async def billed(
    purse: Purse | None,
    payer: Payer,
    model: Model,
    most: Amounts,
    least: Amounts | None = None,
    *,
    seconds: float,
    sparing: bool = False,
) -> AsyncGenerator[Bill, None]:
    """Reserves, and settles at the end whatever happens: what then stands in the bill. ``seconds`` is the longest that
    the call may take. Raises OverBudget, LowBudget, StorageError."""
    if purse is None:
        yield Bill(most)
        return
    reservation = await purse.reserve(
        payer, model, most, most if least is None else least, seconds=seconds + SPARE_SECONDS, sparing=sparing
    )
    bill = Bill(reservation.granted)
    try:
        yield bill
    finally:
        if bill.took or bill.usage.calls:
            bill.notices = await purse.settle(reservation, bill.took, bill.usage)
        else:
            await purse.give_back(reservation)
