"""The schedule is a pure function of the seed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.chaos.plan import ROOMS, Act, Kind, plan


def test_the_same_seed_gives_the_same_run() -> None:
    assert plan(5, 300) == plan(5, 300)
    assert plan(5, 300) != plan(6, 300)


def test_it_does_not_depend_on_the_process() -> None:
    """No set order, no hash of a text."""
    code = "import zlib; from tests.chaos.plan import plan; print(zlib.crc32(repr(plan(5, 60)).encode()))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_ten_minutes_hold_every_act_room_and_trouble() -> None:
    run = plan(1, 600)
    assert {say.act for say in run.says} == set(Act)
    assert {say.room for say in run.says} == set(range(len(ROOMS)))
    assert {trouble.kind for trouble in run.troubles} == set(Kind)
    assert len({say.number for say in run.says}) == len(run.says)
    assert list(run.says) == sorted(run.says, key=lambda say: say.at)
    assert run.says[-1].at <= 610
    assert run.troubles[-1].at <= 600


def test_only_some_troubles_leave_the_messages_as_they_are() -> None:
    whole, some = plan(1, 60), plan(1, 60, frozenset((Kind.CUT,)))
    assert some.says == whole.says
    assert {trouble.kind for trouble in some.troubles} == {Kind.CUT}
    assert plan(1, 60, frozenset()).troubles == ()
    assert len(plan(1, 600, storm=3.0).troubles) > 2 * len(plan(1, 600).troubles)
