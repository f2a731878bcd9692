from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from yarl import URL

from bots.web_chat.cookies import Signer
from bots.web_chat.guard import FORM_BYTES
from bots.web_chat.site import MAX_STREAMS
from core.settings import WebSettings
from core.storage.client import Store
from tests.bots.web_chat.world import Script, Visitor, World, found, new_ticket, open_world

NOBODY = "f" * 24


async def test_without_a_cookie_every_page_says_what_to_do(world: World) -> None:
    async with world.browser() as visitor:
        for path in ("/", f"/c/{NOBODY}", f"/c/{NOBODY}/events", f"/blobs/{NOBODY}"):
            status, html = await visitor.get(path)
            assert status == 401
            assert "one-time link" in html
        for path in ("/messages", "/uploads", "/invitations", "/leave"):
            assert (await visitor.post(path))[0] == 401


async def test_every_answer_carries_the_headers(world: World, owner: Visitor) -> None:
    for path in ("/", "/enter?code=x", "/static/app.css", "/nothing", f"/c/{NOBODY}"):
        async with owner.http.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert policy == (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self';"
                " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
            )
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert ("immutable" if "static" in path else "no-store") in answer.headers["Cache-Control"]
    async with world.browser() as stranger, stranger.http.get("/", headers={"Host": "evil.example"}) as answer:
        assert "Content-Security-Policy" in answer.headers


async def test_pages_have_nothing_inline(owner: Visitor) -> None:
    conversation = await owner.ask("<script>alert(1)</script>")
    for path in ("/", f"/c/{conversation}", "/enter?code=x"):
        _, html = await owner.get(path)
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", html)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', html)


async def test_cookie_is_for_http_only_and_not_for_other_sites(world: World) -> None:
    link = await world.adapter.entry_url()
    async with world.browser() as visitor:
        form = {"code": link.partition("code=")[2]}
        async with visitor.http.post("/enter", data=form, headers=visitor.own, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_cookie_is_secure_behind_https(store: Store) -> None:
    async with open_world(store, settings=WebSettings(public_url="https://chat.example")) as world:
        link = await world.adapter.entry_url()
        assert link.startswith("https://chat.example/enter?code=")
        port = world.adapter.port
        headers = {"Host": "chat.example", "Origin": "https://chat.example", "Sec-Fetch-Site": "same-origin"}
        form = {"code": link.partition("code=")[2]}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
            http.post("/enter", data=form, headers=headers, allow_redirects=False) as answer,
        ):
            assert answer.status == 303
            assert answer.headers["Set-Cookie"].startswith("__Host-parley=")
            assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("change", ["user", "signature", "time", "nothing", "junk"])
async def test_forged_cookies_are_refused(world: World, owner: Visitor, change: str) -> None:
    name, value = next((c.key, c.value) for c in owner.http.cookie_jar)
    user, issued, signature = value.split(".")
    forged = {
        "user": f"{NOBODY}.{issued}.{signature}",
        "signature": f"{user}.{issued}.{'0' * 64}",
        "time": f"{user}.{int(issued) + 1}.{signature}",
        "nothing": "",
        "junk": "é.²." + "x" * 500,
    }[change]
    async with world.browser() as visitor:
        visitor.http.cookie_jar.update_cookies({name: forged})
        assert (await visitor.get("/"))[0] == 401


def test_old_cookies_end(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(b"k" * 32)
    cookie = signer.cookie(NOBODY)
    assert signer.user(cookie) == NOBODY
    assert Signer(b"l" * 32).user(cookie) == ""
    monkeypatch.setattr("bots.web_chat.cookies.COOKIE_SECONDS", -10)
    assert signer.user(cookie) == ""


async def test_one_time_link_works_once_and_looking_does_not_use_it_up(world: World) -> None:
    link = await world.adapter.entry_url()
    async with world.browser() as preview:
        for _ in range(2):
            status, html = await preview.get(link.removeprefix(world.url))
            assert status == 200
            assert "<form" in html
        assert (await preview.get("/"))[0] == 401
    async with world.browser() as first, world.browser() as second:
        await first.enter(link)
        async with second.http.post("/enter", data={"code": link.partition("code=")[2]}, headers=second.own) as answer:
            assert answer.status == 403
            assert "used before" in await answer.text()
        assert (await second.get("/"))[0] == 401


async def test_a_new_link_leads_the_owner_to_their_own_conversations(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("Remember me")
    async with world.browser() as other_device:
        await other_device.enter()
        assert (await other_device.get(f"/c/{conversation}"))[0] == 200


async def test_link_code_is_escaped_in_the_page(world: World) -> None:
    async with world.browser() as visitor:
        _, html = await visitor.get('/enter?code="><script>alert(1)</script>')
        assert "<script>" not in html


async def test_invited_people_get_in_but_cannot_invite(world: World, owner: Visitor) -> None:
    status, html = await owner.post("/invitations")
    assert status == 200
    link = found(r'value="([^"]+/enter\?code=[^"]+)"', html)
    async with world.browser() as guest:
        await guest.enter(link)
        assert (await guest.get("/"))[0] == 200
        assert "Invite someone" not in (await guest.get("/"))[1]
        assert (await guest.post("/invitations"))[0] == 403


async def test_people_reach_only_their_own(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("A secret")
    _, chip = await owner.post("/uploads", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    blob = found(r'value="([0-9a-f]+)"', chip)
    _, html = await owner.get(f"/c/{conversation}")
    message = found(r'id="m-([^"]+q)"', html)
    _, invitation = await owner.post("/invitations")
    came = len(world.inbox.came)
    async with world.browser() as guest:
        await guest.enter(found(r'value="([^"]+/enter\?code=[^"]+)"', invitation))
        for path in (
            f"/c/{conversation}",
            f"/c/{conversation}/events",
            f"/c/{conversation}/earlier?before={message}",
            f"/c/{conversation}/messages/{message}",
            f"/c/{conversation}/messages/{message}/edit",
            f"/blobs/{blob}",
        ):
            status, html = await guest.get(path)
            assert status == 404, path
            assert "secret" not in html
        for path in (
            f"/c/{conversation}/commands/stop",
            f"/c/{conversation}/messages/{message}",
            f"/c/{conversation}/messages/{message}/again",
        ):
            assert (await guest.post(path, {"text": "x"}))[0] == 404
        assert (await guest.post(f"/c/{conversation}", method="DELETE"))[0] == 404
        assert len(world.inbox.came) == came
        assert (await guest.send("hello", conversation))[0] == 404
        assert len(world.inbox.came) == came
        # A foreign picture is not taken over by naming it.
        assert (await guest.send("", picture=blob))[0] == 422


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
async def test_requests_of_other_sites_change_nothing(world: World, owner: Visitor, headers: dict[str, str]) -> None:
    form = {"text": "x", "conversation": "", "ticket": new_ticket()}
    more = {"X-Parley-Token": owner.token}
    async with owner.http.post("/messages", data=form, headers={**headers, **more}) as answer:
        assert answer.status == 403
    assert world.inbox.came == []


async def test_changes_need_the_pages_token(world: World, owner: Visitor) -> None:
    form = {"text": "x", "conversation": "", "ticket": new_ticket()}
    for token in ("", "0" * 64, "é"):
        headers = {**owner.own, "X-Parley-Token": token.encode().decode("latin-1")}
        async with owner.http.post("/messages", data=form, headers=headers) as answer:
            assert answer.status == 403
    assert world.inbox.came == []


async def test_other_sites_may_link_but_not_read(world: World, owner: Visitor) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
        async with owner.http.get("/", headers=headers) as answer:
            assert answer.status == 403
        headers["Sec-Fetch-Mode"] = "navigate"
        async with owner.http.get("/", headers=headers) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1", "", "127.0.0.1.evil.example"])
async def test_other_host_names_are_refused(owner: Visitor, host: str) -> None:
    async with owner.http.get("/", headers={"Host": host}) as answer:
        assert answer.status in (400, 421)


async def test_localhost_is_known_too(world: World, owner: Visitor) -> None:
    async with owner.http.get("/", headers={"Host": f"LocalHost:{world.adapter.port}"}) as answer:
        assert answer.status == 200


async def test_large_bodies_are_refused_before_they_are_read(world: World, owner: Visitor) -> None:
    for path, limit in (("/messages", FORM_BYTES), ("/uploads", 10_000_000), ("/enter", FORM_BYTES)):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.adapter.port)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{world.adapter.port}\r\nOrigin: {world.url}\r\n"
        writer.write(f"{head}Content-Length: {limit + 1}\r\n\r\n".encode())
        # Not a byte of the body was sent.
        assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_a_body_of_unknown_length_is_cut_off(owner: Visitor) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(400):
            yield b"x" * 10_000

    headers = {**owner.signed, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        async with owner.http.post("/messages", data=endless(), headers=headers) as answer:
            assert answer.status == 413
    except aiohttp.ClientConnectionError:
        # Closed while we were still writing: refused as well.
        pass


async def test_only_what_can_be_read_is_taken(owner: Visitor) -> None:
    for data in (b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"GIF8", b"RIFFxxxxWAVE", b"%PDF-"):
        status, text = await owner.post("/uploads", data)
        assert status == 415
        assert "JPEG" in text


async def test_a_document_is_only_ever_downloaded(owner: Visitor) -> None:
    headers = {**owner.signed, "Content-Type": "text/html", "X-File-Name": "page.html"}
    async with owner.http.post("/uploads", data=b"<script>alert(1)</script>", headers=headers) as answer:
        html = await answer.text()
    assert "page.html" in html
    assert "<img" not in html
    blob = found(r'value="([0-9a-f]+)"', html)
    async with owner.http.get(f"/blobs/{blob}") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_picture_is_served_as_what_it_is_and_nothing_else(owner: Visitor) -> None:
    data = b"GIF89a" + b"<script>alert(1)</script>"
    headers = {**owner.signed, "Content-Type": "text/html", "X-File-Name": "..%2F%22%3E%3Cimg%20src%3Dx%3E%0A.gif"}
    async with owner.http.post("/uploads", data=data, headers=headers) as answer:
        html = await answer.text()
    assert "<img src=x>" not in html
    blob = found(r'value="([0-9a-f]+)"', html)
    async with owner.http.get(f"/blobs/{blob}") as answer:
        assert await answer.read() == data
        assert answer.headers["Content-Type"] == "image/gif"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert ".." not in answer.headers["Content-Disposition"]
        assert "\n" not in answer.headers["Content-Disposition"]


async def test_what_people_and_models_write_is_shown_and_not_run(world: World, owner: Visitor) -> None:
    evil = "</p><script>alert(1)</script><img src=x onerror=alert(1)> \"'&"
    world.inbox.scripts = [Script(pieces=(evil, "[x](javascript:alert(1))"))]
    conversation = await owner.ask(evil)
    for path in (f"/c/{conversation}", "/"):
        _, html = await owner.get(path)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert 'href="javascript' not in html


async def test_streams_of_one_user_are_bounded(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("hi")
    path = f"/c/{conversation}/events?after=0"
    streams = [await owner.http.get(path) for _ in range(MAX_STREAMS)]
    assert [stream.status for stream in streams] == [200] * MAX_STREAMS
    for stream in streams:
        await stream.content.readline()
    assert (await owner.get(path))[0] == 429
    streams[0].close()
    for _ in range(200):
        async with owner.http.get(path) as again:
            if again.status == 200:
                break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("a closed stream still counts")
    for stream in streams:
        stream.close()


async def test_odd_requests_are_refused_politely(owner: Visitor) -> None:
    conversation = await owner.ask("hi")
    odd = ("/c/..%2f..%2f", "/c/" + "a" * 5000, f"/c/{conversation}/messages/x'", "/static/..%2fapp.py", "/blobs/%00")
    for path in odd:
        async with owner.http.get(URL(owner.world.url + path, encoded=True)) as answer:
            assert answer.status in (404, 405)
    for after in ("x", "-1", "9" * 40, ""):
        assert (await owner.get(f"/c/{conversation}/events?after={after}"))[0] == 400
    assert (await owner.post(f"/c/{conversation}/commands/forget"))[0] == 404
    assert (await owner.post(f"/c/{conversation}/commands/model", {"model": "nope"}))[0] == 422
    assert (await owner.send("x", ticket="../../x"))[0] == 400
    assert (await owner.send("  \n "))[0] == 422
    assert (await owner.send("x", conversation="NOPE"))[0] == 404
