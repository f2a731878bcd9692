"""Settings of moderation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.section import Section


class ModerationSettings(Section):
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """Days that a case (a warning, a ban, a report) is kept."""
    reports_per_hour: Annotated[int, Field(ge=1, le=1000)] = 5
    """Reports that one person may make in a space within an hour."""
    message_days: Annotated[int, Field(ge=0, le=90)] = 7
    """Days that messages are kept in spaces whose rules look at everything: for trying changed rules, as evidence,
    and for putting back what was deleted by mistake. 0: not at all."""
    messages: Annotated[int, Field(ge=100, le=1_000_000)] = 50_000
    """Messages kept of one space; the oldest go first."""
    judge_model: str = ""
    """Model that judges messages by rules with `judge`. Empty: the space's own, else the cheapest that is up to it."""
    judge_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    """The longest that one judgement may take, with its second try."""
    judges_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 20
    """Messages of one space that are judged within a minute."""
    judge_failure: Literal["flag", "nothing"] = "flag"
    """What becomes of a message that could not be judged, for lack of time, money or a model: `flag` shows it to the
    moderators."""
