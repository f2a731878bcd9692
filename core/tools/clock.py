"""The time, anywhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from core.models.chat import ToolForm
from core.parts import Part
from core.people.fields import zones
from core.tools.tool import Arguments, Caller, Output, Tool, ToolError, takes, text_of, words


async def _run(usual: str, arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
    wanted = text_of(arguments, "zone").strip() or caller.turn.space.time_zone or usual
    # Looked up among those that there are: a name is a path of a file.
    name = zones().get(wanted.lower().replace(" ", "_"))
    if name is None:
        raise ToolError("There is no such time zone. Use a name like Europe/Berlin or Asia/Shanghai.")
    now = datetime.now(ZoneInfo(name))
    yield Output(f"{now:%A} {now.isoformat(timespec='seconds')} ({name})")


def clock(usual: str) -> Tool:
    """``usual`` is the zone where neither the model nor the space names one."""
    form = ToolForm(
        "time",
        "Tells the date, the weekday and the time now in a time zone.",
        takes(zone=words("IANA name like Asia/Shanghai", 60)),
    )
    return Tool(form, partial(_run, usual), allowed_as="time", called="tool.time", seconds=5.0)
