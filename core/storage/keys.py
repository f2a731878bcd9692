"""The only text of keys, with types and lifetimes.

Every conversation belongs to one of a fixed number of partitions, and the partition is the cluster hash tag.
So all keys of a conversation, and the set of conversations with work beside them, lie in one slot: one script
can write them together, on a single server and on a cluster alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from zlib import crc32

from core.message import ConversationKey

PARTITIONS = 16
"""Fixed for good: another number would move every conversation. More masters than this are of no use."""

SEEN_SECONDS = 2 * 24 * 3600
"""How long a delivered update is remembered. Telegram keeps unconfirmed updates for 24 hours."""
USAGE_SECONDS = 400 * 24 * 3600
READING_SECONDS = 3600
BLOB_SECONDS = 24 * 3600
"""How long a picture can be shown to a model again."""
HEARD_SECONDS = 24 * 3600
"""How long what was said beside the bot waits for a question."""


def _prefix(partition: int) -> str:
    return f"parley:{{{partition:02x}}}:"


def partition_of(conversation: str) -> int:
    """The partition of a conversation, from its key's text."""
    return crc32(conversation.encode()) % PARTITIONS


def ready(partition: int) -> str:
    """zset: conversation -> ms since 1970: the end of its lease, or since when its work waits. Those with work."""
    return _prefix(partition) + "ready"


def load(partition: int) -> str:
    """hash: space -> number of its entries that wait in this partition, '' -> of all; lives while any wait."""
    return _prefix(partition) + "load"


def failed(partition: int) -> str:
    """zset: ``id TAB conversation TAB subject`` of a dead letter -> µs since 1970; 30 days after the last one. With
    ``:count`` behind it a string, the number of the last letter; 100 days."""
    return _prefix(partition) + "failed"


def letter(partition: int, id: str) -> str:
    """hash, a dead letter: kind, conversation, entry (JSON), causes (JSON list), at (µs since 1970), v; 30 days."""
    return f"{_prefix(partition)}failed:{id}"


def served(partition: int, minute: int) -> str:
    """string: turns that were opened in that minute since 1970; 2 minutes."""
    return f"{_prefix(partition)}served:{minute}"


def wake(partition: int, platform: str, bot: str) -> str:
    """list of ``conversation TAB space`` with new work for whichever worker is first; 1 minute."""
    return f"{_prefix(partition)}wake:{platform}:{bot}"


def calls(partition: int, worker: str) -> str:
    """list of conversations that the worker who holds them is to look at again; 1 minute."""
    return f"{_prefix(partition)}calls:{worker}"


def feedback(partition: int) -> str:
    """hash ``model:up`` and ``model:down`` -> people who think so of its answers; 400 days after the last one."""
    return f"{_prefix(partition)}feedback"


def notes(conversation: str) -> str:
    """list of JSON, newest first: why something was not answered in a conversation (``notes.py``); 1 day."""
    return f"{_prefix(partition_of(conversation))}notes:{conversation}"


def threads(chat: str) -> str:
    """set of the threads of a chat (``platform:bot:chat``) that someone wrote to the bot in; 90 days."""
    return f"parley:threads:{chat}"


def inline_question(bot: str, digest: str) -> str:
    """string, JSON of a question that an inline message may be sent with: asker, text, model; 1 hour."""
    return f"parley:inline:{bot}:{digest}"


def form(bot: str, account: str) -> str:
    """string, JSON of the call for which an account has a form open; 4 hours."""
    return f"parley:form:{bot}:{account}"


@dataclass(frozen=True, slots=True)
class ConversationKeys:
    """The keys of one conversation."""

    name: str
    prefix: str
    ready: str
    load: str
    wake: str
    partition: int

    @classmethod
    def of(cls, conversation: ConversationKey) -> ConversationKeys:
        name = str(conversation)
        partition = partition_of(name)
        woken = wake(partition, conversation.platform, conversation.bot)
        return cls(name, _prefix(partition), ready(partition), load(partition), woken, partition)

    @property
    def box(self) -> str:
        """list of waiting incoming values as JSON; lives until it is empty. ``!`` before one: it was one too many."""
        return f"{self.prefix}box:{self.name}"

    @property
    def state(self) -> str:
        """hash: fence, holder, try (of taking it), turns, newest (message id), space, overflow, busy, stopped,
        stopping and spared (ids of calls), forgettings, moved, emptied, arriving, arrived
        (``core/conversation/moving.py``), and what people chose (``core/conversation/preferences.py``); kept as long as
        the history."""
        return f"{self.prefix}state:{self.name}"

    @property
    def turn(self) -> str:
        """hash, the record of the open turn; lives until the turn is finished.

        number, entry, overflow, busy, takeovers, released, question (id in the tree), m<page> (message id), slot
        (``number|mark``), text with ending and usage, causes (of failed tries), interrupt.
        """
        return f"{self.prefix}turn:{self.name}"

    @property
    def tree(self) -> str:
        """hash, the message tree; kept ``storage.keep_days`` after the last message.

        id -> ``parent TAB tokens before TAB tokens TAB kind TAB payload``; kind q (question), a (answer) or x
        (forgotten, no payload). id -> ``=id`` for the further pages of an answer. ``@id`` -> the question's answer.
        ``~id`` -> summary of everything before id.
        """
        return f"{self.prefix}tree:{self.name}"

    @property
    def order(self) -> str:
        """zset: id -> time, for dropping the oldest messages; kept as the tree."""
        return f"{self.prefix}order:{self.name}"

    @property
    def notices(self) -> str:
        """list of the ids of answers that are in no tree, those of commands, newest first; 100, kept as the tree."""
        return f"{self.prefix}notices:{self.name}"

    @property
    def heard(self) -> str:
        """list of ``id TAB tokens TAB payload`` of messages that were for others, oldest first, until the next
        question; 50, 1 day."""
        return f"{self.prefix}heard:{self.name}"

    def album(self, album: str) -> str:
        """hash, the pieces of an album: ``#id`` -> entry, first, at, ripe, again (``prelude.lua``); 30 seconds when
        nobody turned to the bot with it, while it waits, and 1 hour after it was last answered."""
        return f"{self.prefix}album:{self.name}:{album}"

    @property
    def votes(self) -> str:
        """hash: ``answer TAB person's digest`` -> ``unix seconds TAB verdict TAB model``; kept as the tree."""
        return f"{self.prefix}votes:{self.name}"

    def seen(self, update: str) -> str:
        """string, an update that was accepted; 2 days."""
        return f"{self.prefix}seen:{self.name}:{update}"

    def blob(self, digest: str) -> str:
        """string, a picture made ready for models; 1 day. What an attachment was read as, JSON, or ``1`` for work that
        is only to be counted once; 1 hour."""
        return f"{self.prefix}blob:{self.name}:{digest}"

    def creation(self, number: str) -> str:
        """hash, something that is being made or was (``core/storage/orders.py``): order, account, inputs, tick,
        question, progress, preview, run, stop, handed, ended, parts, remote, shown; 1 day after it was asked for."""
        return f"{self.prefix}creation:{self.name}:{number}"

    def creation_file(self, number: str, file: str) -> str:
        """string, a file that it is made of or that came of it, base64; as the creation."""
        return f"{self.creation(number)}:{file}"

    @property
    def making(self) -> str:
        """zset: number of a creation -> ms since 1970, those of the conversation that are being made; 1 day."""
        return f"{self.prefix}making:{self.name}"

    @property
    def made(self) -> str:
        """hash: message id -> ``account TAB order`` of what it shows, the newest 300; kept as the tree."""
        return f"{self.prefix}made:{self.name}"


def creations_waiting(queue: str) -> str:
    """zset: id of a creation -> ms since 1970, those of a queue that nobody has begun to make; 1 day."""
    return f"parley:{{creations}}:waiting:{queue}"


def creations_open() -> str:
    """zset: id of a creation -> ms since 1970, those of which it is to be told yet what came of them; 1 day."""
    return "parley:{creations}:open"


def schema() -> str:
    """hash: version of the keys and records, program that raised it to that, at (unix seconds), and ``reached:N``, the
    next partition of a migration to version N under way; kept for good."""
    return "parley:schema"


def seats(server: str) -> str:
    """zset: token -> ms since 1970 until which it has a place at a model server; some seconds unless renewed."""
    return f"parley:seats:{server}"


def sealed_by() -> str:
    """hash: id of a key of ``PARLEY_KEYS`` -> a word that it sealed; kept for good."""
    return "parley:sealed_by"


def breaker() -> str:
    """hash: provider -> unix seconds until which it is out of service; 1 hour."""
    return "parley:breaker"


def model_servers() -> str:
    """set of ids: the model servers that announced themselves in the last hour."""
    return "parley:{models}:servers"


def model_server(id: str) -> str:
    """string, what a model server says of itself, its key included; 10 seconds unless renewed."""
    return f"parley:{{models}}:server:{id}"


def models_expected() -> str:
    """string, there while a model server is to be waited for; 10 minutes after the last sign of any."""
    return "parley:{models}:expected"


def memory(name: str) -> str:
    """string, a small fact an adapter keeps (a hash of synced commands, the last message seen); 90 days."""
    return f"parley:memory:{name}"


def permits(bucket: str) -> str:
    """hash: when calls of a bot were or will be made, over all its processes; 2 minutes."""
    return f"parley:permits:{bucket}"


def lease(name: str) -> str:
    """string: the process that does what ``name`` says; a few seconds unless renewed."""
    return f"parley:lease:{name}"


def sightings(name: str) -> str:
    """stream ``said`` -> message ids that the processes of a bot tell each other; the newest, 1 hour."""
    return f"parley:sightings:{name}"


def fleet(name: str) -> str:
    """hash: number (of parts), @process -> ``end of its time in ms|wanted|running|parts|parts for it alone``; a
    minute after the last."""
    return f"parley:fleet:{name}"


def tally(name: str) -> str:
    """hash: slice of time -> how often something happened in it; a little longer than what is counted."""
    return f"parley:tally:{name}"


def alive(name: str) -> str:
    """string: unix seconds until which a receiver has heard everything; 2 days after the last word."""
    return f"parley:alive:{name}"


def recently(what: str) -> str:
    """string: the process that did this last, or 1; as long as nobody may do it again."""
    return f"parley:recently:{what}"


def limit(whose: str, who: str, window: str) -> str:
    """zset: token of a turn -> ms since 1970, the questions counted in a window of time; as long as the window. All of
    them lie in one slot, since a question is counted in several."""
    return f"parley:{{limits}}:{whose}:{_nameless(who)}:{window}"


def _nameless(who: str) -> str:
    """Stands for somebody in what outlives the erasing of all that is named after them: no limit begins anew by it."""
    return hashlib.sha256(f"limited:{who}".encode()).hexdigest()[:16]


def places(platform: str, bot: str) -> str:
    """zset: conversation -> time of its last message, to catch up after being away; the newest, 90 days."""
    return f"parley:places:{{{platform}:{bot}}}"


def last_seen(platform: str, bot: str) -> str:
    """hash: conversation -> ``id of its last message SPACE space``; as long as its place."""
    return f"parley:places:{{{platform}:{bot}}}:last"


def channels(platform: str, bot: str) -> str:
    """hash: ``channel:name`` -> what people chose for it, '' -> number of changes; 400 days after the last one or a
    receiver's last start."""
    return f"parley:channels:{platform}:{bot}"


@dataclass(frozen=True, slots=True)
class CaseKeys:
    """The keys of a space's book of cases (``platform:bot:space``). They have no partition: no conversation is in
    them."""

    space: str

    @property
    def cases(self) -> str:
        """hash: number -> case as JSON, ``last`` -> the last number; ``moderation.keep_days`` after the last one."""
        return f"parley:cases:{{{self.space}}}"

    @property
    def order(self) -> str:
        """zset: number -> µs since 1970; as the cases."""
        return f"{self.cases}:order"

    def of(self, account: str) -> str:
        """zset: number -> µs since 1970, the cases about somebody; as the cases."""
        return f"{self.cases}:of:{account}"

    def made(self, call: str) -> str:
        """string, number of the case that a call made; 2 days."""
        return f"{self.cases}:made:{call}"

    def many(self, kind: str, actor: str) -> str:
        """string, how many cases of a kind somebody made of late; 1 hour after the first of them."""
        return f"{self.cases}:many:{kind}:{_nameless(actor)}"

    @property
    def waits(self) -> str:
        """zset: number, or ``NUMBER:end``, of a case with which something is to be done -> ms since 1970 at which it is
        looked at; as the cases."""
        return f"{self.cases}:waits"

    @property
    def claims(self) -> str:
        """hash: the same -> token of the try that is at it; as the cases."""
        return f"{self.cases}:claims"

    @property
    def lines(self) -> str:
        """hash: the same -> µs since 1970 and, after a blank, whom or what it is about; as the cases."""
        return f"{self.cases}:lines"

    def refused(self, kind: str, channel: str) -> str:
        """string, why the bot may not do acts of this kind, there where a channel is named; 5 minutes
        (``core/moderation/hands.py``)."""
        return f"{self.cases}:refused:{kind}:{channel}"

    @property
    def moved(self) -> str:
        """string, the space whose book this one has become; 400 days."""
        return f"{self.cases}:moved"

    @property
    def choices(self) -> str:
        """string, id of the channel for reports; 400 days after it was last of use."""
        return f"{self.cases}:channel"


def brief(id: str) -> str:
    """string: a message of a watched space that is to be judged, and by which rule, as JSON; 1 hour, until it was
    (``judging.py``)."""
    return f"parley:{{judging}}:{id}"


def watched(space: str) -> str:
    """stream ``m`` -> what was said in a space whose rules look at everything, as JSON; ``moderation.message_days``."""
    return f"parley:watched:{{{space}}}"


def watched_counts(space: str) -> str:
    """hash: account -> how many messages they have written there; 400 days after the last one of anybody."""
    return f"parley:watched:{{{space}}}:counts"


def hits(space: str) -> str:
    """hash: ``rule TAB day TAB what`` -> how often (``core.storage.marks.Hit``); 400 days."""
    return f"parley:watched:{{{space}}}:hits"


def marks(space: str) -> str:
    """hash: number of a case that a rule made -> what a moderator thinks of it, as JSON; 400 days."""
    return f"parley:watched:{{{space}}}:marks"


def mood(space: str, what: str, begin: str = "", channel: str = "") -> str:
    """Sums of how people get on (``core/storage/mood.py``), by the hour or day that begins then (unix seconds) and the
    channel, empty for the whole space. ``what`` is one of these, of which none names anybody:

    - ``told``, string: members know of it; 400 days after the last message;
    - ``salt``, string: what tags of that day are made with; until an hour after the day;
    - ``counted``, set: tags of messages; until an hour after the hour;
    - ``hour``, hash: how many people, messages and so on; 7 days, of few people until an hour after the hour;
    - ``day``, hash: the same; 90 days, of few people until an hour after the day;
    - ``hour-people``, ``day-people``, HyperLogLog: tags of people; until an hour after it;
    - ``few``, hash: a word's tag -> tags of who said it, ``+`` where they are enough; until an hour after the day;
    - ``topics``, zset: word that enough people said -> messages; 90 days.
    """
    return f"parley:mood:{{{space}}}:{what}" + (f":{begin}:{channel}" if begin else "")


def newcomer(id: str) -> str:
    """hash: somebody who is to show that they are a person (``joining.py``), nameless afterwards; 2 days after its last
    change."""
    return f"parley:joining:{id}"


def joins(space: str) -> str:
    """zset: who came to a space of late -> unix seconds; as long as its limit for raids looks back."""
    return f"parley:joins:{{{space}}}"


DEADLINES = "parley:{deadlines}"
"""zset: id of what is to be done at a time -> unix seconds; lives while there are any."""
DEADLINE_TEXTS = f"{DEADLINES}:texts"
"""hash: id -> what it is as JSON; as the times."""


def record(kind: str, id: str) -> str:
    """hash: v (version), json, by (token of the attempt that wrote it); kept as the kind of record says
    (``core/storage/records.py``). All of a kind lie in one slot."""
    return f"parley:{{{kind}}}:record:{id}"


def record_changes(kind: str) -> str:
    """stream ``id`` -> records of a kind that were changed; the newest, 1 day after the last."""
    return f"parley:{{{kind}}}:changes"


def record_log(kind: str, id: str) -> str:
    """list of ``at SPACE JSON`` (unix seconds), newest first: who changed a record, and what; kept as the kind of
    record says."""
    return f"parley:{{{kind}}}:log:{id}"


def space_documents(space: str) -> str:
    """The scope of what a space learned, as :func:`document` and the records of documents take it."""
    return f"space:{space}"


def document(scope: str, id: str) -> str:
    """hash, the passages of a document and their vectors (``core/knowledge/contents.py``): p<batch>, v<batch> and its
    model m<batch>; kept as long as the scope's record names it, 1 day while it is being learned, 10 minutes after it
    was removed."""
    return f"parley:documents:{{{scope}}}:{id}"


def spaces_seen(platform: str, bot: str) -> str:
    """hash: space -> JSON of what receivers last saw of it; 400 days after the last word (``spaces_seen.py``)."""
    return f"parley:{{spaces}}:seen:{platform}:{bot}"


def space_left(space: str) -> str:
    """string, set when the bot left a space (its id as of ``core.people.spaces.space_id``); 30 days, until it comes
    back (``spaces_seen.py``)."""
    return f"parley:{{spaces}}:left:{space}"


def process(name: str) -> str:
    """string, what a running process says of itself, JSON; 30 seconds unless renewed (``processes.py``)."""
    return f"parley:{{processes}}:process:{name}"


def processes() -> str:
    """set: names of processes that ran lately; 1 day after the last word of any."""
    return "parley:{processes}:names"


def broadcast(id: str) -> str:
    """hash: space -> what became of an announcement there; 30 days after its last word (``broadcasts.py``)."""
    return f"parley:{{broadcasts}}:told:{id}"


def restoring() -> str:
    """string, checksum of the backup that is being put back here: until that is done, nothing else may start."""
    return "parley:restoring"


@dataclass(frozen=True, slots=True)
class BudgetKeys:
    """What people spend, all in one slot: one script looks at every budget that holds for a call."""

    prefix: str = "parley:{budget}:"

    @property
    def open(self) -> str:
        """hash: reservation -> JSON of what it holds; 2 hours after the last one."""
        return self.prefix + "open"

    @property
    def ends(self) -> str:
        """zset: reservation -> ms since 1970 at which it returns by itself; as the reservations."""
        return self.prefix + "ends"

    @property
    def held(self) -> str:
        """hash: ``day or month TAB whose TAB thing`` -> what open reservations hold of it; as the reservations."""
        return self.prefix + "held"

    @property
    def settled(self) -> str:
        """zset: id of a call that was counted -> ms since 1970; 2 hours."""
        return self.prefix + "settled"

    @property
    def names(self) -> str:
        """hash: person -> what they are called; 400 days after the last call of any."""
        return self.prefix + "names"

    def used(self, date: str) -> str:
        """hash, of a day or a month: ``whose TAB thing`` -> what was used; 70 days."""
        return f"{self.prefix}used:{date}"

    def usage(self, day: str, space: str) -> str:
        """hash, of a space's day, of private chats (space empty), or of all (``*``): ``person TAB model TAB thing`` ->
        amount; 400 days."""
        return f"{self.prefix}usage:{day}:{space}"


BUDGETS = BudgetKeys()


def link_code(digest: str) -> str:
    """hash, a one-time code for linking accounts: says (JSON: account, name, conversation, language), platform, by (the
    account that entered it); 10 minutes."""
    return f"parley:{{people}}:link:{digest}"


def link_issued(account: str) -> str:
    """string, digest of the code that an account was given; 10 minutes."""
    return f"parley:{{people}}:issued:{account}"


def link_tries(account: str = "") -> str:
    """hash: count (of wrong codes) and an account's calls, of an account or of all together; 10 minutes."""
    return f"parley:{{people}}:tries:{account}"


def proposal(id: str) -> str:
    """string: JSON list of a space's id and a file of settings for it, not applied yet; 1 hour."""
    return f"parley:proposal:{id}"


def erasure(digest: str) -> str:
    """hash, a request to erase all of a person: who (a digest of theirs), begun (unix seconds), source -> how many
    there were, and done (1 where something stays that limits them); 10 minutes, 1 day once it was begun."""
    return f"parley:erasure:{digest}"


def to_tidy() -> str:
    """zset: JSON of what an erased person's last traces are -> unix seconds at which they go; kept while there are
    any."""
    return "parley:{tidying}:traces"


def to_retain() -> str:
    """zset: space (``platform:bot:space``) whose conversations are to get another lifetime -> unix seconds since when;
    kept while there are any."""
    return "parley:{tidying}:spaces"


def moves() -> str:
    """hash: conversation -> the one that it moves to, while that is under way."""
    return "parley:moves"


def job_queue_name(queue: str) -> str:
    """The queue's name to streaq, a hash tag: all its keys lie in one slot."""
    return f"{{parley:{queue}}}"


def job_queue(queue: str) -> tuple[str, str]:
    """stream of waiting and running jobs, zset of delayed ones: streaq's own keys, only ever counted by us."""
    prefix = f"streaq:{job_queue_name(queue)}:queues"
    return f"{prefix}:normal", f"{prefix}:delayed:normal"


def job_tries(queue: str, id: str) -> str:
    """string, how often a job was begun: streaq's own, counted down by us for a try that does not count."""
    return f"streaq:{job_queue_name(queue)}:task:retry:{id}"
