"""What a press means, whatever the platform."""

from __future__ import annotations

import pytest

from bots.buttons import command_of
from bots.pressing import Gone, Instead, Outcome, Presses, Under
from core.commands.choosing import CLOSE, SET
from core.conversation.preferences import Preferences
from core.message import Author, CommandCall, Deletion, Reaction, Verdict
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Ending
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.bots.answers import Answers
from tests.builders import ADA, call, conversation

SHOWN, STRANGER = "900", Author("8", "Bob")
PROVIDER = Provider("p", "http://127.0.0.1:9/v1")
VOICE = Model("voice", "p", "voice", kind="speech")


class Place:
    """A conversation in a group, and whose presses in it are decided on."""

    def __init__(self, store: Store, *models: str, votes: bool = False, speaks: bool = False) -> None:
        self.answers = Answers(store, conversation())
        listed = [*(Model(name, "p", name) for name in models or ("one",)), *([VOICE] if speaks else ())]
        self.community, catalog = Community.of(Settings(), store), Catalog([PROVIDER], listed)
        self.presses = Presses(self.answers.history, catalog, self.community, buttons=True, votes=votes)
        self.admins = set[str]()

    async def press(self, data: str, by: Author | None = None, under: str = SHOWN, *, private: bool = False) -> Outcome:
        name, options = command_of(data)
        pressed = call(name, options=options, reply_to=under, private=private, author=by or ADA)
        return await self.presses.decide(pressed, self._is_admin)

    async def preferences(self) -> Preferences:
        return await self.answers.history.preferences(conversation())

    async def _is_admin(self, pressed: CommandCall) -> bool:
        return pressed.private or pressed.author.id in self.admins


def commands(outcome: Outcome) -> list[str]:
    assert isinstance(outcome.show, Under | Instead)
    return [button.command for button in outcome.show.buttons]


@pytest.mark.parametrize("data", ["regenerate", "continue", "speak", "regenerate model=one"])
async def test_what_makes_an_answer_is_posted(store: Store, data: str) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    outcome = await place.press(data)
    assert isinstance(outcome.post, CommandCall)
    assert (outcome.post.name, outcome.post.reply_to) == (data.partition(" ")[0], SHOWN)
    assert (outcome.word, outcome.show, outcome.evident) == (say("toast.begun"), None, True)


async def test_what_is_under_way_is_not_posted_again(store: Store) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    outcome = await place.press("regenerate")
    assert isinstance(outcome.post, CommandCall)
    await place.answers.mailbox.post([outcome.post])
    assert await place.press("regenerate") == Outcome(say("toast.under_way"))


@pytest.mark.parametrize("data", ["regenerate", "continue", ".models", ".forget", "forget", "stop", "speak"])
async def test_under_an_answer_that_is_gone_the_row_goes(store: Store, data: str) -> None:
    assert await Place(store).press(data) == Outcome(say("toast.unknown"), show=Under(()))


@pytest.mark.parametrize("data", ["regenerate", ".models", ".row", ".forget", "forget", "stop"])
async def test_only_who_asked_and_admins_press(store: Store, data: str) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    assert await place.press(data, STRANGER) == Outcome(say("not_theirs"))
    place.admins.add(STRANGER.id)
    assert await place.press(data, STRANGER) != Outcome(say("not_theirs"))


async def test_reading_aloud_and_going_on_is_for_everybody(store: Store) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    for data in ("speak", "continue"):
        assert (await place.press(data, STRANGER)).post is not None


async def test_pages_of_the_row(store: Store) -> None:
    place = Place(store, "one", "two")
    await place.answers.keep(SHOWN, Ending.LENGTH, "two")
    models = await place.press(".models")
    assert commands(models) == ["regenerate model=one", "regenerate model=two", ".row"]
    assert isinstance(models.show, Under)
    assert models.show.buttons[1].label == "✓ two"
    forgetting = await place.press(".forget")
    assert commands(forgetting) == ["forget", ".row"]
    assert isinstance(forgetting.show, Under)
    assert [button.grave for button in forgetting.show.buttons] == [True, False]
    assert commands(await place.press(".row")) == ["continue", "regenerate", ".models", ".forget"]


async def test_a_row_with_votes_has_at_most_five_side_by_side(store: Store) -> None:
    place = Place(store, "one", "two", votes=True)
    await place.answers.keep(SHOWN)
    whole = ["regenerate", ".models", "feedback up", "feedback down", ".forget"]
    row = await place.press(".row")
    assert commands(row) == whole
    assert isinstance(row.show, Under)
    assert {button.row for button in row.show.buttons} == {0}
    place = Place(store, "one", "two", votes=True, speaks=True)
    row = await place.press(".row")
    assert isinstance(row.show, Under)
    by_row = [(button.row, button.command) for button in row.show.buttons]
    assert by_row[:3] == [(0, "regenerate"), (0, ".models"), (0, "speak")]
    assert by_row[3:] == [(1, "feedback up"), (1, "feedback down"), (1, ".forget")]


async def test_stopping_is_done_at_once(store: Store) -> None:
    place = Place(store)
    turn = await place.answers.begin(SHOWN)
    assert await place.press("stop") == Outcome(say("stopped"), evident=True)
    await place.answers.end(turn)
    assert await place.press("stop") == Outcome(say("toast.ended"))


@pytest.mark.parametrize("data", ["regenerate", "continue", ".models", ".row", ".forget"])
async def test_under_an_answer_that_is_being_made_the_row_does_not_turn(store: Store, data: str) -> None:
    place = Place(store)
    await place.answers.begin(SHOWN)
    assert await place.press(data) == Outcome(say("toast.under_way"))


async def test_forgetting_takes_the_row_away(store: Store) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    outcome = await place.press("forget")
    assert isinstance(outcome.post, Deletion)
    assert outcome.post.ids == (SHOWN,)
    assert (outcome.word, outcome.show, outcome.evident) == (say("forgotten"), Under(()), False)


async def test_a_model_that_is_gone_brings_the_row_back(store: Store) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    outcome = await place.press("regenerate model=gone")
    assert outcome.word == say("toast.no_model")
    assert commands(outcome) == ["regenerate", ".forget"]


@pytest.mark.parametrize(("data", "verdict"), [("feedback up", Verdict.UP), ("feedback down", Verdict.DOWN)])
async def test_a_vote_is_a_reaction_of_its_presser(store: Store, data: str, verdict: Verdict) -> None:
    outcome = await Place(store).press(data, STRANGER)
    assert isinstance(outcome.post, Reaction)
    assert (outcome.post.voter, outcome.post.message_id, outcome.post.verdict) == (STRANGER.id, SHOWN, verdict)
    assert outcome.word == say("feedback_thanks")


@pytest.mark.parametrize("data", ["dance", ".dance now", ".list0", ""])
async def test_what_is_no_command_does_nothing(store: Store, data: str) -> None:
    assert await Place(store).press(data) == Outcome(say("toast.old"))


async def test_settings_are_for_admins_and_change_in_place(store: Store) -> None:
    place = Place(store, "one", "two")
    for data in (SET, f"{SET} model=two", CLOSE):
        assert await place.press(data) == Outcome(say("admins_only"))
    place.admins.add(ADA.id)
    page = await place.press(f"{SET} model")
    assert isinstance(page.show, Instead)
    assert page.show.text == say("settings_model")
    assert {button.among for button in page.show.buttons} == {say("list.models"), ""}
    done = await place.press(f"{SET} model=two")
    assert (done.word, done.evident) == (say("settings_set"), True)
    assert (await place.preferences()).model == "two"
    assert await place.press(CLOSE) == Outcome(show=Gone())


async def test_a_setting_that_is_no_more_shows_what_holds(store: Store) -> None:
    outcome = await Place(store).press(f"{SET} dance=1", private=True)
    assert (outcome.word, outcome.evident) == (say("toast.old"), False)
    assert isinstance(outcome.show, Instead)
    assert outcome.show.text.startswith(say("settings_head"))


async def test_words_are_in_the_chosen_language(store: Store) -> None:
    place = Place(store)
    await place.answers.keep(SHOWN)
    await place.answers.history.choose(conversation(), "language", "zh_Hans")
    assert (await place.press("stop")).word == say("toast.ended", "zh_Hans")
