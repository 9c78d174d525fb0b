"""A server that asks for a token, holds several PKGs, or goes away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

from slipstream.app.slipstream import Slipstream
from slipstream.http.scopes import Scope
from slipstream.http.tokens import Tokens
from tests.browser.looking import Look
from tests.browser.world import fill, opened, serving

SECRET = "a-secret-of-this-test-0123456789abcdef"  # noqa: S105
READER = "a-reader-of-this-test-0123456789abcdef"


def test_a_token_is_asked_for_kept_for_the_tab_and_never_in_an_address(
    rich: Slipstream, look: Callable[..., Look]
) -> None:
    with serving({"rich": rich}, Tokens({SECRET: Scope.ADMIN})) as site:
        console = look(site.url)
        console.expected.add("401")
        page = console.page
        expect(page.get_by_role("heading", name="This server asks for a token")).to_be_visible()
        console.check_accessible()
        page.get_by_role("textbox", name="Token").fill("a wrong one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("was not accepted")
        page.get_by_role("textbox", name="Token").fill(SECRET)
        page.get_by_role("button", name="Open the console").click()
        expect(page.get_by_role("heading", level=2, name="In step")).to_be_visible()
        console.go("changes")  # the stream is read with the header too
        expect(page.get_by_text("Live: each commit as it happens.")).to_be_visible()
        assert SECRET in page.evaluate("sessionStorage.getItem('slipstream.token')")
        assert SECRET not in page.evaluate("JSON.stringify({...localStorage}) + document.cookie + location.href")
        assert not [request.url for request in console.asked if SECRET in request.url]
        assert any(request.headers.get("authorization") == f"Bearer {SECRET}" for request in console.asked)
        page.reload()
        expect(page.get_by_role("heading", level=1, name="Changes")).to_be_visible()
        page.get_by_role("button", name="Forget token").click()
        expect(page.get_by_role("heading", name="This server asks for a token")).to_be_visible()


def test_what_a_token_may_not_do_is_refused_with_a_reason(rich: Slipstream, look: Callable[..., Look]) -> None:
    with serving({"rich": rich}, Tokens({READER: Scope.READ})) as site:
        console = look(site.url)
        console.expected |= {"401", "403"}
        page = console.page
        page.get_by_role("textbox", name="Token").fill(READER)
        page.keyboard.press("Enter")
        console.go("audits")
        page.get_by_role("button", name="Start an audit").click()
        expect(page.get_by_role("alert")).to_contain_text("scope write")


def test_a_server_that_is_away_is_told_and_its_return_is_noticed(slip: Slipstream, look: Callable[..., Look]) -> None:
    with serving({"pkg": slip}) as site:
        console = look(site.url)
        console.expected |= {"away", "503"}
        page = console.page
        expect(page.get_by_role("heading", level=2, name="In step")).to_be_visible()
        site.stop()
        told = page.get_by_role("status").filter(has_text="The server is away")
        expect(told).to_be_visible()
        console.check_accessible()
        expect(console.card("By type")).to_contain_text("River")  # what was there stays in view
        page.get_by_role("link", name="Audits", exact=True).click()
        expect(page.get_by_role("alert").first).to_contain_text("The server is away")
        slip.pkg.create_entity("Person", "meanwhile", {"name": "Came meanwhile"})
        slip.verify(hurry=True)
        site.start()
        expect(told).to_have_count(0)
        expect(page.get_by_role("table", name="Kept audits")).to_contain_text("consistent")


def test_one_of_several_graphs_is_chosen_by_its_name(
    browser: Browser, rich: Slipstream, tmp_path: Path, look: Callable[..., Look]
) -> None:
    with opened(tmp_path / "other") as other:
        fill(other)
        other.pkg.create_entity("Person", "only-here", {"name": "Only in the other graph"})
        with serving({"rich": rich, "notes & more": other}) as site:
            console = look(site.url)
            page = console.page
            choice = page.get_by_role("combobox", name="Graph")
            expect(choice).to_have_value("rich")
            choice.select_option("notes & more")
            page.wait_for_url("**/pkgs/notes%20%26%20more/**")
            expect(choice).to_have_value("notes & more")
            console.go("entity", id="only-here")
            expect(console.heading).to_have_text("Only in the other graph")
            choice.select_option("rich")
            page.wait_for_url(f"{site.url}pkgs/rich/**")
            console.expected.add("404")
            console.go("entity", id="only-here")
            expect(page.get_by_text("It is not in the graph.")).to_be_visible()
