"""Finds what was lost, doubled, cut, out of order or told to the wrong chat. Pure: values in, violations out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.texts import ENGLISH, catalog
from tests.chaos.speech import TAG, WORD, ended
from tests.notices import left_out

LATER = ("comes_later", "comes_later_far")
"""Notices that a picture is still being made."""
MANY = ("overflow", "overload")
"""Notices of which one stands for several questions."""
NO_PICTURE = ("not_drawn", "creation_failed", "creation_gone", "creation_late", "creation_stopped", "storage_full")
"""Notices of which one stands in place of a picture."""
INSTEAD = frozenset(
    ("failed", "broken", "empty", "stopped", "crashed", "length", "filtered", "busy", "busy_minutes", *MANY)
)
"""Notices that say why there is no (whole) answer to a question."""
BESIDE = frozenset(("fallback", "shortened"))
"""Notices that stand under a whole answer."""
UNDER = ("broken", "length", "fallback")
"""Notices that stand on a page of their own behind an answer whose last page was full."""
_MARKS = str.maketrans("", "", "*`_")


@dataclass(frozen=True, slots=True)
class Question:
    """A message that was accepted. ``tags`` are what it asked, in all its forms: the last one counts."""

    room: str
    id: str
    words: int
    tags: tuple[str, ...]
    is_sure: bool = True
    """Whether its last form was accepted for certain; if not, the one before it may have been answered."""
    may_stop: bool = False
    """Somebody stopped an answer in this room after it was asked."""
    earlier_words: int = 0
    """Of the form before the last."""
    is_order: bool = False
    """A picture was asked for: it may come at any time, or not."""


@dataclass(frozen=True, slots=True)
class Order:
    """A picture that was asked for."""

    room: str
    id: str
    tag: str
    may_stop: bool = False
    is_sure: bool = True
    is_apart: bool = False
    """What becomes of it stands in ``aside`` or in the room as a message of its own; else in the room alone."""
    aside: tuple[Shown, ...] = ()


@dataclass(slots=True)
class Orders:
    """What came of all orders."""

    violations: list[Violation] = field(default_factory=list["Violation"])
    open: list[Question] = field(default_factory=list[Question])
    """Those without a picture, for which a notice is to be found in their room."""
    left: list[Shown] = field(default_factory=list["Shown"])
    """What is not about orders."""
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the bot's that stands in a room."""

    room: str
    id: str
    text: str
    replies_to: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken. ``tag`` may be empty where it is about no single question."""

    kind: str
    room: str
    tag: str
    what: str
    message: str = ""
    """Id of the message that is too many, where it belongs to no question."""


@dataclass(slots=True)
class Verdict:
    """What came of a run's messages."""

    violations: list[Violation] = field(default_factory=list[Violation])
    answers: int = 0
    notices: Counter[str] = field(default_factory=Counter[str])


def check(questions: Sequence[Question], commands: Mapping[str, Counter[str]], shown: Sequence[Shown]) -> Verdict:
    """All rooms. ``questions`` and ``shown`` are in the order of each room; ``commands`` counts names by room."""
    verdict = Verdict()
    home = {tag: question.room for question in questions for tag in question.tags}
    for room in sorted({q.room for q in questions} | {s.room for s in shown} | set(commands)):
        _Room(
            room,
            [q for q in questions if q.room == room],
            commands.get(room, Counter()),
            [s for s in shown if s.room == room],
            home,
            verdict,
        ).check()
    return verdict


def check_orders(orders: Sequence[Order], shown: Sequence[Shown]) -> Orders:
    """Each order ends in one picture or in one notice. A picture says what was asked for."""
    result = Orders()
    used: set[int] = set()
    for order in orders:
        tag = re.compile(rf"\b{order.tag}\b")
        places = [at for at, one in enumerate(shown) if one.room == order.room and tag.search(one.text)]
        used.update(places)
        # Where the words are a message of their own, the picture is the next one, without any.
        used.update(at for at in (_next(shown, place) for place in places) if at and not shown[at].text.strip())
        found = [*(shown[at] for at in places), *(one for one in order.aside if tag.search(one.text))]
        notices = [key for one in order.aside for key in notices_in(one.text) if key in (*INSTEAD, *NO_PICTURE)]
        if len(found) > 1 or (found and notices) or len(notices) > 1:
            what = f"{len(found)} pictures and the notices {notices}"
            result.violations.append(Violation("doubled", order.room, order.tag, what))
        elif found:
            result.pictures += 1
        elif not order.is_apart:
            result.open.append(Question(order.room, order.id, 0, (order.tag,), may_stop=order.may_stop, is_order=True))
        elif order.is_sure and not notices:
            said = [one.text[:80] for one in order.aside]
            result.violations.append(Violation("lost", order.room, order.tag, f"no picture and no notice: {said}"))
    # That it comes later is said beside what comes then.
    later = {at for at, one in enumerate(shown) if _is_said(LATER, one.text)}
    result.left = [one for at, one in enumerate(shown) if at not in used | later]
    return result


def _next(shown: Sequence[Shown], place: int) -> int:
    """Where the next message of the same room is; 0 for none."""
    return next((at for at in range(place + 1, len(shown)) if shown[at].room == shown[place].room), 0)


def notices_in(text: str) -> list[str]:
    """Keys of the sentences of Parley's own in a text, in their order."""
    plain = text.translate(_MARKS)
    found = [(match.start(), key) for key, pattern in _SENTENCES.items() for match in pattern.finditer(plain)]
    return [key for _, key in sorted(found)]


def _is_said(keys: Sequence[str], text: str) -> bool:
    """Whether one of the sentences is in a text: all of them are looked for by :func:`notices_in`, which takes long."""
    plain = text.translate(_MARKS)
    return any(_SENTENCES[key].search(plain) for key in keys)


def _pattern(sentence: str) -> str:
    # Without what a sentence begins with: patterns that begin with anything take seconds for a long answer.
    pieces = re.split(r"\{\w+\}", sentence.translate(_MARKS).strip())
    return ".+?".join(map(re.escape, pieces[1:] if not pieces[0] else pieces))


# A key with a dot is a label: of a button, a command, a page. What ends in no mark is a word within a sentence.
_SENTENCES = {
    key: re.compile("|".join(map(_pattern, forms)), re.S)
    for key, forms in catalog(ENGLISH).sentences.items()
    if "." not in key and forms[0][-1] in ".!?:"
}


class _Room:
    def __init__(
        self,
        name: str,
        questions: list[Question],
        commands: Counter[str],
        shown: list[Shown],
        home: Mapping[str, str],
        verdict: Verdict,
    ) -> None:
        self._name = name
        self._questions = questions
        self._commands = commands
        self._shown = shown
        self._home = home
        self._verdict = verdict
        self._words: dict[str, list[tuple[int, int]]] = {}
        """Tag -> (place of the message, number of the word), as shown."""
        self._resolved: dict[str, int] = {}
        """Newest tag -> place of the message that begins its answer."""
        self._used: set[int] = set()
        """Places of messages that belong to an answer."""

    def check(self) -> None:
        for place, message in enumerate(self._shown):
            for tag, number in WORD.findall(message.text):
                self._words.setdefault(tag, []).append((place, int(number)))
                self._used.add(place)
        self._leaks()
        bare = [question for question in self._questions if not self._has_words(question)]
        for question in self._questions:
            if self._has_words(question):
                self._with_words(question)
        self._without_words(bare)
        self._order()

    def _tell(self, kind: str, tag: str, what: str, message: str = "") -> None:
        self._verdict.violations.append(Violation(kind, self._name, tag, what, message))

    def _leaks(self) -> None:
        for message in self._shown:
            for tag in dict.fromkeys(TAG.findall(message.text)):
                if (home := self._home.get(tag)) != self._name:
                    self._tell("leaked", tag, f"message {message.id} tells of {tag}, which is {home or 'nobody'}'s")

    def _has_words(self, question: Question) -> bool:
        return any(tag in self._words for tag in question.tags)

    def _form(self, question: Question) -> tuple[str, int]:
        """The form that was answered: the newest, or the one before it where the newest may have been lost."""
        newest = question.tags[-1]
        if newest not in self._words and not question.is_sure and len(question.tags) > 1:
            return question.tags[-2], question.earlier_words
        return newest, question.words

    def _with_words(self, question: Question) -> None:
        tag, words = self._form(question)
        found = self._words.get(tag, [])
        for old in question.tags:
            if old != tag and old in self._words:
                self._tell("stale", question.tags[-1], f"the answer to an earlier form, {old}, still stands")
        if not found:
            return
        places = sorted({place for place, _ in found})
        self._resolved[question.tags[-1]] = places[0]
        numbers = [number for _, number in found]
        text = "\n".join(self._shown[place].text for place in places)
        whole = numbers == list(range(words + 1)) and ended(f"{text}\n{self._last_words(tag, places[-1] + 1)}", tag)
        notices = notices_in(text)
        apart = self._notices_apart(question, places[-1] + 1)
        if whole and not BESIDE.issuperset(apart):
            self._tell("doubled", tag, f"a whole answer, and notices of their own: {apart}")
            return
        notices += apart
        instead = [notice for notice in notices if notice in INSTEAD]
        if whole and not instead:
            self._verdict.answers += 1
            self._verdict.notices.update(notices)
        elif whole or (numbers == list(range(len(numbers))) and len(instead) == 1):
            # A whole text may still have ended badly: its end was never confirmed.
            self._verdict.notices.update(notices)
            self._justified(question, instead)
        else:
            self._tell(*self._broken(tag, numbers, words, notices))

    def _broken(self, tag: str, numbers: list[int], words: int, notices: list[str]) -> tuple[str, str, str]:
        counts = Counter(numbers)
        twice = sorted(number for number, count in counts.items() if count > 1)
        missing = [number for number in range(words + 1) if number not in counts]
        detail = f"{len(numbers)} words of {words + 1}, notices {notices}"
        if twice:
            return "doubled", tag, f"words {_some(twice)} stand twice: {detail}"
        if numbers != sorted(numbers):
            return "garbled", tag, f"words out of their order: {detail}"
        return "truncated", tag, f"words {_some(missing)} or the end are missing: {detail}"

    def _last_words(self, tag: str, behind: int) -> str:
        """The page behind the last one with words, when nothing but the end stands there."""
        if behind < len(self._shown) and behind not in self._used and ended(self._shown[behind].text, tag):
            self._used.add(behind)
            return self._shown[behind].text
        return ""

    def _notices_apart(self, question: Question, behind: int) -> list[str]:
        """Messages that reply to the question and hold nothing but notices, and the one behind the last page."""
        notices: list[str] = []
        for place, message in enumerate(self._shown):
            if place in self._used or TAG.search(message.text):
                continue
            keys = notices_in(message.text)
            is_behind = place == behind and not message.replies_to and keys[:1] and keys[0] in UNDER
            if is_behind or (question.id and message.replies_to == question.id):
                self._used.add(place)
                notices += keys
        return notices

    def _without_words(self, bare: list[Question]) -> None:
        """Notices that stand alone, and commands' answers; whatever is left over is wrong."""
        free = [
            (place, notices_in(message.text)) for place, message in enumerate(self._shown) if place not in self._used
        ]
        left: list[tuple[int, str]] = []
        for place, keys in free:
            if not keys:
                id = self._shown[place].id
                self._tell("unknown", "", f"nobody asked for message {id}: {self._shown[place].text[:80]!r}", id)
            else:
                left.append((place, keys[0]))
        unread = 0
        open_ = list(bare)
        pool: list[tuple[int, str]] = []
        for place, key in left:
            question = next((q for q in open_ if q.id and q.id == self._shown[place].replies_to), None)
            if question is None:
                pool.append((place, key))
                continue
            open_.remove(question)
            self._alone(question, place, key)
            unread += self._count(place) - 1 if key in MANY else 0
        pool = self._commands_answered(pool)
        for place, key in pool:
            question = self._nearest(open_, place) if key in (*INSTEAD, *NO_PICTURE) else None
            if question is None:
                id = self._shown[place].id
                self._tell("doubled", "", f"message {id} ({key}) answers nothing that is open", id)
                continue
            open_.remove(question)
            self._alone(question, place, key)
            unread += self._count(place) - 1 if key in MANY else 0
        # One notice stands for all that were too many.
        for question in open_[unread:] if unread < len(open_) else []:
            self._tell("lost", question.tags[-1], "neither an answer nor a notice")

    def _commands_answered(self, pool: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Takes the answers of commands out."""
        for name, keys in COMMAND_ANSWERS.items():
            wanted = self._commands[name]
            mine = [(place, key) for place, key in pool if key in keys]
            if name == "stop":
                # A question that was stopped before its first word has the same sentence, and comes first.
                mine.sort(key=lambda row: (row[1] != "nothing_to_stop", -row[0]))
            if len(mine) < wanted:
                self._tell("lost", "", f"{wanted} calls of /{name}, {len(mine)} answers")
            taken = mine[:wanted]
            pool = [row for row in pool if row not in taken]
        return pool

    def _nearest(self, open_: list[Question], place: int) -> Question | None:
        """The first open question after those that were answered before this message."""
        before = [n for n, q in enumerate(self._questions) if self._resolved.get(q.tags[-1], place) < place]
        first = max(before, default=-1)
        later = [q for q in open_ if self._questions.index(q) > first]
        return next(iter(later or open_), None)

    def _alone(self, question: Question, place: int, key: str) -> None:
        self._resolved[question.tags[-1]] = place
        self._verdict.notices[key] += 1
        if key not in INSTEAD and not (question.is_order and key in NO_PICTURE):
            self._tell("unknown", question.tags[-1], f"answered with “{key}”")
        self._justified(question, [key])

    def _justified(self, question: Question, notices: Iterable[str]) -> None:
        if "stopped" in notices and not question.may_stop:
            self._tell("unknown", question.tags[-1], "stopped, but nobody asked for that")

    def _count(self, place: int) -> int:
        return left_out(self._shown[place].text) or 1

    def _order(self) -> None:
        """Answers begin in the order of the questions. An edited one may be answered at any time."""
        if self._name.startswith("web"):
            self._order_of_ids()
            return
        last, previous = -1, ""
        for question in self._questions:
            tag = question.tags[-1]
            if len(question.tags) > 1 or question.is_order or tag not in self._resolved:
                continue
            if self._resolved[tag] < last:
                self._tell("order", tag, f"answered before {previous}, which was asked before it")
            else:
                last, previous = self._resolved[tag], tag

    def _order_of_ids(self) -> None:
        """A page sorts by id, and an answer stands under its question."""
        asked = [question for question in self._questions if not question.is_order]
        ids = [question.id for question in asked]
        for earlier, question in zip(ids, asked[1:], strict=False):
            if question.id < earlier:
                self._tell("order", question.tags[-1], "the page shows it above a message that was written before it")


COMMAND_ANSWERS = {
    "stop": ("nothing_to_stop", "not_theirs", "stopped"),
    "help": ("help_head",),
    "model": ("model_is", "model_set"),
}


def _some(numbers: list[int]) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}…{numbers[-1]}" if numbers else "none"
