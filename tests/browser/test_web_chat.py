"""The web chat as people use it. Every test also fails on a console error, a policy violation or a foreign request."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from core.parts import Ending
from core.storage.client import Store
from tests.bots.web_chat.world import Script, open_world
from tests.browser.conftest import Open, Watched

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_the_link_lets_in_and_the_answer_streams(open_page: Open) -> None:
    chat = await open_page()
    script = Script(pieces=("Hello **from**", " Parley\n\n```python\nprint(1)\n```"), hold_after=1)
    chat.world.inbox.scripts = [script]
    await chat.enter()
    page = chat.page
    await expect(page.get_by_role("heading", name="What shall we talk about?")).to_be_visible()
    await chat.ask("Hi there")
    await expect(page.locator(".question .bubble")).to_have_text("Hi there")
    await expect(page.locator(".answer[aria-busy=true] strong")).to_have_text("from")
    await expect(page.locator("#stop")).to_be_visible()
    script.go.set()
    await chat.answered("Hello from Parley")
    await expect(page.locator("#stop")).to_be_hidden()
    await expect(page.locator(".code figcaption span")).to_have_text("python")
    await expect(page.locator("#text")).to_have_value("")
    await expect(page.locator("#text")).to_be_focused()
    assert "/c/" in page.url
    await page.reload()
    await chat.answered("Hello from Parley")
    await expect(page.locator(".list a[aria-current]")).to_have_text("Hi there")


async def test_escape_stops_an_answer(chat: Watched) -> None:
    chat.world.inbox.scripts = [Script(pieces=("Once upon a time", " they lived"), hold_after=1)]
    await chat.ask("A story")
    await chat.page.locator("[data-state=streaming]", has_text="Once upon").wait_for()
    await chat.page.keyboard.press("Escape")
    await chat.answered("Stopped.")
    await expect(chat.page.locator(".answer")).not_to_contain_text("they lived")


async def test_stop_button_stops_before_the_first_word(chat: Watched) -> None:
    script = Script(pieces=("x",), hold_after=1)
    chat.world.inbox.scripts = [script]
    await chat.ask("Hm")
    await chat.page.get_by_role("button", name="Stop").click()
    await chat.answered("Stopped.")


async def test_an_edited_question_is_answered_in_place(chat: Watched) -> None:
    page = chat.page
    await chat.ask("Colour of the sky?")
    await chat.answered("Colour of the sky?")
    await page.locator(".question").hover()
    await page.locator(".question").get_by_role("button", name="Edit").click()
    area = page.locator(".editing textarea")
    await expect(area).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator(".editing")).to_have_count(0)
    await page.locator(".question").hover()
    await page.locator(".question").get_by_role("button", name="Edit").click()
    await area.fill("Colour of grass?")
    await page.keyboard.press("Enter")
    await chat.answered("You said: Colour of grass?")
    await expect(page.locator(".message")).to_have_count(2)
    await expect(page.locator(".edited")).to_have_text("edited")


async def test_regenerate_and_continue(chat: Watched) -> None:
    page = chat.page
    chat.world.inbox.scripts = [
        Script(pieces=("First try",)),
        Script(pieces=("Second try",), ending=Ending.LENGTH),
        Script(pieces=("and on",)),
    ]
    await chat.ask("Try")
    await chat.answered("First try")
    await page.get_by_role("button", name="Answer again").click()
    await chat.answered("Second try")
    await expect(page.locator(".answer")).to_have_count(1)
    await page.get_by_role("button", name="Continue").click()
    await chat.answered("and on")
    await expect(page.locator(".answer")).to_have_count(2)


async def test_new_conversation_list_and_delete(chat: Watched) -> None:
    page = chat.page
    await chat.ask("First talk")
    await chat.answered("First talk")
    await page.get_by_role("link", name="New conversation").click()
    await expect(page.locator(".message")).to_have_count(0)
    await chat.ask("Second talk")
    await chat.answered("Second talk")
    await expect(page.locator(".list a")).to_have_text(["Second talk", "First talk"])
    await page.get_by_role("link", name="First talk").click()
    await chat.answered("First talk")
    await page.get_by_role("button", name="Delete this conversation").click()
    await page.locator("#sure").get_by_role("button", name="Cancel").click()
    await expect(page.locator(".list a")).to_have_count(2)
    await page.get_by_role("button", name="Delete this conversation").click()
    await page.locator("#sure").get_by_role("button", name="Delete").click()
    await expect(page.locator(".list a")).to_have_text(["Second talk"])


async def test_two_tabs_show_the_same(chat: Watched, open_page: Open) -> None:
    await chat.ask("Tab one")
    await chat.answered("Tab one")
    other = await open_page()
    await other.page.goto(chat.page.url)
    await other.answered("Tab one")
    script = Script(pieces=("Both", " see this"), hold_after=1)
    chat.world.inbox.scripts = [script]
    await other.ask("Tab two")
    for tab in (chat, other):
        await tab.page.locator("[data-state=streaming]", has_text="Both").wait_for()
    script.go.set()
    for tab in (chat, other):
        await tab.answered("Both see this")
        await expect(tab.page.locator(".message")).to_have_count(4)


async def test_reload_in_the_middle_of_an_answer(chat: Watched) -> None:
    script = Script(pieces=("Half", " and whole"), hold_after=1)
    chat.world.inbox.scripts = [script]
    await chat.ask("Go")
    await chat.page.locator("[data-state=streaming]", has_text="Half").wait_for()
    await chat.page.reload()
    await chat.page.locator("[data-state=streaming]", has_text="Half").wait_for()
    script.go.set()
    await chat.answered("Half and whole")


async def test_a_selection_survives_the_streaming(chat: Watched) -> None:
    script = Script(pieces=("Chosen words.\n\n", "More words."), hold_after=1)
    chat.world.inbox.scripts = [script]
    await chat.ask("Go")
    await chat.page.locator("[data-state=streaming]", has_text="Chosen").wait_for()
    await chat.page.evaluate("getSelection().selectAllChildren(document.querySelector('.answer p'))")
    script.go.set()
    await chat.answered("More words.")
    assert await chat.page.evaluate("String(getSelection())") == "Chosen words."


async def test_pictures_can_be_added_and_removed(chat: Watched, tmp_path: Path) -> None:
    page = chat.page
    (tmp_path / "dot.png").write_bytes(PIXEL)
    (tmp_path / "not.png").write_bytes(b"no picture")
    await page.locator("#file").set_input_files([tmp_path / "dot.png", tmp_path / "dot.png"])
    await expect(page.locator("#pictures img")).to_have_count(2)
    await page.get_by_role("button", name="Remove dot.png").first.click()
    await expect(page.locator("#pictures img")).to_have_count(1)
    await chat.ask("What is this?")
    await chat.answered("What is this?")
    await expect(page.locator("#pictures img")).to_have_count(0)
    shown = page.locator(".question img")
    await expect(shown).to_have_attribute("alt", "dot.png")
    assert await shown.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 1
    await page.locator("#file").set_input_files(tmp_path / "not.png")
    await expect(page.locator("#toast")).to_contain_text("Only pictures")
    # The browser itself logs the refusal's status.
    assert [error for error in chat.errors if "415" not in error] == []
    chat.errors.clear()


async def test_model_choice(chat: Watched) -> None:
    page = chat.page
    await page.locator("#model").select_option("large-2")
    await chat.ask("Hello")
    await chat.answered("Hello")
    await expect(page.locator(".notice")).to_contain_text("large-2")
    await page.locator("#model").select_option("small-1")
    await expect(page.locator(".notice").last).to_contain_text("small-1")
    await page.reload()
    await expect(page.locator("#model")).to_have_value("small-1")


async def test_works_at_phone_width(open_page: Open) -> None:
    chat = await open_page(360, 640)
    await chat.enter()
    page = chat.page
    table = "| " + " | ".join(["column"] * 12) + " |\n" + "|-" * 12 + "|\n"
    chat.world.inbox.scripts = [Script(pieces=("```\n" + "wide " * 60 + "\n```\n\n" + table,))]
    await chat.ask("word" * 100)
    await chat.answered("wide")
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    for selector in ("#text", "#send", ".question .bubble", ".answer .code"):
        box = await page.locator(selector).bounding_box()
        assert box is not None
        assert box["x"] >= 0, selector
        assert box["x"] + box["width"] <= 360, selector
    await expect(page.locator("#side")).to_be_hidden()
    await page.get_by_role("button", name="Menu").click()
    await expect(page.get_by_role("link", name="New conversation")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#side")).to_be_hidden()
    await expect(page.get_by_role("button", name="Menu")).to_be_focused()


async def test_works_by_keyboard_alone(open_page: Open) -> None:
    chat = await open_page()
    page = chat.page
    await page.goto(await chat.world.adapter.entry_url())
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#text:focus")
    await page.keyboard.type("line one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("line two")
    await page.keyboard.press("Enter")
    await chat.answered("line two")
    assert await page.locator(".question p").inner_text() == "line one\nline two"
    await page.reload()
    await page.wait_for_selector("#text:focus")
    names = ["Skip to the message box", "Parley", "New conversation", "line one line two"]
    names += [
        "Administration",
        "Invite someone",
        "Sign out",
        "Delete this conversation",
        "Edit",
        "Reply to this",
        "Copy",
        "Answer again",
        "Reply to this",
    ]
    assert await tabbed(page, "Shift+Tab", len(names)) == names[::-1]
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#text:focus")
    assert await tabbed(page, "Tab", 3) == ["Add a picture or a file", "Model", "Send"]


async def tabbed(page: Page, key: str, count: int) -> list[str]:
    """The names of the next elements to get the focus, each of which has to show that it has it."""
    names: list[str] = []
    for _ in range(count):
        await page.keyboard.press(key)
        name, outline = await page.evaluate(
            """() => {
                const element = document.activeElement, shown = element.closest("label") ?? element;
                const name = element.ariaLabel || element.innerText;
                return [name.trim(), element.matches("textarea") ? "border" : getComputedStyle(shown).outlineStyle];
            }"""
        )
        assert outline != "none", name
        names.append(name)
    return names


async def test_messages_sent_in_quick_succession_all_arrive_in_order(chat: Watched) -> None:
    for number in range(6):
        await chat.page.evaluate(
            """(text) => {
                const area = document.querySelector("#text");
                area.value = text;
                area.form.requestSubmit();
                area.form.requestSubmit();
            }""",
            f"number {number}",
        )
        await expect(chat.page.locator("#text")).to_have_value("")
    await expect(chat.page.locator(".question p")).to_have_text([f"number {number}" for number in range(6)])
    await expect(chat.page.locator(".list a")).to_have_count(1)


async def test_an_answer_is_announced_when_it_is_complete(chat: Watched) -> None:
    await expect(chat.page.get_by_role("log")).to_have_attribute("aria-live", "polite")
    script = Script(pieces=("a", "b"), hold_after=1)
    chat.world.inbox.scripts = [script]
    await chat.ask("Go")
    await expect(chat.page.locator("#status")).to_have_text("Parley is answering.")
    await expect(chat.page.locator(".answer")).to_have_attribute("aria-busy", "true")
    script.go.set()
    await expect(chat.page.locator("#status")).to_have_text("The answer is complete.")
    await expect(chat.page.locator(".answer[aria-busy]")).to_have_count(0)


async def test_hostile_text_does_nothing(chat: Watched) -> None:
    evil = (
        '<img src=x onerror="document.title=1"><script>document.title=1</script>'
        '<a hx-get="/leave" hx-trigger="load">x</a> ![x](https://evil.example/x.png) [y](javascript:document.title=1)'
        ' <hx-partial hx-target="body">gone</hx-partial>'
    )
    chat.world.inbox.scripts = [Script(pieces=(evil,))]
    await chat.ask(evil)
    await chat.answered("onerror")
    await chat.page.reload()
    await chat.answered("onerror")
    assert await chat.page.title() != "1"
    await expect(chat.page.locator("#composer")).to_have_count(1)
    await expect(chat.page.locator(".answer .text :is(img, script, [hx-get], [onerror])")).to_have_count(0)


async def test_the_policy_is_enforced(chat: Watched) -> None:
    """So that the other tests' silence means something: a violation is noticed."""
    await chat.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    await chat.page.wait_for_timeout(50)
    assert any("Content Security Policy" in error for error in chat.errors)
    chat.errors.clear()


async def test_invitation_is_shown_and_copied(chat: Watched, open_page: Open) -> None:
    await chat.page.get_by_role("button", name="Invite someone").click()
    link = await chat.page.locator("#link").input_value()
    assert link.startswith(chat.world.url)
    await chat.page.locator("#dialog").get_by_role("button", name="Close").click()
    await expect(chat.page.locator("#dialog")).to_be_hidden()


async def test_an_open_page_outlives_a_restart(chat: Watched, valkey_url: str) -> None:
    page, world = chat.page, chat.world
    await chat.ask("Before")
    await chat.answered("You said: Before")
    world.running.cancel()
    await asyncio.wait([world.running])
    await expect(page.locator("#offline")).to_be_visible()
    store = Store(valkey_url)
    async with open_world(store, port=world.adapter.port) as restarted:
        await expect(page.locator("#offline")).to_be_hidden()
        await chat.ask("After")
        await chat.answered("You said: After")
        await expect(page.locator(".message")).to_have_count(4)
        await restarted.inbox.settled()
        await page.close()
    await store.close()
    # The browser and htmx log each try that found nobody.
    assert [error for error in chat.errors if "net::ERR" not in error and "htmx:sse:error" not in error] == []
    chat.errors.clear()


async def test_failures_keep_the_text(chat: Watched) -> None:
    chat.world.inbox.is_away = True
    await chat.ask("Precious text")
    await expect(chat.page.locator("#toast")).to_contain_text("Nothing was lost")
    await expect(chat.page.locator("#text")).to_have_value("Precious text")
    chat.world.inbox.is_away = False
    await chat.page.keyboard.press("Enter")
    await chat.answered("You said: Precious text")
    await expect(chat.page.locator(".question")).to_have_count(1)
    assert [error for error in chat.errors if "503" not in error] == []
    chat.errors.clear()
