"""Several receivers of one bot: one polls, or all take webhooks. Whichever ends, nothing is lost or comes twice."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from structlog.testing import capture_logs

from bots.telegram_bot import polling
from bots.telegram_bot.translate import UPDATES
from bots.telegram_bot.webhook import SECRET_HEADER
from core import clock
from core.conversation.mailbox import Admission, Mailbox, Posted
from core.message import ConversationKey, Message, Platform
from core.settings import TelegramSettings
from core.storage import keys
from core.storage.client import Store
from core.storage.leases import Leases
from core.tasks import end
from tests.bots.telegram_bot.receiving import Kept, Receivers, menus_set, running, until
from tests.platforms.telegram_server import Fault, TelegramServer
from tests.ports import free_port

LEASE = "telegram:4242:poller"
FOR_EVER = 600.0
"""Seconds of a lease that does not end by itself in a test: whoever gets it was given it."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.telegram_bot.insisting.FIRST_PAUSE", 0.02)
    for module in ("bots.telegram_bot.polling", "bots.telegram_bot.adapter", "core.storage.leases"):
        monkeypatch.setattr(f"{module}.RETRY_SECONDS", 0.02)


async def holder(store: Store) -> str | None:
    return await store.redis.get(keys.lease(LEASE))


# ---- polling


async def test_one_polls_and_the_others_stand_by(server: TelegramServer, receiver: Receivers) -> None:
    inboxes = [Kept(), Kept(), Kept()]
    async with (
        running(receiver("one"), inboxes[0]),
        running(receiver("two"), inboxes[1]),
        running(receiver("three"), inboxes[2]),
    ):
        for number in range(5):
            server.world.text(7, str(number))
            await until(lambda wanted=number + 1: len(inboxes[0].texts) == wanted)
        await until(lambda: not server.world.pending)
        assert [inbox.texts for inbox in inboxes[1:]] == [[], []]
    assert server.updates.conflicts == 0
    assert len(menus_set(server)) == len(set(menus_set(server))), "only the one that polls looks after the menu"


async def test_a_poller_that_is_stopped_makes_room_at_once(
    server: TelegramServer, receiver: Receivers, store: Store
) -> None:
    first, second = Kept(), Kept()
    async with (
        running(receiver("one", seconds=FOR_EVER), first) as one,
        running(receiver("two", seconds=FOR_EVER), second),
    ):
        server.world.text(7, "for one")
        await until(lambda: first.texts)
        await end([one])
        server.world.text(7, "for two")
        await until(lambda: second.texts)
        assert await holder(store) == "two"
    assert (first.texts, second.texts) == (["for one"], ["for two"])
    assert server.updates.conflicts == 0
    assert await holder(store) is None


async def test_what_a_stopping_poller_accepts_is_confirmed(server: TelegramServer, receiver: Receivers) -> None:
    first, second = Kept(), Kept()
    server.updates.repeat_seconds = 3.0
    async with running(receiver("one"), first) as one:
        await until(lambda: server.updates.polled)
        first.gate.clear()
        server.world.text(7, "in hand")
        await until(lambda: not server.updates.polled)
        one.cancel()
        await asyncio.sleep(0.02)
        one.cancel()  # as core.tasks.end does
        first.gate.set()
        await end([one])
        assert first.texts == ["in hand"]
        assert server.world.pending == {}, "nobody is handed it again"
    async with running(receiver("two"), second):
        server.world.text(7, "next")
        await until(lambda: second.texts)
    assert second.texts == ["next"]


async def test_a_dead_poller_is_followed(server: TelegramServer, receiver: Receivers, store: Store) -> None:
    await Leases(store, "dead", seconds=0.3).set(LEASE, "take")
    inbox = Kept()
    server.world.text(7, "while nobody polled")
    async with running(receiver("two"), inbox):
        assert await holder(store) == "dead", "it is ready, as it stands by"
        assert server.updates.polls == 0
        await until(lambda: inbox.texts)
        assert await holder(store) == "two"


async def test_the_same_process_started_again_does_not_wait(
    server: TelegramServer, receiver: Receivers, store: Store
) -> None:
    await Leases(store, "one", seconds=FOR_EVER).set(LEASE, "take")
    inbox = Kept()
    async with running(receiver("one"), inbox):
        server.world.text(7, "hello")
        await until(lambda: inbox.texts)


async def test_whoever_lost_the_lease_stops_in_the_middle_of_a_poll(
    server: TelegramServer, receiver: Receivers, store: Store
) -> None:
    inbox = Kept()
    async with running(receiver("one", seconds=0.3), inbox):
        await until(lambda: server.updates.polled)
        await store.redis.set(keys.lease(LEASE), "other")
        await until(lambda: not server.updates.polled)
        server.world.text(7, "for the other")
        await asyncio.sleep(0.1)
        assert inbox.all == []
        await store.redis.delete(keys.lease(LEASE))
        await until(lambda: inbox.texts)


async def test_what_comes_after_the_loss_is_not_accepted(
    server: TelegramServer, receiver: Receivers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still does not know yet that another one polls; its clock does."""
    inbox, other = Kept(), Kept()
    async with running(receiver("one"), inbox):
        await until(lambda: server.updates.polled)
        real = clock.seconds
        monkeypatch.setattr(clock, "seconds", lambda: real() + 60)
        await store.redis.set(keys.lease(LEASE), "two")
        server.world.text(7, "in the buffer")
        await until(lambda: not server.updates.polled)
        await asyncio.sleep(0.05)
        assert inbox.all == []
        async with running(receiver("two"), other):
            await until(lambda: other.texts)
            await until(lambda: not server.world.pending)
    assert (inbox.texts, other.texts) == ([], ["in the buffer"])


async def test_a_poll_left_over_by_one_of_us_is_no_complaint(
    server: TelegramServer, receiver: Receivers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, real = Kept(), clock.seconds
    with capture_logs() as logs:
        async with running(receiver("one"), Kept()):
            await until(lambda: server.updates.polled)
            # It stood still until its lease had ended, with a poll open.
            monkeypatch.setattr(clock, "seconds", lambda: real() + 60)
            await store.redis.delete(keys.lease(LEASE))
            async with running(receiver("two"), inbox):
                await until(lambda: server.updates.conflicts)
                server.world.text(7, "hello")
                await until(lambda: inbox.texts)
                server.world.text(7, "again")
                await until(lambda: len(inbox.texts) == 2)
    assert server.updates.conflicts == 1
    assert not [row for row in logs if row["log_level"] == "error"]


async def test_who_does_not_get_through_gives_way(
    server: TelegramServer, receiver: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "UNREACHABLE_SECONDS", 0.05)
    first, second = Kept(), Kept()
    async with running(receiver("one"), first), running(receiver("two"), second):
        await until(lambda: server.updates.polled)
        server.fail("getUpdates", Fault.SERVER_ERROR, times=2)
        server.world.text(7, "to end the open poll")
        await until(lambda: first.texts)
        server.world.text(7, "hello")
        await until(lambda: second.texts)


# ---- webhooks


@pytest.fixture
def hooked(server: TelegramServer) -> list[TelegramSettings]:
    """Two receivers behind one address."""
    ports = [free_port(), free_port()]
    server.updates.behind = [f"http://127.0.0.1:{port}/" for port in ports]
    values = {
        "token": server.token,
        "api_base": server.url,
        "webhook_url": "https://bots.example/telegram",
        "webhook_secret": "s3cret-part",
    }
    return [TelegramSettings.model_validate({**values, "webhook_port": port}) for port in ports]


def numbers(*inboxes: Kept) -> list[str]:
    return [value.update for inbox in inboxes for value in inbox.all if isinstance(value, Message)]


async def test_many_take_webhooks_and_the_webhook_is_set_once(
    server: TelegramServer, receiver: Receivers, hooked: list[TelegramSettings]
) -> None:
    first, second = Kept(), Kept()
    async with running(receiver("one", settings=hooked[0]), first):
        async with running(receiver("two", settings=hooked[1]), second) as two:
            for number in range(60):
                server.world.text(number % 6 + 1, str(number))
            await until(lambda: not server.world.pending)
            assert first.texts
            assert second.texts
            await end([two])
        for number in range(60, 80):
            server.world.text(number % 6 + 1, str(number))
        await until(lambda: not server.world.pending)
    assert sorted(numbers(first, second)) == sorted(set(numbers(first, second))), "handed over once"
    assert len(numbers(first, second)) == 80
    assert len(server.named("setWebhook")) == 1
    assert len(menus_set(server)) == len(set(menus_set(server))) > 0
    assert server.named("deleteWebhook") == []
    assert server.updates.webhook["url"] == "https://bots.example/telegram"


async def test_a_receiver_started_again_leaves_the_webhook_alone(
    server: TelegramServer, receiver: Receivers, hooked: list[TelegramSettings], store: Store
) -> None:
    for _ in range(2):
        async with running(receiver(settings=hooked[0]), Kept()):
            pass
    assert len(server.named("setWebhook")) == 1
    everything = [await store.redis.get(key) for key in await store.redis.keys("parley:memory:*")]
    assert everything
    assert "s3cret" not in str(everything)


@pytest.mark.parametrize(
    "changed",
    [{"webhook_secret": "another"}, {"webhook_url": "https://bots.example/other"}],
)
async def test_a_changed_webhook_is_set_anew(
    server: TelegramServer, receiver: Receivers, hooked: list[TelegramSettings], changed: dict[str, str]
) -> None:
    async with running(receiver(settings=hooked[0]), Kept()):
        pass
    values = {**hooked[0].model_dump(), **changed}
    inbox = Kept()
    async with running(receiver(settings=TelegramSettings.model_validate(values)), inbox):
        server.world.text(7, "hello")
        await until(lambda: inbox.texts)
    assert len(server.named("setWebhook")) == 2


async def test_the_webhook_is_set_anew_for_new_kinds_of_updates(
    server: TelegramServer, receiver: Receivers, hooked: list[TelegramSettings]
) -> None:
    async with running(receiver(settings=hooked[0]), Kept()):
        server.world.allowed = [kind for kind in UPDATES if kind != "my_chat_member"]
    async with running(receiver(settings=hooked[0]), Kept()):
        assert server.world.allowed == list(UPDATES)
    assert len(server.named("setWebhook")) == 2


async def test_a_stopping_receiver_finishes_what_it_is_accepting(
    server: TelegramServer, receiver: Receivers, hooked: list[TelegramSettings]
) -> None:
    inbox = Kept()
    url, header = server.updates.behind[0], {SECRET_HEADER: "s3cret-part"}
    async with running(receiver(settings=hooked[0]), inbox) as one, aiohttp.ClientSession() as session:
        inbox.gate.clear()
        server.updates.behind = server.updates.behind[:1]
        server.world.text(7, "in hand")
        await until(lambda: server.updates.pushes)
        await asyncio.sleep(0.05)
        one.cancel()
        await asyncio.sleep(0.05)
        one.cancel()  # as core.tasks.end does
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url, headers=header, data=b"{}")
        await asyncio.sleep(0.1)
        assert not one.done()
        inbox.gate.set()
        await end([one])
        await until(lambda: not server.world.pending)
    assert inbox.texts == ["in hand"]


async def test_an_album_whose_pieces_come_to_different_receivers_is_one_question(
    server: TelegramServer, receiver: Receivers, hooked: list[TelegramSettings], store: Store
) -> None:
    inboxes = Kept(), Kept()
    async with (
        running(receiver("one", settings=hooked[0]), inboxes[0]),
        running(receiver("two", settings=hooked[1]), inboxes[1]),
    ):
        server.world.group(-100500)
        pieces = server.world.album(-100500, "", "@parley_bot which one?", "", "", user=5)
        await until(lambda: not server.world.pending)
    mailboxes = [Mailbox(store, owner, Admission(), keep_days=1) for owner in ("one", "two")]
    for inbox, mailbox in zip(inboxes, mailboxes, strict=True):
        found = [value for value in inbox.all if isinstance(value, Message)]
        assert found, "each of them has some"
        await mailbox.post(found)
        assert set(await mailbox.post(found)) == {Posted.SEEN}, "and is handed them again"
    conversation, waits = ConversationKey(Platform.TELEGRAM, "4242", "-100500"), list[float]()
    assert await mailboxes[0].take(conversation, waits.append) is None
    await asyncio.sleep(waits[0])
    turn = await mailboxes[0].take(conversation)
    assert turn is not None
    assert isinstance(turn.incoming, Message)
    assert turn.incoming.text == "which one?"
    assert len(turn.incoming.attachments) == 4
    assert {turn.incoming.id, *turn.incoming.also} == set(map(str, pieces))
    assert await mailboxes[0].finish(turn, "{}", 1) is None
