"""From measured figures to the processes that 1, 100 and 10,000 communities need, with the arithmetic in view."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import Row

COMMUNITIES = (1, 100, 10_000)
QUESTIONS_A_DAY = 200
"""To the bot, in one community."""
MESSAGES_A_DAY = 5_000
"""Of people among themselves, which Discord hands over as well."""
CONVERSATIONS = 50
"""Of one community that are remembered: channels, threads, direct messages."""
BUSY_HOUR = 1 / 8
"""Part of a day that falls into its busiest hour."""
BURST = 3
"""The busiest minute of that hour against its mean."""
KEEP_DAYS = 30
"""``storage.keep_days``."""
FILL_MS = 500
"""Milliseconds of a processor core that a process is to use of each second: the rest is for bursts and for the
work of one that died."""
ANSWER_SECONDS = 10
ANSWERS_AT_ONCE = 64
"""Of one model replica."""
GUILDS_PER_SHARD = 1_000
LEAST = 2
"""Of each kind, so that one can be restarted."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What the plan is made from, by the names of the measured figures."""

    worker_ms: float
    receiver_ms: float
    overheard_ms: float
    redis_ms: float
    redis_commands: float
    redis_bytes: float
    log_bytes: float
    conversation_bytes: float
    turn_bytes: float
    process_mb: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Costs:
        """Raises KeyError with the name of a figure that was not measured."""
        values = {row.name: row.value for row in rows if row.value is not None}
        fleet = "1 receiver, 2 workers"
        whole, receiver = (
            values[f"{fleet}: processor time an answer, {of}"] for of in ("all of Parley", "the receiver")
        )
        each = next(
            value for name, value in values.items() if name.endswith("Redis for each, with one question and answer")
        )
        return cls(
            whole - receiver,
            receiver,
            values["a message on Discord that is not for the bot: processor time of the receiver"],
            values[f"{fleet}: processor time an answer, Redis"],
            values[f"{fleet}: commands sent to Redis an answer"],
            values[f"{fleet}: bytes to Redis an answer"] + values[f"{fleet}: bytes from Redis an answer"],
            values[f"{fleet}: bytes of the append-only file an answer"],
            each,
            values["a further question and answer of a conversation: Redis"],
            values[f"{fleet}: memory of a worker"],
        )


def peak(communities: int, a_day: int = QUESTIONS_A_DAY) -> float:
    """A second, in the busiest minute of the day."""
    return communities * a_day * BUSY_HOUR / 3600 * BURST


def table(costs: Costs) -> str:
    """The plan as a Markdown table: how it is computed, then a column for each number of communities."""
    columns = [_column(costs, communities) for communities in COMMUNITIES]
    lines = [
        "| | how it is computed | " + " | ".join(f"{c:,}" for c in COMMUNITIES) + " |",
        "|---|---|" + "---:|" * len(COMMUNITIES),
    ]
    for name, how in _arithmetic(costs).items():
        lines.append(f"| {name} | {how} | " + " | ".join(column[name] for column in columns) + " |")
    return "\n".join(lines)


def _arithmetic(c: Costs) -> Mapping[str, str]:
    day = f"communities × {QUESTIONS_A_DAY}"
    return {
        "questions a second at the peak": f"{day} × {BUSY_HOUR:g} ÷ 3600 s × {BURST}",
        "messages not for the bot, a second": f"communities × {MESSAGES_A_DAY:,} × {BUSY_HOUR:g} ÷ 3600 s × {BURST}",
        "receivers of Telegram": f"questions × {c.receiver_ms:.1f} ms ÷ {FILL_MS} ms, and {LEAST} at least",
        "receivers of Discord": (
            f"(questions × {c.receiver_ms:.1f} ms + other messages × {c.overheard_ms:.2f} ms) ÷ {FILL_MS} ms,"
            f" and {LEAST} at least"
        ),
        "shards on Discord": f"communities ÷ {GUILDS_PER_SHARD:,} (`discord.shards = 0`: as Discord recommends)",
        "workers": f"questions × {c.worker_ms:.1f} ms ÷ {FILL_MS} ms, and {LEAST} at least",
        "memory of all these": f"processes × {c.process_mb:.0f} MB",
        "commands to Redis a second": f"questions × {c.redis_commands:.1f}, and 17 for each worker",
        "of a core, Redis": f"questions × {c.redis_ms:.1f} ms ÷ 1000 ms",
        "network of Redis": f"questions × {c.redis_bytes / 1000:.1f} kB",
        "append-only file a day, before it is rewritten": f"{day} × {c.log_bytes / 1000:.1f} kB",
        "memory of Redis": (
            f"communities × ({CONVERSATIONS} × {c.conversation_bytes / 1000:.1f} kB"
            f" + {QUESTIONS_A_DAY} × {KEEP_DAYS} days × {c.turn_bytes / 1000:.2f} kB)"
        ),
        "model replicas": f"questions × {ANSWER_SECONDS} s ÷ {ANSWERS_AT_ONCE} answers at once",
    }


def _column(c: Costs, communities: int) -> dict[str, str]:
    questions, others = peak(communities), peak(communities, MESSAGES_A_DAY)
    telegram = _processes(questions * c.receiver_ms)
    discord = _processes(questions * c.receiver_ms + others * c.overheard_ms)
    workers = _processes(questions * c.worker_ms)
    kept = communities * (CONVERSATIONS * c.conversation_bytes + QUESTIONS_A_DAY * KEEP_DAYS * c.turn_bytes)
    day = communities * QUESTIONS_A_DAY
    values = (
        f"{questions:.2f}" if questions < 10 else f"{questions:.0f}",
        f"{others:.1f}" if others < 100 else f"{others:,.0f}",
        str(telegram),
        str(discord),
        str(max(1, math.ceil(communities / GUILDS_PER_SHARD))),
        str(workers),
        _bytes((telegram + discord + workers) * c.process_mb * 1e6),
        f"{questions * c.redis_commands + 17 * workers:,.0f}",
        f"{questions * c.redis_ms / 1000:.2f}",
        f"{_bytes(questions * c.redis_bytes)}/s",
        _bytes(day * c.log_bytes),
        _bytes(kept),
        str(max(1, math.ceil(questions * ANSWER_SECONDS / ANSWERS_AT_ONCE))),
    )
    return dict(zip(_arithmetic(c), values, strict=True))


def _processes(milliseconds: float) -> int:
    return max(LEAST, math.ceil(milliseconds / FILL_MS))


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.0f} GB" if value >= 10 else f"{value:.1f} GB"
