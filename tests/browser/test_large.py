"""The console of a graph with 100,000 entities stays quick."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from slipstream.app.slipstream import Slipstream
from tests.browser.looking import Look
from tests.browser.world import LONG_S, WORDS, Site, opened, serving

ENTITIES = 100_000
DRAWN = 20_000
PAGE_S = 20.0
"""Far beyond what a page takes on a machine that has nothing else to do: about a second."""

pytestmark = pytest.mark.slow

_FILL = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ENTITIES - 1}),
word(k, w) AS (SELECT key, value FROM json_each(?))
INSERT INTO entity(id, type, properties)
SELECT 'thing-' || i, 'Kind' || (i % 5),
       json_object('name', a.w || ' ' || b.w || ' ' || i, 'text', c.w || ' ' || a.w)
FROM n
JOIN word a ON a.k = i % 15 JOIN word b ON b.k = (i / 15) % 15 JOIN word c ON c.k = (i / 225) % 15
"""  # noqa: S608  (the number is ours)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Slipstream]:
    """Many entities, written by SQL as any program may."""
    del browser
    directory: Path = tmp_path_factory.mktemp("large")
    with opened(directory) as slip:
        with closing(sqlite3.connect(directory / ".slipstream" / "graph.db")) as graph, graph:
            graph.execute(_FILL, ["[" + ",".join(f'"{word}"' for word in WORDS.split()) + "]"])
        assert slip.sync.drain(timeout_s=LONG_S)
        yield slip


@pytest.fixture(scope="module")
def large_site(large: Slipstream) -> Iterator[Site]:
    """Its server."""
    with serving({"large": large}) as found:
        yield found


def test_every_page_comes_soon_and_a_map_of_a_sample_is_drawn(large_site: Site, look: Callable[..., Look]) -> None:
    console = look(large_site.url)
    page = console.page
    expect(console.card("By type")).to_contain_text("20,000")
    for name, params, shown in (
        ("search", {"text": "river delta"}, "10 results"),
        ("entities", {"type": "Kind3"}, "thing-"),
        ("entity", {"id": "thing-77777"}, "Properties"),
        ("changes", {}, "entity created"),
        ("audits", {}, "Audit now"),
        ("map", {}, "A sample of 20,000 of 100,000 vectors"),
    ):
        begun = time.monotonic()
        console.go(name, **params)
        expect(page.locator("main")).to_contain_text(shown)
        console.check_fits()
        assert time.monotonic() - begun < PAGE_S, name
    canvas = page.locator("canvas")
    expect(canvas).to_have_attribute("data-drawn", str(DRAWN))
    box = canvas.bounding_box()
    assert box is not None
    begun = time.monotonic()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for turn in range(12):
        page.mouse.wheel(0, -120 if turn % 2 else 120)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert time.monotonic() - begun < PAGE_S
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".map-tip")).to_contain_text("Kind")
    page.keyboard.press("Enter")
    expect(console.heading).not_to_have_text("Map")
