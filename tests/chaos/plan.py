"""What people write and what goes wrong, when: a pure function of the seed and the length of the run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from core.message import Platform

WAVE_SECONDS = 45.0
CALM_SECONDS = 12.0
"""At the end of each wave nothing goes wrong, so that what was broken can be seen to come right."""
MESSAGES_A_SECOND = 1.3
TROUBLES_A_SECOND = 0.7
LONG_WORDS = (400, 800)
"""Several messages of Discord's or Telegram's."""
EDIT_WITHIN = 8
"""An edit, a reply or a second delivery is of one of the room's last messages."""


@dataclass(frozen=True, slots=True)
class Room:
    """A place where people talk with the bot."""

    platform: Platform
    private: bool
    number: int
    weight: float

    @property
    def name(self) -> str:
        return f"{self.platform}-{'private' if self.private else 'group'}-{self.number}"


ROOMS: tuple[Room, ...] = (
    *(Room(Platform.TELEGRAM, True, n, 3.0) for n in range(6)),
    # A group takes 20 messages and edits a minute.
    *(Room(Platform.TELEGRAM, False, n, 0.8) for n in range(3)),
    *(Room(Platform.DISCORD, False, n, 2.5) for n in range(4)),
    *(Room(Platform.DISCORD, True, n, 2.0) for n in range(3)),
    *(Room(Platform.WEB, True, n, 2.0) for n in range(4)),
)


class Act(StrEnum):
    """What a person does."""

    ASK = "ask"
    REPLY = "reply"
    EDIT = "edit"
    COMMAND = "command"
    ORDER = "order"
    """Asks for a picture."""
    REDELIVER = "redeliver"
    """The platform delivers a message again that it delivered before."""


@dataclass(frozen=True, slots=True)
class Say:
    """One thing that a person does; ``number`` makes the tag of what is asked."""

    at: float
    room: int
    act: Act
    number: int
    words: int = 0
    code: bool = False
    back: int = 0
    """How many messages ago the one was that is replied to, edited or delivered again."""
    command: str = ""

    @property
    def tag(self) -> str:
        return f"zq{self.number}"

    @property
    def order(self) -> str:
        """What a picture is asked for by."""
        return f"dq{self.number}"


class Kind(StrEnum):
    """What goes wrong."""

    KILL_RECEIVER = "kill receiver"
    KILL_WORKER = "kill worker"
    KILL_STORE = "kill store"
    RESTART = "rolling restart"
    PAUSE = "pause process"
    PAUSE_STORE = "pause store"
    CUT = "cut link"
    REFUSE = "refuse link"
    DELAY = "delay link"
    STALL = "stall link"
    MODEL_DOWN = "model down"
    MODEL = "model fault"
    TELEGRAM = "telegram fault"
    DISCORD = "discord fault"
    GATEWAY = "gateway"
    CLOCK = "clock"


WEIGHTS: dict[Kind, float] = {
    Kind.KILL_RECEIVER: 3,
    Kind.KILL_WORKER: 4,
    Kind.KILL_STORE: 1.5,
    Kind.RESTART: 2,
    Kind.PAUSE: 1.5,
    Kind.PAUSE_STORE: 0.7,
    Kind.CUT: 3,
    Kind.REFUSE: 1,
    Kind.DELAY: 1.5,
    Kind.STALL: 1.5,
    Kind.MODEL_DOWN: 1,
    Kind.MODEL: 4,
    Kind.TELEGRAM: 4,
    Kind.DISCORD: 4,
    Kind.GATEWAY: 2,
    Kind.CLOCK: 1.5,
}
SECONDS: dict[Kind, tuple[float, float]] = {
    Kind.KILL_RECEIVER: (0.1, 4.0),
    Kind.KILL_WORKER: (0.1, 4.0),
    Kind.KILL_STORE: (0.2, 3.0),
    # Beyond every lease.
    Kind.PAUSE: (7.0, 13.0),
    Kind.PAUSE_STORE: (0.5, 6.0),
    Kind.REFUSE: (1.0, 6.0),
    Kind.DELAY: (2.0, 8.0),
    Kind.STALL: (1.0, 9.0),
    Kind.MODEL_DOWN: (1.0, 8.0),
    Kind.CLOCK: (5.0, 40.0),
}
"""How long it lasts; what is not here is over at once."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong. ``pick`` and ``amount`` (0 to 1) choose the target and the strength."""

    at: float
    kind: Kind
    pick: int
    seconds: float
    amount: float


@dataclass(frozen=True, slots=True)
class Plan:
    says: tuple[Say, ...]
    troubles: tuple[Trouble, ...]


def plan(seed: int, seconds: float, kinds: frozenset[Kind] = frozenset(Kind), storm: float = 1.0) -> Plan:
    """Everything that happens in a run, in order.

    ``kinds`` leaves only some troubles, as many in all; ``storm`` makes them that many times as frequent.
    """
    says = _says(random.Random(f"says {seed}"), seconds)
    return Plan(says, tuple(_troubles(random.Random(f"troubles {seed}"), seconds, kinds, storm) if kinds else ()))


def _says(rng: random.Random, seconds: float) -> tuple[Say, ...]:
    says: list[Say] = []
    # One in every room first: the bot is then known to live there, which is where it catches up.
    number = len(ROOMS)
    at = 0.0
    while True:
        at += rng.expovariate(MESSAGES_A_SECOND / 1.6)
        if at >= seconds:
            return tuple(sorted(says, key=lambda say: (say.at, say.number)))
        room = rng.choices(range(len(ROOMS)), [room.weight for room in ROOMS])[0]
        is_burst = rng.random() < 0.12
        for _ in range(rng.randint(3, 7) if is_burst else 1):
            says.append(_say(rng, at, room, number))
            number += 1
            at += rng.uniform(0.02, 0.3) if is_burst else 0.0


def _say(rng: random.Random, at: float, room: int, number: int) -> Say:
    acts = {Act.ASK: 66, Act.REPLY: 12, Act.EDIT: 8, Act.COMMAND: 6, Act.ORDER: 4, Act.REDELIVER: 4}
    act = rng.choices(list(acts), list(acts.values()))[0]
    long = rng.random() < 0.06 and (ROOMS[room].private or ROOMS[room].platform is not Platform.TELEGRAM)
    words = rng.randint(*LONG_WORDS) if long else rng.randint(3, 90)
    command = rng.choices(("stop", "help", "model", "model two", "model one"), (5, 2, 2, 1, 1))[0]
    return Say(
        round(at, 3),
        room,
        act,
        number,
        words,
        rng.random() < 0.15,
        rng.randint(1, EDIT_WITHIN) if act is not Act.ASK else 0,
        command if act is Act.COMMAND else "",
    )


def _troubles(rng: random.Random, seconds: float, kinds: frozenset[Kind], storm: float) -> list[Trouble]:
    troubles: list[Trouble] = []
    weights = {kind: weight for kind, weight in WEIGHTS.items() if kind in kinds}
    at = 2.0
    while True:
        at += rng.expovariate(TROUBLES_A_SECOND * storm)
        if at % WAVE_SECONDS > WAVE_SECONDS - CALM_SECONDS:
            at += CALM_SECONDS
        if at >= seconds:
            return troubles
        kind = rng.choices(list(weights), list(weights.values()))[0]
        length = round(rng.uniform(*SECONDS.get(kind, (0.0, 0.0))), 2)
        troubles.append(Trouble(round(at, 3), kind, rng.randrange(1_000_000), length, round(rng.random(), 3)))
