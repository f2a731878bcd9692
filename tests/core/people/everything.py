"""All that Parley keeps of a person, in a store; and all of a store as text."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, replace
from typing import Any

from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.overheard import Overheard
from core.conversation.turn import Turn
from core.knowledge.documents import Draft, Passage, person_scope, space_scope
from core.knowledge.open_questions import Asker
from core.knowledge.passages import Passages
from core.message import Author, CommandCall, ConversationKey, Message, Platform, Quote, Reaction, Sighting, Verdict
from core.models.budget import Amounts
from core.models.model import Model
from core.models.paying import Payer
from core.moderation.cases import Case, CaseKind, Evidence
from core.parts import Ending, Notice, Usage
from core.people.broadcasts import Broadcast
from core.people.changing import Actor, change_space
from core.people.community import Community
from core.people.gate import Reason
from core.people.identity import Fact, Person
from core.people.persona import Persona
from core.people.personas import Shelf
from core.people.spaces import Grant, SpaceSettings, space_id
from core.people.why import note
from core.settings import Settings
from core.storage import keys, web_keys
from core.storage.appeals import AppealBook
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.failed import DeadLetters, Failure, Kind
from core.storage.feedback import Feedback
from core.storage.forms import Forms
from core.storage.inline import InlineQuestion, InlineQuestions
from core.storage.marks import Mark, Marks
from core.storage.notes import Note, Notes
from core.storage.orders import Orders
from core.storage.shared import Memory, Once, Places, Sightings
from core.storage.watched import Watched
from tests.builders import call, message

GROUP = ConversationKey(Platform.TELEGRAM, "1", "-500")
CHANNEL = ConversationKey(Platform.DISCORD, "2", "900")


@dataclass(frozen=True)
class Human:
    """Somebody with an account on each platform. All that is theirs says their word."""

    telegram: Author
    discord: Author
    web: Author
    word: str

    @property
    def id(self) -> str:
        return f"telegram:{self.telegram.id}"

    @property
    def accounts(self) -> tuple[str, ...]:
        return self.id, f"discord:{self.discord.id}", f"web:{self.web.id}"

    @property
    def marks(self) -> tuple[str, ...]:
        """What stands nowhere where nothing of them is kept."""
        return self.telegram.id, self.discord.id, self.web.id, self.telegram.name, self.word

    @property
    def chat(self) -> ConversationKey:
        return ConversationKey(Platform.TELEGRAM, "1", self.telegram.id)

    @property
    def direct(self) -> ConversationKey:
        return ConversationKey(Platform.DISCORD, "2", f"8{self.discord.id[::-1]}")

    @property
    def page(self) -> ConversationKey:
        return ConversationKey(Platform.WEB, "web", f"{self.web.id}-{self.web.id[::-1]}")


def human(number: int, name: str, word: str) -> Human:
    web = f"{number:x}".rjust(24, "a")
    return Human(
        Author(f"71{number}071", name), Author(f"82{number}082", name), Author(web, name, is_owner=False), word
    )


ADA, BOB = human(1234, "Ada Zebrowska", "xylophone"), human(5678, "Bob Quimby", "marzipan")


class World:
    """A store that people have used."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settings = Settings()
        self.community = Community.of(self.settings, store)
        self.history = History(store, keep_days=30, max_messages=1000)
        self.mailbox = Mailbox(store, "w", Admission(), keep_days=30)
        self.answers = 5_000_000

    async def ask(self, asked: Message, answer: str) -> str:
        """Asks and has it answered; the question's id."""
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(asked.conversation)
        assert turn is not None
        turn.space = SpaceSettings(passive=True)
        await self.answer(turn, asked, answer)
        return asked.id

    async def answer(self, turn: Turn, asked: Message, answer: str) -> None:
        """Answers as the engine and the worker do."""
        question = Question.of(asked, images=("p" + asked.author.id,))
        path = await self.history.path(turn, Mode.ASK, question, id=asked.id, reply_to="", window=10_000)
        assert path is not None
        self.answers += 1
        turn.question, turn.pages = path.question, {0: str(self.answers)}
        payload = Answer(answer, (str(self.answers),), Ending.COMPLETE, "m").to_payload()
        await self.mailbox.finish(turn, payload, 5)

    async def vote(self, place: ConversationKey, author: Author) -> None:
        """Likes the newest answer."""
        vote = Reaction(place, str(self.answers), author.id, Verdict.UP, time.time())
        assert await Feedback(self.store, keep_days=30).vote(vote)

    async def use(self, who: Human, other: Human) -> None:
        """Does everything once that leaves something of ``who``."""
        await self._talk(who, other)
        await self._teach(who)
        await self._choose(who)
        await self._be_noted(who, other)
        await self._spend(who)
        await self._use_the_web(who)
        await self._order(who)

    async def _order(self, who: Human) -> None:
        orders, number = Orders(self.store), len(who.word)
        for place, account in ((GROUP, who.id), (who.page, who.accounts[2])):
            text = json.dumps({"kind": "picture", "request": {"prompt": f"a {who.word}"}})
            await orders.place(f"{place}/{number}", text, account, [b"\x89PNG" + who.word.encode()], "images")
            await orders.shown(place, [f"{number}00"], account, text, 86400)

    async def _teach(self, who: Human) -> None:
        passages = Passages(self.store, self.settings.knowledge, libraries=self.community.libraries)
        own = Draft(f"On {who.word}", f"{who.word}.txt", "file", [Passage("", 0, f"all of {who.word}")])
        rules = Draft("Rules", "", "text", [Passage("", 0, f"Rule {len(who.word)}.")], added_by=who.id)
        await passages.add(person_scope(who.id), own)
        await passages.add(space_scope(space_id(GROUP, GROUP.chat)), rules)

    async def _talk(self, who: Human, other: Human) -> None:
        places = ((who.chat, who.telegram), (GROUP, who.telegram), (who.direct, who.discord), (CHANNEL, who.discord))
        for place, author in (*places, (who.page, who.web)):
            is_private = place not in (GROUP, CHANNEL)
            space = "" if is_private else place.chat
            asked = message(f"my {who.word}?", conversation=place, author=author, private=is_private, space=space)
            await self.ask(asked, f"your {who.word}!")
            picture = base64.b64encode(b"\x89PNG" + who.word.encode()).decode()
            await self.history.put_image(place, "p" + author.id, picture)
            await self.vote(place, author)
        await self.store.redis.hset(keys.ConversationKeys.of(GROUP).tree, f"~{self.answers}", f"they said {who.word}")
        quoting = Quote("77", other.telegram.name, f"about {other.word}", author_id=other.telegram.id)
        await self.ask(
            message("what is it?", conversation=GROUP, author=who.telegram, private=False, space="-500", quote=quoting),
            "something",
        )
        waiting = [
            message(f"{who.word} waits", conversation=GROUP, author=who.telegram, private=False, space="-500"),
            replace(call("imagine", conversation=GROUP, author=who.telegram), space="-500", private=False),
        ]
        await self.mailbox.post(waiting)
        beside = message(f"not for the bot: {who.word}", conversation=CHANNEL, author=who.discord, private=False)
        quoted = Quote("78", other.discord.name, f"beside {other.word}", author_id=other.discord.id)
        answering = message("indeed", conversation=CHANNEL, author=who.discord, private=False, quote=quoted)
        await Overheard(self.store).keep([beside, answering])
        letters = DeadLetters(self.store, keep_days=30)
        lost = message(f"lost {who.word}", conversation=who.chat, author=who.telegram)
        await self._bury(lost)
        await letters.keep_job("summarise", f"{who.chat}|9", f"{who.chat}|9", ["no"])
        await Places(self.store).saw(who.chat, "9", "")
        asker = Asker(
            account=f"telegram:{who.telegram.id}", name=who.telegram.name, conversation=str(GROUP), message="9"
        )
        await self.community.questions.add(space_id(GROUP, "-500"), f"who knows {who.word}?", asker)

    async def _bury(self, lost: Message) -> None:
        await self.mailbox.post([lost])
        turn = await self.mailbox.take(lost.conversation)
        assert turn is not None
        await self.mailbox.finish(turn, "{}", 0, Failure(Kind.MODEL, ("none",)))

    async def _choose(self, who: Human) -> None:
        person = Person(
            id=who.id,
            accounts=who.accounts,
            language="en",
            facts=(Fact(text=f"likes {who.word}"),),
            keys={"openai": f"sealed-{who.word}"},
        )
        await self.community.people.records.change(who.id, lambda _: person)
        for account in who.accounts[1:]:
            pointer = Person(id=account, goes_by=who.id)
            await self.community.people.records.change(account, lambda _, pointer=pointer: pointer)
        shelf = Shelf(personas=(Persona(name="mine", instructions=f"speak of {who.word}"),))
        await self.community.personas.records.change(who.id, lambda _: shelf)
        space = "discord:2:900"
        actor = Actor(who.id, who.telegram.name)
        grant = Grant(right="draw", allowed=True, who=f"person:{who.id}")

        def change(now: Any) -> Any:
            return now.model_copy(
                update={"roles": {**now.roles, who.id: "moderator"}, "grants": (*now.grants, grant), "keep_days": 7}
            )

        await change_space(self.community, space, actor, change)
        await self.community.broadcasts.ask(Broadcast(text="hello all", by=who.id, tell=str(who.chat)))

    async def _spend(self, who: Human) -> None:
        model = Model("m", "p", "m")
        payer = Payer(who.id, "discord:2:900", name=who.telegram.name)
        purse = self.community.budgets
        reservation = await purse.reserve(payer, model, Amounts(5), Amounts(1), seconds=9)
        await purse.settle(reservation, Amounts(3), Usage("m", 1, 1, 3, 1))
        await purse.close()

    async def _be_noted(self, who: Human, other: Human) -> None:
        cases = Cases(self.store, keep_days=30)
        evidence = Evidence("5", "https://example.org/5", f"rude {who.word}", (f"{who.word}.png",))
        about = Case(
            CaseKind.WARN, who.telegram.id, who.telegram.name, "1", "Mod", "was rude", time.time(), evidence=evidence
        )
        by = Case(
            CaseKind.REPORT,
            other.telegram.id,
            other.telegram.name,
            who.telegram.id,
            who.telegram.name,
            f"they hid my {who.word}",
            time.time(),
        )
        await cases.make("telegram:1:-500", about, f"about-{len(who.word)}", most=9)
        await cases.make("telegram:1:-500", by, f"by-{len(who.word)}", most=9)
        appeals = AppealBook(self.store)
        code = await appeals.ticket("telegram:1:-500", len(who.word), who.telegram.id)
        appealed = {"words": f"unfair {who.word}", "state": "open", "at": time.time()}
        await appeals.change(code, lambda now: now.model_copy(update=appealed))
        said = Sighting(GROUP, "77", "u77", who.telegram, f"seen {who.word}", time.time(), "-500")
        await Watched(self.store).keep([("telegram:1:-500", said)])
        marks, number = Marks(self.store), len(who.word)
        await marks.mark("telegram:1:-500", Mark(number, "caps", True, who.word, "1", time.time(), who.telegram.id))
        await marks.mark("telegram:1:-500", Mark(number + 50, "caps", True, "x", who.telegram.id, time.time(), "4"))
        noted = Note(message="9", account=who.telegram.id, reason="right", at=time.time(), key="lacking.draw")
        await Notes(self.store).keep(who.chat, noted)
        redis, digest = self.store.redis, f"code{len(who.word)}"
        await redis.set(keys.link_issued(who.id), digest)
        await redis.hset(keys.link_code(digest), "says", json.dumps({"account": who.id, "name": who.telegram.name}))
        await redis.zadd(keys.limit("person", f"{who.id}@telegram:1:-500", "60"), {"token": 1})
        await redis.sadd(keys.threads(f"telegram:1:{who.telegram.id}"), "5")
        memory, once = Memory(self.store), Once(self.store)
        await memory.remember(f"telegram:1:added:{len(who.word)}", f"{who.telegram.id} en")
        await memory.remember(f"telegram:1:who:{who.telegram.id}", f"{who.telegram.id} en")
        await note(
            Notes(self.store),
            Turn(GROUP, "1", "1", message(who.word, conversation=GROUP, author=who.telegram)),
            Reason.LIMIT,
            Notice("limited_person", {"count": 5}),
        )
        assert await once.may(f"blocked:telegram:{who.telegram.id}", 3600)
        await Sightings(self.store, "telegram:1").tell(f"{who.telegram.id}:12:mark")
        question = InlineQuestion(who.telegram.id, f"inline {who.word}")
        await InlineQuestions(self.store).keep("1", [question])
        form = CommandCall(CHANNEL, f"form-{who.discord.id}", "u", who.discord, "chat", {"text": who.word})
        await Forms(self.store).keep(form)

    async def _use_the_web(self, who: Human) -> None:
        redis, user, shown = self.store.redis, who.web.id, who.page.chat.partition("-")[2]
        await redis.set(web_keys.user(user), json.dumps({"id": user, "name": who.web.name, "is_owner": False}))
        await redis.zadd(web_keys.conversations(user), {shown: time.time()})
        await redis.hset(web_keys.titles(user), shown, json.dumps({"title": f"My {who.word}", "model": ""}))
        await redis.hset(web_keys.messages(user, shown), "00q", "1 " + json.dumps({"text": who.word}))
        await redis.zadd(web_keys.order(user, shown), {"00q": 0})
        data = base64.b64encode(who.word.encode()).decode()
        await redis.hset(web_keys.blob(user, "b1"), mapping={"name": f"{who.word}.txt", "mime": "x", "data": data})
        await redis.lpush(web_keys.blobs(user), "b1")
        await redis.set(web_keys.code("d" + who.word), user)


async def dump(store: Store, *, prefix: str = "") -> str:
    """Every key and every value, in a fixed order."""
    redis, lines = store.redis, list[str]()
    for key in sorted([key async for key in redis.scan_iter(match=f"{prefix}*")]):
        kind = await redis.type(key)
        readers: dict[str, Any] = {
            "string": lambda key=key: redis.get(key),
            "hash": lambda key=key: redis.hgetall(key),
            "list": lambda key=key: redis.lrange(key, 0, -1),
            "set": lambda key=key: redis.smembers(key),
            "zset": lambda key=key: redis.zrange(key, 0, -1),
            "stream": lambda key=key: redis.xrange(key),
        }
        lines.append(f"{key}\t{await readers[kind]()}")
    return "\n".join(lines)
