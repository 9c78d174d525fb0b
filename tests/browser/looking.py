"""Looking at the console: a page, all that the browser complained of, and checks that hold everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

AXE = Path(__file__).parents[1] / "data" / "axe" / "axe.min.js"
LONG_MS = 30_000
_LOOKED_AT = "{exclude: [['tbody tr:nth-child(n+7)'], ['.hit:nth-child(n+5)']]}"
"""Rows further down are made as those above them, and each costs time."""
_REFUSED = re.compile(r"Failed to load resource: (?:the server responded with a status of (\d+)|net::ERR_)")


@dataclass
class Look:
    """One visit of the console."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    """Statuses that answers may have here, `away` for none at all: the browser logs them as errors."""

    @classmethod
    @contextmanager
    def at(
        cls, browser: Browser, url: str, *, width: int = 1280, scheme: str = "light", motion: str = "no-preference"
    ) -> Iterator[Look]:
        """Open the console in a context of its own."""
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion=motion,  # type: ignore[arg-type]
        )
        context.set_default_timeout(LONG_MS)
        expect.set_options(timeout=LONG_MS)
        found = cls(context.new_page(), url)
        found.page.on("console", found._note)
        found.page.on("pageerror", lambda error: found.complaints.append(f"thrown: {error}"))
        found.page.on("request", lambda request: found.asked.append(request))  # noqa: PLW0108  (it takes attributes)
        found.page.on("dialog", lambda dialog: found.complaints.append(f"dialog: {dialog.message}"))
        found.page.goto(url)
        yield found
        context.close()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = _REFUSED.match(message.text)
        if refused is None or (refused[1] or "away") not in self.expected:
            self.complaints.append(message.text)

    def go(self, page: str, **params: str) -> None:
        """Go to a page of the console, and wait until it shows what it has asked for."""
        query = f"?{urlencode(params)}" if params else ""
        self.page.evaluate("hash => { location.hash = hash }", f"/{page}{query}")
        self.settled()

    def settled(self) -> None:
        """Wait until nothing is being loaded any more; by no text that is evaluated, which the policy forbids."""
        expect(self.heading).to_be_visible()
        expect(self.page.locator(".loading")).to_have_count(0)

    @property
    def heading(self) -> Locator:
        """The heading of the page."""
        return self.page.get_by_role("heading", level=1)

    def card(self, title: str) -> Locator:
        """A part of the page, by its title."""
        return self.page.get_by_role("region", name=title, exact=True)

    def check_fits(self) -> None:
        """Nothing is wider than the window."""
        wide = """[...document.querySelectorAll('main *')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .filter(e => !e.closest('svg, .unseen, .quote, .uplot'))
            .map(e => e.outerHTML.slice(0, 120))"""
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert self.page.evaluate(wide) == []

    def check_accessible(self) -> None:
        """Axe finds nothing."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(f"axe.run({_LOOKED_AT}, {{resultTypes: ['violations']}})")["violations"]
        assert [(each["id"], [node["html"][:160] for node in each["nodes"]]) for each in found] == []

    def check_nothing_went_wrong(self) -> None:
        """No error, no violation of the policy, no call to anywhere else, and no token in an address."""
        assert self.complaints == []
        here = urlsplit(self.url).netloc
        assert {urlsplit(request.url).netloc for request in self.asked} == {here}
        assert [request.url for request in self.asked if "token" in request.url.lower()] == []
