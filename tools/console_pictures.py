"""
Takes the pictures of docs/screenshots from a console that runs: `python -m tools.console_pictures URL`.

Those in the repository show 11,049 nouns of WordNet 3.0 (rivers and lakes whole, of the rest a sample) with the
packaged model. Chromium of the operating system takes them, and packs them as WebP.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, expect, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
HEIGHT = 900
BYTES_MAX = 150_000
_WIDE, _NARROW = 1280, 390
_PACK = """async source => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), {width: image.width, height: image.height});
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.86);
}"""


@dataclass(frozen=True)
class Picture:
    """One picture: where it is taken, and what has to be there first."""

    name: str
    place: str
    shown: str
    width: int = _WIDE
    wait_ms: int = 1_500


def pictures(entity: str) -> Sequence[Picture]:
    """Return all pictures; `entity` is the one whose page is shown."""
    search = "#/search?text=where+fresh+water+runs+to+the+sea&k=8"
    return (
        Picture("overview", "#/overview", "In step", wait_ms=20_000),
        Picture("search", search, "results in"),
        Picture("entity", f"#/entity?id={entity}", "relationships", wait_ms=2_500),
        Picture("map", "#/map", "vectors"),
        Picture("search", search, "results in", _NARROW),
        Picture("entity", f"#/entity?id={entity}", "relationships", _NARROW, 2_500),
    )


def take(browser: Browser, url: str, picture: Picture, scheme: Literal["light", "dark"]) -> Path:
    """Take one picture."""
    context = browser.new_context(viewport={"width": picture.width, "height": HEIGHT}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{url}{picture.place}")
    expect(page.locator("main")).to_contain_text(picture.shown, timeout=30_000)
    expect(page.locator(".loading")).to_have_count(0)
    page.wait_for_timeout(picture.wait_ms)  # for figures of some seconds, and until a drawing has come to rest
    taken = base64.b64encode(page.screenshot()).decode()
    bench = context.new_page()
    packed = str(bench.evaluate(_PACK, f"data:image/png;base64,{taken}"))
    context.close()
    path = FOLDER / f"{picture.name}-{picture.width}-{scheme}.webp"
    path.write_bytes(base64.b64decode(packed.partition(",")[2]))
    return path


def main(url: str, entity: str) -> None:
    """Take all of them."""
    FOLDER.mkdir(exist_ok=True)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        take(browser, url, pictures(entity)[1], "light")  # the first search loads the model
        for picture in pictures(entity):
            for scheme in schemes if picture.width == _WIDE else schemes[:1]:
                path = take(browser, url, picture, scheme)
                size = path.stat().st_size
                print(f"{path.name}: {size:,} bytes{'' if size <= BYTES_MAX else ', too large'}")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") + "/", sys.argv[2])
