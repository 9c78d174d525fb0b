"""Every page, narrow and wide, light and dark: it shows what there is, fits, and is accessible."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.looking import Look
from tests.browser.world import Site

PAGES: list[tuple[str, dict[str, str], str, str]] = [
    ("overview", {}, "Overview", "Consistency over time"),
    ("search", {"text": "water of a river", "k": "12", "expand": "1"}, "Search", "12 results"),
    ("entities", {}, "Entities", "river-0"),
    ("entity", {"id": "river-0"}, "", "FED_BY"),
    ("entity", {"id": "markup"}, "<img", "BESIDE"),
    ("relationship", {"id": "FLOWS_PAST:river-3:place-4"}, "FLOWS_PAST", "1903"),
    ("map", {}, "Map", "River"),
    ("changes", {}, "Changes", "relationship created"),
    ("audits", {}, "Audits", "divergent"),
    ("audit", {"id": "2"}, "Audit 2", "river-3"),
    ("generations", {}, "Generations", "other-words"),
    ("dead-letters", {}, "Dead letters", "the model <b>refused</b> this text"),
    ("settings", {}, "Settings", "records_min"),
    ("nowhere", {}, "No such page", "Choose a page"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_shows_what_there_is_fits_and_is_accessible(
    site: Site, look: Callable[..., Look], width: int, scheme: str
) -> None:
    console = look(site.url, width=width, scheme=scheme, motion="reduce")
    for name, params, heading, shown in PAGES:
        console.go(name, **params)
        expect(console.heading).to_contain_text(heading)
        expect(console.page.locator("main")).to_contain_text(shown)
        expect(console.page.locator(".trouble.bad")).to_have_count(0)
        console.check_fits()
        if (width, scheme) != (390, "dark"):  # what it would find there it finds in the three others
            console.check_accessible()


def test_the_colours_can_be_chosen_and_stay(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    background = "getComputedStyle(document.body).backgroundColor"
    light = console.page.evaluate(background)
    for _ in range(2):
        console.page.get_by_role("button", name="Colours").click()
    expect(console.page.get_by_role("button", name="Colours: dark")).to_be_visible()
    dark = console.page.evaluate(background)
    assert dark != light
    console.page.reload()
    expect(console.page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert console.page.evaluate(background) == dark


def test_types_are_told_apart_by_more_than_colour(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    console.go("map")
    marks = console.page.locator(".legend path")
    outlines = [mark.get_attribute("d") for mark in marks.all()]
    assert len(outlines) == len(set(outlines)) >= 4
    expect(console.page.locator(".legend")).to_contain_text("River")


def test_the_drawing_stands_still_where_less_motion_is_asked_for(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url, motion="reduce")
    console.go("entity", id="river-0")
    node = console.page.locator(".graph a").nth(3)
    expect(node).to_be_visible()
    before = node.get_attribute("transform")
    console.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert node.get_attribute("transform") == before
