"""Links are compared by the host that a browser would go to, and by what people take it for."""

from __future__ import annotations

import re

import pytest

from core.moderation.hosts import bare_hosts, domain, host_of, imitated, invites, is_within, looks_within, written_links


@pytest.mark.parametrize(
    ("link", "host"),
    [
        ("https://Example.COM:443/x?y#z", "example.com"),
        ("example.com./x", "example.com"),
        ("https://discord.com@evil.example/", "evil.example"),
        ("https:\\\\evil.example\\x", "evil.example"),
        ("http://例え.jp", "xn--r8jz45g.jp"),
        ("https://ｅｖｉｌ.example", "evil.example"),
        ("tg://resolve?domain=x", "t.me"),
        ("tg://user?id=5", ""),
        ("https:///evil.example/x", "evil.example"),
        *(("https://good.example,", "good.example"), ("https://good.example)**", "good.example")),
        *(("https://good.example。", "good.example"), ("https://good.example，很好", "good.example")),
        ("https://good.example。evil.example", "good.example.evil.example"),
        ("https://good.example，@evil.example", "evil.example"),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_the_host_is_the_browsers(link: str, host: str) -> None:
    assert host_of(link) == host


def test_domains_hold_what_is_below_them_and_nothing_beside() -> None:
    assert is_within("a.b.example.com", ["example.com"])
    assert is_within("example.com", ["example.com"])
    assert not is_within("badexample.com", ["example.com"])
    assert not is_within("example.com.evil.org", ["example.com"])
    assert is_within("free.zip", [domain(".zip")])


def test_what_looks_alike_is_forbidden_and_never_allowed() -> None:
    lookalike = host_of("https://exаmple.com")
    assert lookalike.startswith("xn--")
    assert looks_within(lookalike, ["example.com"])
    assert not is_within(lookalike, ["example.com"])


@pytest.mark.parametrize(
    "host",
    [
        "dlscord.com",
        "discord.com.evil.org",
        "dіscord.com",
        "gift.discrod.com",
        "discord.ru",
        "discord.com-x.ru",
        "discord-com.org",
    ],
)
def test_imitations_are_seen(host: str) -> None:
    assert imitated(host_of(host), ["steamcommunity.com", "discord.com"]) == "discord.com"


def test_a_link_does_not_hide_behind_others() -> None:
    many = " ".join(f"http://a{number}.b" for number in range(160))
    assert host_of(written_links(f"{many} http://evil.example")[-1]) == "evil.example"


def test_what_is_imitated_is_no_imitation() -> None:
    for host in ("discord.com", "cdn.discord.com", "discord.js.org", "disco.com", "example.org", ""):
        assert imitated(host, ["discord.com"]) == ""


@pytest.mark.parametrize("written", ["com", "a b.com", "", "http://", "x..y", "-x.com", "exa_mple.com"])
def test_what_is_no_domain_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=re.escape(written) or "^$"):
        domain(written)


def test_domains_may_be_written_in_many_ways() -> None:
    assert [domain(one) for one in ("https://Example.com/", "*.example.com", "例え.jp")] == [
        *("example.com", ".example.com", "xn--r8jz45g.jp"),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("come to discord.gg/AbC12", "AbC12"),
        ("https://discord.com/invite/AbC12?x=1", "AbC12"),
        ("discordapp.com/invite/AbC12", "AbC12"),
        *(("https://discord.gg:443//AbC12", "AbC12"), ("discord.gg\\AbC12", "AbC12"), ("加discord.gg/AbC12", "AbC12")),
        *(("t.me/addlist/AbC12", "AbC12"), ("tg:join?invite=AbC12", "AbC12")),
        ("d\u200biscord.gg/AbC12", "abc12"),
        ("ｄｉｓｃｏｒｄ．ｇｇ／abc12", "abc12"),
        ("discord . gg / abc12", "abc12"),
        ("t.me/+AbCdEf123", "AbCdEf123"),
        ("https://t.me/joinchat/AbCdEf123", "AbCdEf123"),
        ("telegram.me/+AbCdEf123", "AbCdEf123"),
        ("tg://join?invite=AbCdEf123", "AbCdEf123"),
    ],
)
def test_invitations_are_found(text: str, code: str) -> None:
    assert invites(f"**{text[:3]}**`{text[3:]}`", ()) == (code,)
    assert invites(text, ()) == (code,)
    assert invites("", [text]) in ((code,), ()) if "\u200b" in text or "ｄ" in text else invites("", [text]) == (code,)


def test_what_leads_to_people_is_no_invitation() -> None:
    assert invites("see t.me/somebody, discord.com/channels/1/2 and discord.gg", ["https://t.me/durov/1"]) == ()


def test_links_and_names_of_hosts_are_told_apart() -> None:
    text = "see https://a.example/x, README.md or bad.example/y and me@mail.example"
    assert written_links(text) == ("https://a.example/x,",)
    assert bare_hosts(text) == ("a.example", "readme.md", "bad.example")
