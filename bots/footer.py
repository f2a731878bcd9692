"""The small line below a model's answer: which model made it, in what time, for how much."""

from __future__ import annotations

import re

from core.parts import Usage
from core.texts import Amount, Money, say

MILLION = 1_000_000
_MARKS = re.compile(r"([\\`*_~|\[\]<>#])")


def footer_of(usage: Usage, seconds: float | None, language: str, currency: str) -> str:
    """As Markdown; empty for what no model made. ``seconds`` None: nobody knows, since another process asked it."""
    if not usage.model:
        return ""
    model = _MARKS.sub(r"\\\1", usage.model)
    if seconds is None:
        return model
    time = Amount(seconds, "second")
    if not usage.cost:
        return say("footer", language, model=model, time=time)
    amount = usage.cost / MILLION
    # Two digits that say something.
    cost = round(amount, 2) if amount >= 1 else float(f"{amount:.2g}")
    return say("footer_cost", language, model=model, time=time, cost=Money(cost, currency))
