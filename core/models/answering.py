"""One turn's answer while it is made: what was asked, what came of each call, what it took so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.models import costs
from core.models.chat import ChatMessage, ChatRequest, ToolForm, estimate_prompt, estimate_tokens, without_tools
from core.models.model import Model
from core.models.paying import Bill, OverBudget
from core.models.pool import Busy
from core.models.wire import Done
from core.parts import Ending, Notice, ToolCall, Usage

MIN_ANSWER = 256
"""Tokens that must be left for the answer for a model to fit a prompt."""
UNSEEN = "[a picture]"
"""What a model that sees no pictures is told of a message that was nothing else."""
GO_ON = (
    "Your answer above was cut off by a technical fault. Go on exactly where it stops, in the same language "
    "and format. Repeat nothing and say nothing about the break."
)


@dataclass(slots=True)
class Answer:
    """One turn's answer as it grows over its calls."""

    request: ChatRequest
    deadline: float
    """On the loop's clock."""
    texts: list[str] = field(default_factory=list[str])
    chars: int = 0
    model: str = ""
    """Who wrote last; empty before any text."""
    usage: Usage = field(default_factory=Usage)
    causes: list[str] = field(default_factory=list[str])
    """What failed on the way."""
    has_noticed: bool = False
    was_empty: bool = False
    tried: set[str] = field(default_factory=set[str])
    """Servers asked, by their names in the breaker."""
    busy: Busy | None = None
    """Of the lines that were too long, the shortest."""
    over: OverBudget | None = None
    """The first budget that was not enough."""
    passed_over: str = ""
    """The model that would have answered, had there been the money."""
    bills: list[Bill] = field(default_factory=list[Bill])
    calls: tuple[ToolCall, ...] = ()
    """What the model that ended it wants done."""

    def notice_of(self, model: Model) -> Notice | None:
        """What is said before a model's first words, where it is not the one that people expect."""
        if self.has_noticed:
            return None
        key = "budget_low" if self.passed_over not in ("", model.name) else "fallback"
        if key == "fallback" and self.model in ("", model.name):
            return None
        self.has_noticed = True
        return Notice(key, {"model": model.name})

    def messages(self, model: Model) -> tuple[ChatMessage, ...]:
        """The prompt for the next call, with the text so far to go on from."""
        messages = self.request.messages
        if not model.accepts_images:
            messages = tuple(replace(m, images=(), text=m.text or UNSEEN) if m.images else m for m in messages)
        if not model.tools:
            messages = without_tools(messages)
        if self.texts:
            messages += (ChatMessage("assistant", "".join(self.texts)), ChatMessage("user", GO_ON))
        return messages

    def tools(self, model: Model) -> tuple[ToolForm, ...]:
        """What the model is told of tools."""
        return self.request.tools if model.tools else ()

    def broken_ending(self) -> Ending:
        """What an answer is that no model has ended."""
        if self.texts:
            return Ending.BROKEN
        return Ending.EMPTY if self.was_empty else Ending.FAILED


@dataclass(slots=True)
class Call:
    """One call, for what it took: as reported, or else estimated."""

    model: Model
    prompt: int
    """Estimated tokens."""
    limit: int
    """Tokens that the answer may have."""
    texts: list[str] = field(default_factory=list[str])
    thoughts: int = 0
    """Signs of life without text: of a model that thinks, about a token each."""
    done: Done | None = None

    @property
    def is_alive(self) -> bool:
        return bool(self.texts or self.thoughts or self.done)

    def add(self, piece: str | Done) -> None:
        if isinstance(piece, Done):
            self.done = piece
        elif piece:
            self.texts.append(piece)
        else:
            self.thoughts += 1

    def usage(self) -> Usage:
        prompt = costs.told(self.done.prompt_tokens) if self.done else None
        written = costs.told(self.done.answer_tokens) if self.done else None
        prompt = self.prompt if prompt is None else prompt
        written = estimate_tokens("".join(self.texts)) + self.thoughts if written is None else written
        return Usage(self.model.name, prompt, written, self.model.cost(prompt, written), 1)


def total(usage: Usage, took: Usage) -> Usage:
    """An answer's usage with that of a call of its, which was counted when it began."""
    return Usage(
        took.model,
        usage.prompt_tokens + took.prompt_tokens,
        usage.answer_tokens + took.answer_tokens,
        usage.cost + took.cost,
        usage.calls,
    )


class Fresh:
    """Holds a call's beginning back while it is blank, so that a blank answer shows nothing at all."""

    def __init__(self, is_first: bool) -> None:
        self._is_first = is_first
        self._held = ""
        self._is_open = False

    def admit(self, piece: str) -> str:
        """The text to show now. Blank space is kept where a text goes on, and dropped where one begins."""
        if self._is_open:
            return piece
        self._held += piece
        if not self._held.strip():
            return ""
        self._is_open = True
        return self._held.lstrip() if self._is_first else self._held


def has_cheaper_than(answer: Answer, model: Model, others: Sequence[Model]) -> bool:
    """Whether one with a price is cheaper. Those that cost nothing come when nothing is left."""
    if not model.price_prompt and not model.price_answer:
        return False
    prices = _prices(answer.request, (model, *others))
    return any(0 < prices[other.name] < prices[model.name] for other in others)


def thrifty_order(answer: Answer, models: Sequence[Model]) -> tuple[Model, ...]:
    """The order where little is left: the cheapest of those with a price first, then those that cost nothing."""
    prices = _prices(answer.request, models)
    return tuple(sorted(models, key=lambda model: (not prices[model.name], prices[model.name])))


def _prices(request: ChatRequest, models: Sequence[Model]) -> dict[str, int]:
    """The most that each would take for the answer."""
    prompt = estimate_prompt(request.messages, request.tools)
    limits = (min(model.max_answer, request.max_answer or model.max_answer) for model in models)
    return {m.name: costs.of_chat(m, prompt, limit)[0].money for m, limit in zip(models, limits, strict=True)}


def answer_limit(model: Model, request: ChatRequest, messages: tuple[ChatMessage, ...]) -> int:
    """Tokens the answer may take: servers refuse a limit that does not fit beside the prompt."""
    room = model.window - estimate_prompt(messages, request.tools if model.tools else ()) * 9 // 8
    return min(model.max_answer, request.max_answer or model.max_answer, max(room, MIN_ANSWER // 4))
