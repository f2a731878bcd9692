"""Whoever runs a space, or Parley, is told in private when much of a budget of theirs is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from core.errors import ParleyError
from core.message import Author, CommandCall, ConversationKey, Platform
from core.models.budget import Budget
from core.models.paying import told_of
from core.moderation.members import Members
from core.people.budgets import Tell
from core.texts import say

log = structlog.get_logger()


def teller(members: Mapping[Platform, Members], owners: Collection[str], percent: int) -> Tell:
    """``members`` are those of each platform that has spaces; ``owners`` those of the settings."""

    async def tell(budget: Budget, space: str) -> None:
        key = f"budget-{budget.until:%Y%m%d}-{budget.span}-{budget.thing}-{space or 'all'}"
        values = {"percent": percent, **told_of(budget)}
        try:
            if space:
                platform, bot, id = space.split(":", 2)
                call = _about(Platform(platform), bot, id)
                reached = Platform(platform) in members and await members[Platform(platform)].tell_moderators(
                    call, "", "", lambda language: say("budget_near.space", language, **values), key
                )
            else:
                reached = False
                for owner in owners:
                    platform, _, account = owner.partition(":")
                    if Platform(platform) in members:
                        reached |= await members[Platform(platform)].tell(
                            _about(Platform(platform), "", ""),
                            account,
                            lambda language: say("budget_near.all", language, **values),
                            f"{key}-{account}",
                        )
        except ParleyError as error:
            log.warning("nobody is told of a budget", space=space, cause=str(error))
            return
        log.info("told of a budget", space=space, thing=budget.thing, span=budget.span, reached=reached)

    return tell


def _about(platform: Platform, bot: str, space: str) -> CommandCall:
    """Stands for a command in the space: nobody gave one."""
    return CommandCall(ConversationKey(platform, bot, space), "", "", Author("", ""), "usage", {}, 0.0, space=space)
