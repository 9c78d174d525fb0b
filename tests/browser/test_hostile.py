"""Names that would like to be more than text: markup, code, other directions of writing, and very long ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from slipstream.app.slipstream import Slipstream
from tests.browser.looking import Look
from tests.browser.world import HOSTILE, Site


@pytest.mark.parametrize("width", [390, 1280])
def test_every_name_is_text_on_its_own_page(site: Site, look: Callable[..., Look], width: int) -> None:
    console = look(site.url, width=width, motion="reduce")
    for identity, name in HOSTILE.items():
        console.go("entity", id=identity)
        expect(console.heading).to_have_text(name)
        expect(console.card("Properties")).to_contain_text(name)
        expect(console.card("Text")).to_contain_text(name.split()[0])
        console.check_fits()
        _check_nothing_ran(console)


def test_lists_and_searches_show_them_as_text(site: Site, look: Callable[..., Look]) -> None:
    for width in (390, 1280):
        console = look(site.url, width=width, motion="reduce")
        for page, params in (
            ("entities", {"type": "Hostile"}),
            ("search", {"text": "img", "type": "Hostile", "k": "20", "expand": "1"}),
            ("entity", {"id": "markup"}),
            ("map", {"type": "Hostile"}),
        ):
            console.go(page, **params)
            if page != "map":
                expect(console.page.locator("main")).to_contain_text(HOSTILE["markup"][:12])
            console.check_fits()
            _check_nothing_ran(console)


def test_an_address_of_the_console_can_carry_nothing_that_runs(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    console.expected.add("404")
    attack = "<img src=x onerror=alert(1)>"
    for page, params in (
        ("search", {"text": attack, "type": attack}),
        ("entities", {"type": attack}),
        (attack, {}),
        ("constructor", {}),
    ):
        console.go(page, **params)
        _check_nothing_ran(console)
    console.go("entity", id=attack)
    expect(console.heading).to_have_text(attack)
    expect(console.page.get_by_role("alert").first).to_contain_text(f"there is no entity '{attack}'")
    expect(console.page.get_by_role("alert").first).to_contain_text("What to do")
    _check_nothing_ran(console)


def test_changes_of_hostile_entities_stream_as_text(slip: Slipstream, look: Callable[..., Look]) -> None:
    from tests.browser.world import serving

    with serving({"pkg": slip}) as site:
        console = look(site.url)
        console.go("changes")
        expect(console.page.get_by_text("Live: each commit as it happens.")).to_be_visible()
        attack = "<svg onload=document.title='owned'>"
        slip.pkg.create_entity("Hostile", attack, {"name": attack, "<b>x</b>": 1})
        expect(console.page.get_by_role("log").get_by_role("link", name=attack)).to_be_visible()
        _check_nothing_ran(console)


def _check_nothing_ran(console: Look) -> None:
    assert console.page.title() != "owned"
    made = (
        "document.querySelectorAll('main img, main script, main iframe, main object, main [onerror], main [onload]')"
    )
    assert console.page.evaluate(f"{made}.length") == 0
    links = console.page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert [link for link in links if not link.startswith("#")] == []
