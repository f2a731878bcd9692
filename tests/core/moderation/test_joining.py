"""Newcomers show that they are people, or wait, or go: and nobody is locked out for a failure of ours."""

from __future__ import annotations

import time

import pytest

from core.message import Author, Movement
from core.moderation.acts import AUTOMOD, ActKind, Answer, Outcome
from core.moderation.cases import CaseState
from core.moderation.durations import DAY
from core.moderation.enforcer import Known
from core.moderation.members import Rank
from core.moderation.rulebook import RuleBook
from core.storage import keys
from core.storage.client import Store
from core.storage.joining import newcomer_id
from tests.core.moderation.doorstep import Doorstep, doorstep, elsewhere
from tests.core.moderation.test_carrying import act
from tests.core.moderation.town import PLACE, at_work

PERSON = "I am a person"
COLOURS = {
    "join_check": "question",
    "join_question": "Which colour has the sky?",
    "join_answers": ("Blue", "Red", "Green"),
}


async def test_who_presses_the_button_may_talk_and_the_question_goes(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        come = await here.comes("20")
        await here.work()
        assert here.is_silent("20")
        assert len(here.town.open_questions) == 1
        assert "N20" not in here.town.questions[0].markdown
        assert await here.press(PERSON, "5") == "join_not_you"
        assert await here.press(PERSON, "20") == "join_passed"
        await here.work()
        assert not here.is_silent("20")
        assert here.town.open_questions == set()
        assert here.town.told == []
        # Another receiver, or a redelivery, tells of the same arrival.
        await here.tell(come)
        await here.work()
        assert (len(here.town.questions), here.is_silent("20")) == (1, False)
        assert await here.press(PERSON, "20") == "toast.old"


async def test_who_does_not_answer_is_removed_and_may_come_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doorstep(store, join_check="button", join_minutes=2) as here:
        await here.comes("20")
        await here.work()
        await here.later(monkeypatch, 119)
        assert "20" in here.town.people
        await here.later(monkeypatch, 2)
        assert here.did("20") == [ActKind.MUTE, ActKind.KICK, ActKind.UNMUTE]
        assert here.town.open_questions == set()
        assert [told for who, told in here.town.told if who == "20"] != []
        await here.later(monkeypatch, 60)
        await here.comes("20")
        await here.work()
        assert await here.press(PERSON, "20") == "join_passed"
        await here.work()
        await here.later(monkeypatch, DAY + 60)
        assert ("20" in here.town.people, here.is_silent("20")) == (True, False)
        assert ActKind.BAN not in here.did("20")


async def test_it_goes_on_in_another_process(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        other = Doorstep(store, here.town)
        await other.acts.carry(PLACE)
        await other.work()
        assert await other.press(PERSON, "20") == "join_passed"
        third = Doorstep(store, here.town)
        await third.work()
        assert not here.is_silent("20")


async def test_a_wrong_answer_gives_another_try_and_two_are_too_many(store: Store) -> None:
    async with doorstep(store, **COLOURS) as here:
        await here.comes("20")
        await here.comes("21")
        await here.work()
        asked = {one.account: number for number, one in enumerate(here.town.questions)}
        assert "Which colour has the sky?" in here.town.questions[0].markdown
        assert await here.press("Red", "20", question=asked["20"]) == "join_wrong"
        # The same finger again.
        assert await here.press("Red", "20", question=asked["20"]) == "join_wrong"
        assert await here.press("Blue", "20", question=asked["20"]) == "join_passed"
        assert await here.press("Red", "21", question=asked["21"]) == "join_wrong"
        assert await here.press("Green", "21", question=asked["21"]) == "join_failed"
        assert await here.press("Blue", "21", question=asked["21"]) == "toast.old"
        await here.work()
        assert ("20" in here.town.people, "21" in here.town.people) == (True, False)


async def test_forged_presses_change_nothing(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        await here.work()
        id = newcomer_id(PLACE, "20")
        for text in ("", id, f"{id} 9", f"{id} -1", f"{id} ٣", f"{id} 0 0", "0" * 16 + " 0", f"{id.upper()} 0x"):
            assert await here.call(text, "20") == "toast.old", text
        assert await here.call(f"{id} 0", "20", elsewhere("2")) == "join_not_you"
        await here.work()
        assert here.is_silent("20")


async def test_bots_staff_and_whom_administrators_bring_are_not_asked(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        here.town.people["22"] = Known("22", "Back", Rank.ABOVE, is_admin=True)
        await here.comes("20", by="6")
        await here.comes("22")
        await here.comes("23", author=Author("23", "R", is_bot=True))
        await here.comes("24", by="1")
        await here.comes("25", by="5")
        await here.work()
        assert [one.account for one in here.town.questions] == ["25"]
        assert [here.is_silent(account) for account in ("20", "22", "23", "24", "25")] == [False] * 4 + [True]


async def test_who_cannot_be_asked_waits_and_is_never_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doorstep(store, join_check="button") as here:
        here.town.can_ask = False
        await here.comes("20")
        await here.work()
        for _ in range(4):
            await here.later(monkeypatch, 1000)
        assert (here.is_silent("20"), "20" in here.town.people) == (True, True)
        assert [text for _, text, _ in here.town.posted if "could not be asked" in text] != []
        assert here.town.open_questions == {"note"}
        here.town.can_ask = True
        await here.later(monkeypatch, 1000)
        assert len(here.town.open_questions) == 2
        assert await here.press(PERSON, "20") == "join_passed"
        await here.work()
        assert here.town.open_questions == set()
        here.town.can_ask = False
        await here.comes("21")
        await here.later(monkeypatch, DAY + 1000)
        assert (here.is_silent("21"), "21" in here.town.people) == (False, True)


async def test_time_that_ran_out_while_we_were_away_is_given_again_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        await here.work()
        await here.later(monkeypatch, 3600)
        assert "20" in here.town.people
        await here.later(monkeypatch, 301)
        assert "20" not in here.town.people


async def test_without_the_right_to_mute_moderators_are_told_and_nobody_is_asked(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        here.town.missing[ActKind.MUTE] = "permission.moderate_members"
        await here.comes("20")
        await here.comes("21")
        await here.work()
        assert here.town.questions == []
        assert ["may not mute" in text for _, text, _ in here.town.posted] == [True]


async def test_who_may_not_be_removed_stays_silent_for_moderators_to_decide(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep(store, join_check="button") as here:
        here.town.missing[ActKind.KICK] = "permission.kick_members"
        await here.comes("20")
        await here.work()
        await here.later(monkeypatch, 301)
        assert (here.is_silent("20"), "20" in here.town.people) == (True, True)
        assert ["may not remove" in text for _, text, _ in here.town.posted] == [True]
        # The platform ends that by itself.
        assert [seconds for kind, seconds in here.town.asked if kind is ActKind.MUTE] == [DAY]


async def test_who_leaves_and_comes_back_keeps_an_older_mute_of_moderators(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        await here.work()
        async with at_work(here.acts):
            [number] = await here.acts.order([act(ActKind.MUTE, "mod", "20", seconds=3600)])
            await here.acts.carried(PLACE, [number], 5)
        assert await here.press(PERSON, "20") == "join_passed"
        await here.work()
        assert here.is_silent("20")
        await here.comes("20", Movement.LEFT)
        await here.comes("20")
        await here.work()
        assert await here.press(PERSON, "20") == "join_passed"
        await here.work()
        assert here.is_silent("20")


async def test_who_leaves_before_an_answer_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        await here.work()
        await here.comes("20", Movement.LEFT)
        await here.comes("20")
        await here.work()
        assert await here.press(PERSON, "20") == "join_passed"
        await here.work()
        await here.later(monkeypatch, 301)
        assert ("20" in here.town.people, here.is_silent("20")) == (True, False)


async def test_a_request_is_asked_in_private_and_granted_or_declined(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20", Movement.ASKED, private_chat="20")
        await here.comes("21", Movement.ASKED, private_chat="21")
        await here.comes("22", Movement.ASKED)
        await here.work()
        assert {one.private_chat for one in here.town.questions} == {"20", "21"}
        asked = [one.account for one in here.town.questions].index("20")
        assert await here.press(PERSON, "20", question=asked) == "join_passed"
        await here.work()
        await here.comes("20")
        await here.work()
        assert (len(here.town.questions), here.is_silent("20")) == (2, False)
        await here.later(monkeypatch, 301)
        kinds = {(case.kind, case.account) for case in await here.cases()}
        assert kinds == {(ActKind.APPROVE, "20"), (ActKind.DECLINE, "21")}


async def test_while_the_brake_is_pulled_nobody_is_asked_or_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        await here.work()
        until = time.time() + 3600
        await here.community.policy.books.change(PLACE, lambda _: RuleBook(paused_until=until))
        await here.comes("21")
        await here.later(monkeypatch, 301)
        assert ("20" in here.town.people, len(here.town.questions)) == (True, 1)
        await here.later(monkeypatch, until - time.time() + 299)
        assert "20" in here.town.people
        await here.later(monkeypatch, 2)
        assert "20" not in here.town.people


async def test_a_wrong_answer_waits_for_the_end_of_the_brake(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doorstep(store, **{**COLOURS, "join_answers": ("Blue", "Red")}) as here:
        await here.comes("20")
        await here.work()
        until = time.time() + 3600
        await here.community.policy.books.change(PLACE, lambda _: RuleBook(paused_until=until))
        assert await here.press("Red", "20") == "join_failed"
        await here.work()
        assert ("20" in here.town.people, here.is_silent("20"), here.town.posted) == (True, True, [])
        await here.later(monkeypatch, 3601)
        assert "20" not in here.town.people


async def test_what_cannot_be_read_holds_up_nobody(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        name = keys.newcomer(newcomer_id(PLACE, "20"))
        for damaged in ("{", "{}", '{"space": 1, "conversation": "x"}', "[]"):
            await store.redis.hset(name, mapping={"who": damaged})
            assert await here.call(f"{newcomer_id(PLACE, '20')} 0", "20") == "toast.old"
        await here.comes("20")
        await here.work()
        assert await here.press(PERSON, "20") == "join_passed"


async def test_switched_off_it_lets_everybody_be(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20")
        await here.work()
        await here.choose(join_check="off")
        await here.comes("21")
        await here.later(monkeypatch, 301)
        assert (here.is_silent("20"), len(here.town.questions)) == (False, 1)


async def test_who_has_gone_already_is_not_asked(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        here.town.answers = [Answer(Outcome.GONE)]
        await here.comes("20")
        await here.work()
        assert (here.town.questions, here.town.posted) == ([], [])
        [case] = await here.cases()
        assert (case.state, case.is_quiet, case.actor) == (CaseState.FAILED, True, AUTOMOD)


async def test_nobody_can_be_recognised_by_what_is_left_of_a_check(store: Store) -> None:
    async with doorstep(store, join_check="button") as here:
        await here.comes("20777")
        await here.work()
        assert await here.press(PERSON, "20777") == "join_passed"
        await here.work()
        kept = await store.redis.hgetall(keys.newcomer(newcomer_id(PLACE, "20777")))
        assert kept.keys() == {"over", "mutes"}
        assert "20777" not in str(kept)
        assert await store.redis.ttl(keys.newcomer(newcomer_id(PLACE, "20777"))) > 0


async def test_ten_answers_fit_under_one_message(store: Store) -> None:
    many = tuple(f"A{number}" for number in range(12))
    async with doorstep(store, **{**COLOURS, "join_answers": many}) as here:
        await here.comes("20")
        await here.work()
        rows = here.town.questions[0].rows
        assert len(rows) == 5
        assert {choice.label for row in rows for choice in row} == set(many[:10])
        assert len({choice.command for row in rows for choice in row}) == 10
        assert await here.press("A0", "20") == "join_passed"
