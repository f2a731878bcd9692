"""What looks at who comes to spaces, put together: the join check, and raids."""

from __future__ import annotations

from dataclasses import dataclass

from core.moderation.alarm import Alarm
from core.moderation.carrying import Acts
from core.moderation.joining import JoinCheck
from core.moderation.raids import Raids
from core.moderation.timers import Handler
from core.moderation.watch import Watch
from core.people.community import Community
from core.storage.deadlines import Deadlines
from core.storage.joining import Newcomers
from core.storage.shared import Once


@dataclass(frozen=True, slots=True)
class Doors:
    """Those of all spaces, as one process knows them."""

    joining: JoinCheck
    raids: Raids

    @classmethod
    def of(cls, community: Community, acts: Acts) -> Doors:
        store, spaces = community.store, community.spaces
        newcomers, deadlines, alarm = Newcomers(store), Deadlines(store), Alarm(acts, spaces, Once(store))
        paused = community.policy.books.paused_until
        raids = Raids(store, newcomers, spaces, acts, deadlines, alarm, paused)
        return cls(JoinCheck(newcomers, spaces, acts, deadlines, alarm, paused, raids.checks_all), raids)

    @property
    def handlers(self) -> dict[str, Handler]:
        """For :class:`core.moderation.timers.Timers`."""
        return {**self.joining.handlers, **self.raids.handlers}

    def hear(self, watch: Watch) -> None:
        """Who makes it a raid is checked already."""
        watch.arrivals += (self.raids.arrived, self.joining.arrived)
