"""Linking and parting of accounts, on a real server: codes, and what becomes of the records."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import SecretStr

from core.models.budget import Span
from core.people.community import Community
from core.people.identity import Fact, People, Person
from core.people.linking import ALPHABET, LENGTH, MOST_WRONG, Issued, Linking, Outcome, read_code
from core.people.own_keys import keep, opened
from core.people.spaces import Allowance
from core.settings import BudgetSettings, Settings
from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import new_key

SETTINGS = Settings()
HERE, THERE, WEB = "telegram:7", "discord:9", "web:w"


def linking(store: Store) -> tuple[Linking, People]:
    community = Community.of(SETTINGS, store)
    return community.linking, community.people


async def issue(links: Linking, account: str = HERE) -> str:
    return await links.issue(Issued(account, "Ada", "telegram:1:7:"))


async def link(store: Store, host: str, guest: str) -> None:
    links, _ = linking(store)
    assert (await links.redeem(guest, await issue(links, host), f"{host}{guest}")).outcome is Outcome.DONE


def wrong(code: str) -> str:
    return ("3" if code[0] == "2" else "2") + code[1:]


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("abcd2345", "ABCD2345"),
        (" ABCD-2345 ", "ABCD2345"),
        ("ＡＢＣＤ２３４５", "ABCD2345"),
        ("ABCD234", ""),
        ("ABCD23456", ""),
        ("ABCDO345", ""),
        ("АBCD2345", ""),
        ("ABCD\u200b2345", ""),
        ("A" * 100_000, ""),
        ("", ""),
    ],
)
def test_a_code_is_read_as_people_type_it(typed: str, code: str) -> None:
    assert read_code(typed) == code


async def test_a_code_links_two_accounts_once(store: Store) -> None:
    links, people = linking(store)
    code = await issue(links)
    assert len(code) == LENGTH
    assert set(code) <= set(ALPHABET)
    await people.change(HERE, lambda person: person.model_copy(update={"language": "zh_Hans"}))
    done = await links.redeem(THERE, code, "one")
    assert (done.outcome, done.issued and done.issued.name) == (Outcome.DONE, "Ada")
    for account in (HERE, THERE):
        person = await people.of(account)
        assert (person.id, person.language, person.known_accounts) == (HERE, "zh_Hans", (HERE, THERE))
    # Made again after a crash it comes to the same; by anybody else the code is none any more.
    assert (await links.redeem(THERE, code, "one")).outcome is Outcome.DONE
    assert (await links.redeem(WEB, code, "two")).outcome is Outcome.WRONG
    assert (await links.redeem(THERE, code, "three")).outcome is Outcome.WRONG


async def test_nothing_of_a_code_is_kept_in_the_clear_and_all_of_it_for_ten_minutes(store: Store) -> None:
    links, _ = linking(store)
    code = await issue(links)
    await links.redeem(THERE, wrong(code), "one")
    names: list[str] = [name async for name in store.redis.scan_iter("parley:{people}:*")]
    assert len(names) == 4
    for name in names:
        assert code not in name
        assert 0 < await store.redis.ttl(name) <= 600
        kind = await store.redis.type(name)
        kept = await (store.redis.hgetall(name) if kind == "hash" else store.redis.get(name))
        assert code not in json.dumps(kept)


async def test_an_expired_code_and_one_that_a_newer_one_replaced_are_wrong(store: Store) -> None:
    links, _ = linking(store)
    old = await issue(links)
    new = await issue(links)
    assert (await links.redeem(THERE, old, "one")).outcome is Outcome.WRONG
    for name in [name async for name in store.redis.scan_iter("parley:{people}:link:*")]:
        await store.redis.delete(name)
    assert (await links.redeem(THERE, new, "two")).outcome is Outcome.WRONG


async def test_after_five_wrong_codes_even_the_right_one_has_to_wait(store: Store) -> None:
    links, people = linking(store)
    code = await issue(links)
    for number in range(MOST_WRONG):
        assert (await links.redeem(THERE, wrong(code), f"try{number}")).outcome is Outcome.WRONG
        # The same try again, its reply having been lost, counts once.
        assert (await links.redeem(THERE, wrong(code), f"try{number}")).outcome is Outcome.WRONG
    paused = await links.redeem(THERE, code, "right")
    assert paused.outcome is Outcome.PAUSED
    assert 0 < paused.seconds <= 600
    assert (await people.of(THERE)).known_accounts == (THERE,)
    assert (await links.redeem(WEB, code, "other")).outcome is Outcome.DONE


async def test_many_accounts_guess_no_better_than_one(store: Store) -> None:
    links, _ = linking(store)
    code = await issue(links)
    await store.redis.hset(keys.link_tries(), "count", 1000)
    await store.redis.expire(keys.link_tries(), 60)
    assert (await links.redeem(THERE, code, "one")).outcome is Outcome.PAUSED


async def test_a_code_is_for_another_platform_and_stays_good_when_it_is_tried_on_its_own(store: Store) -> None:
    links, _ = linking(store)
    code = await issue(links)
    assert (await links.redeem("telegram:8", code, "one")).outcome is Outcome.SAME
    assert (await links.redeem(THERE, code, "two")).outcome is Outcome.DONE


async def test_a_code_that_others_have_read_is_void(store: Store) -> None:
    links, people = linking(store)
    code = await issue(links)
    await links.void(THERE, code, "one")
    assert (await links.redeem(WEB, code, "two")).outcome is Outcome.WRONG
    assert (await people.of(HERE)).known_accounts == (HERE,)


async def test_of_two_who_enter_a_code_at_once_one_is_linked(store: Store) -> None:
    links, people = linking(store)
    code = await issue(links)
    done = await asyncio.gather(*(linking(store)[0].redeem(account, code, account) for account in (THERE, WEB)))
    assert sorted(one.outcome for one in done) == [Outcome.DONE, Outcome.WRONG]
    assert len((await people.of(HERE)).known_accounts) == 2


async def test_a_person_has_one_account_on_a_platform(store: Store) -> None:
    await link(store, HERE, THERE)
    links, people = linking(store)
    await link(store, "web:w", "telegram:8")
    code = await issue(links, WEB)
    refused = await links.redeem(THERE, code, "one")
    assert (refused.outcome, refused.platform) == (Outcome.TAKEN, "telegram")
    assert (await people.of(THERE)).id == HERE


async def test_joined_persons_keep_what_both_had(store: Store) -> None:
    _, people = linking(store)
    await people.records.change(
        HERE,
        lambda _: Person(language="en", facts=(Fact(text="a", at=1), Fact(text="b", at=3)), keys={"x": "1"}),
    )
    facts, own = (Fact(text="c", at=2),), {"x": "2", "y": "3"}
    theirs = Person(language="zh_Hans", model="m", facts=facts, keys=own, blocked="spam")
    await people.records.change(THERE, lambda _: theirs)
    await link(store, HERE, THERE)
    person = await People(store).of(THERE)
    assert (person.language, person.model, person.blocked) == ("en", "m", "spam")
    assert [fact.text for fact in person.facts] == ["a", "c", "b"]
    assert person.keys == {"x": "1", "y": "3"}


@pytest.mark.parametrize("leaving", ["", "discord"])
async def test_who_parts_begins_anew_and_the_rest_keep_what_there_is(store: Store, leaving: str) -> None:
    await link(store, HERE, THERE)
    await link(store, HERE, WEB)
    links, people = linking(store)
    await people.change(HERE, lambda person: person.model_copy(update={"model": "m", "blocked": "spam"}))
    parted = await links.part(HERE, leaving)
    gone, rest = (THERE, (HERE, WEB)) if leaving else (HERE, (THERE, WEB))
    assert (parted.outcome, parted.account) == (Outcome.DONE, gone)
    fresh = People(store)
    for account in rest:
        person = await fresh.of(account)
        assert (person.id, person.model, person.known_accounts, person.blocked) == (rest[0], "m", rest, "spam")
    person = await fresh.of(gone)
    assert (person.id, person.model, person.known_accounts, person.blocked) == (gone, "", (gone,), "spam")
    # A block of any of the accounts in a space is a block of all of them, and of those that once were.
    assert all(person.is_or_was(account) for account in (HERE, THERE, WEB))
    left = await fresh.of(rest[0])
    assert all(left.is_or_was(account) for account in (HERE, THERE, WEB))
    assert gone not in left.known_accounts
    assert not any(account in kept for account in rest for kept in person.was), "an account's name is not kept"


async def test_who_is_alone_has_nothing_to_part_from(store: Store) -> None:
    links, _ = linking(store)
    assert (await links.part(HERE)).outcome is Outcome.ALONE
    await link(store, HERE, THERE)
    assert (await links.part(HERE, "web")).outcome is Outcome.ALONE


async def test_a_change_that_comes_with_a_link_is_not_lost(store: Store) -> None:
    """What another process still takes for an account of its own."""
    stale = People(store)
    assert (await stale.of(THERE)).id == THERE
    await link(store, HERE, THERE)
    await stale.change(THERE, lambda person: person.model_copy(update={"blocked": "spam"}))
    assert (await People(store).of(HERE)).blocked == "spam"


async def test_a_code_entered_by_who_is_linked_already_gives_no_fresh_budget(store: Store) -> None:
    links, _ = linking(store)
    await link(store, HERE, THERE)
    at = Community.of(SETTINGS, store).budgets
    await store.redis.hset(keys.BUDGETS.used((await at.period()).day), f"person:{HERE}\timages", 3)
    for account, other in ((HERE, THERE), (THERE, HERE)):
        again = await links.redeem(account, await issue(links, other), f"again {account}")
        assert again.outcome is Outcome.DONE
        assert (await at.used(f"person:{HERE}"))[Span.DAY].images == 3


async def test_linking_and_parting_give_nobody_a_fresh_budget(store: Store) -> None:
    links, people = linking(store)
    budgets = Community.of(SETTINGS, store).budgets
    period = await budgets.period()
    for account, amount in ((HERE, 30), (THERE, 12)):
        for span in Span:
            name = keys.BUDGETS.used(period.date_of(span))
            await store.redis.hset(name, f"person:{account}\tmoney", amount)
            await store.redis.hset(name, f"member:discord:1:5 {account}\timages", amount)
            await store.redis.hset(name, f"person:{account}0\tmoney", 500)

    async def spent(account: str) -> tuple[int, int]:
        person = (await people.fresh(account)).id
        every = [await budgets.used(whose) for whose in (f"person:{person}", f"member:discord:1:5 {person}")]
        assert [used[Span.DAY] for used in every] == [used[Span.MONTH] for used in every]
        return every[0][Span.DAY].money, every[1][Span.DAY].images

    code = await issue(links)
    for _ in range(2):  # the second time after a crash
        await links.redeem(THERE, code, "one")
        assert await spent(HERE) == await spent(THERE) == (42, 42)
    await links.part(HERE)
    assert await spent(HERE) == await spent(THERE) == (42, 42)


async def test_what_the_owner_takes_away_is_not_had_back_and_what_they_give_not_twice(store: Store) -> None:
    settings = Settings.model_validate({"budgets": {"person": {"day_images": 5}}})
    community = Community.of(settings, store)
    allowed = Allowance(day_images=2, day_money=7, month_seconds=9)
    await community.people.change(THERE, lambda person: person.model_copy(update={"allowance": allowed}))
    code = await issue(community.linking)
    await community.linking.redeem(THERE, code, "one")
    assert (await community.people.of(HERE)).allowance == allowed
    given = Allowance(day_images=50, month_seconds=3)
    await community.people.change(HERE, lambda person: person.model_copy(update={"allowance": given}))
    await community.linking.part(THERE)
    assert (await community.people.of(HERE)).allowance == given
    assert (await community.people.of(THERE)).allowance == Allowance(month_seconds=3)


async def test_what_is_usual_is_what_the_settings_say_by_now(store: Store) -> None:
    community = Community.of(Settings.model_validate({"budgets": {"person": {"day_images": 1}}}), store)
    given = Allowance(day_images=3)
    await community.people.change(HERE, lambda person: person.model_copy(update={"allowance": given}))
    await community.linking.redeem(THERE, await issue(community.linking), "one")
    community.budgets.update(BudgetSettings(person={"day_images": 5}))
    await community.linking.part(THERE)
    assert (await community.people.of(THERE)).allowance == given


async def test_a_sealed_key_comes_along_and_stays_with_the_rest(store: Store) -> None:
    community = Community.of(Settings(keys=SecretStr(new_key())), store)
    links, people, sealing = community.linking, community.people, community.sealing
    await keep(people, THERE, "lab", "sk-secret", sealing)
    await links.redeem(THERE, await issue(links), "one")
    assert opened(await people.of(HERE), sealing) == {"lab": "sk-secret"}
    await links.part(HERE)
    assert opened((await people.fresh(THERE)).value, sealing) == {"lab": "sk-secret"}
    assert (await people.fresh(HERE)).value.keys == {}
