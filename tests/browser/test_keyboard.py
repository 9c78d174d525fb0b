"""The console without a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.looking import Look
from tests.browser.world import Site


def test_the_first_key_skips_to_the_content_and_the_rest_walk_the_navigation(
    site: Site, look: Callable[..., Look]
) -> None:
    page = look(site.url).page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for name in ("Slipstream", "Overview", "Search", "Entities", "Map"):
        page.get_by_role("link", name=name, exact=True).focus()
        expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    page.get_by_role("link", name="Search", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Entities", exact=True)).to_be_focused()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Entities")).to_be_focused()
    expect(page.get_by_role("link", name="Entities", exact=True)).to_have_attribute("aria-current", "page")
    assert page.title() == "Entities · Slipstream"


def test_every_page_has_its_landmarks(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    page = console.page
    pages = page.get_by_role("navigation", name="Pages").get_by_role("link").all()
    assert len(pages) > 7
    for link in pages:
        link.click()
        console.settled()
        for role in ("banner", "main"):
            expect(page.get_by_role(role)).to_have_count(1)
        expect(page.get_by_role("navigation", name="Pages")).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)


def test_a_search_is_asked_told_and_opened_by_keys(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    console.go("search")
    page = console.page
    expect(page.get_by_role("searchbox", name="Text")).to_be_focused()
    page.keyboard.type("water of a river")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="10 results in")).to_be_visible()
    assert "text=water+of+a+river" in page.url
    why = page.get_by_role("button", name="Why").first
    why.focus()
    page.keyboard.press("Enter")
    expect(why).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".why").first).to_contain_text("the stored fingerprint is that of the text now")


def test_the_drawing_is_walked_by_arrows_and_enter(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url, motion="reduce")
    console.go("entity", id="river-0")
    page = console.page
    centre = page.locator(".graph a.centre")
    expect(centre).to_be_visible()
    centre.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".graph a:focus")).not_to_have_class("centre")
    name = page.locator(".graph a:focus").get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page.locator(".graph a.centre")).to_have_attribute("href", name)
    expect(page.locator(".graph a.centre")).to_be_focused()
    assert page.url.endswith(name)
    page.go_back()
    expect(page.locator(".graph a.centre")).to_have_attribute("href", "#/entity?id=river-0")


def test_the_map_is_read_zoomed_and_opened_by_keys(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url, motion="reduce")
    console.go("map")
    page = console.page
    canvas = page.get_by_role("application", name="Map of vectors")
    expect(canvas).to_have_attribute("data-drawn", re.compile(r"^5\d$"))
    canvas.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator(".map-tip")
    expect(tip).to_be_visible()
    first = tip.inner_text()
    said = page.locator("main [role=status].unseen")
    expect(said).to_contain_text(first.split("\n")[0][:10])
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    page.keyboard.press("ArrowLeft")
    name = tip.locator("b").inner_text()
    page.keyboard.press("Enter")
    expect(console.heading).to_have_text(name)


def test_a_dialog_opens_on_its_first_control_and_closes_by_escape(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    console.go("dead-letters")
    page = console.page
    expect(page.get_by_role("button", name="Discard")).to_be_disabled()
    page.get_by_role("checkbox", name="Choose k:e:hopeless").or_(
        page.get_by_role("checkbox", name="Choose").nth(1)
    ).first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Discard 1").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Discard 1 dead letter?")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    console.check_accessible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Discard 1")).to_be_focused()


def test_the_menu_of_a_narrow_page_opens_and_closes(site: Site, look: Callable[..., Look]) -> None:
    page = look(site.url, width=390).page
    menu = page.get_by_role("button", name="Menu")
    expect(menu).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("link", name="Audits", exact=True)).to_be_hidden()
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Audits", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1, name="Audits")).to_be_visible()
    expect(menu).to_have_attribute("aria-expanded", "false")
