"""Markdown as Obsidian and Logseq write it, turned into the text that is read, and the links in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote

from slipstream.importers.notes.note import Link, Piece

NOTE_SUFFIXES = (".md", ".markdown")
TAG = re.compile(r"#(?:\[\[([^\[\]\n]+)\]\]|((?:[\w/-]|[^\x00-\u2fff\ud800-\udfff\s])+))")
"""A tag: letters, digits, `_`, `-`, `/` and emoji, or several words in brackets."""
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_BLOCK_LINK = re.compile(rf"\(\(({_UUID})\)\)")
_BLOCK_EMBED = re.compile(rf"\{{\{{embed[ \t]*\(\(({_UUID})\)\)[ \t]*\}}\}}")
_PAGE_EMBED = re.compile(r"\{\{embed[ \t]*\[\[([^\[\]\n]+)\]\][ \t]*\}\}")
_WIKI = re.compile(r"(!?)\[\[([^\[\]\n]+)\]\]")
_COMMENT = re.compile(r"%%.*?%%", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(?:[-*+][ \t]+)?(```+|~~~+)")
_HTML = re.compile(r"<!--.*?-->|<[^>]+>", re.DOTALL)
_BLOCK_NAME = re.compile(r"(?:^|[ \t])\^[A-Za-z0-9-]+$", re.MULTILINE)
_TASK = re.compile(r"^\[[^\]]\][ \t]+")
_CALLOUT = re.compile(r"^\[!\w[\w-]*(?:\|[^\]]*)?\][+-]?[ \t]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PROPERTY = re.compile(r"([\w-]+)::(?=[ \t]|$)[ \t]*(.*)")
_OF_LOGSEQ = {"id", "collapsed", "heading", "background-color", "card-last-interval", "card-repeats"} | {
    *("card-ease-factor", "card-next-schedule", "card-last-reviewed", "card-last-score", "created-at", "updated-at")
}
"""Properties of blocks that are for the program alone."""
_WIDTH = re.compile(r"\|?[ \t]*\d+(?:x\d+)?$")
_HIGHLIGHT = re.compile(r"==(?=\S)(.+?)(?<=\S)==")


class Reading:
    """What a text comes to: its pieces, links, tags and Logseq's page properties."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.links: list[Link] = []
        self.tags: dict[str, str] = {}
        self.properties: dict[str, str] = {}

    def add_tag(self, tag: str) -> None:
        """Note a tag, unless it is there; a number alone is none, as `#1` is none."""
        name = "/".join(part.strip() for part in tag.strip().split("/") if part.strip())
        if name and not name.isdigit():
            self.tags.setdefault(name.casefold(), name)

    def add(self, level: int, text: str) -> None:
        """Add a heading, or a piece of text (level 0)."""
        text = _BLOCK_NAME.sub("", text).strip() if "^" in text else text.strip()
        if text:
            self.pieces.append(Piece(level, " ".join(text.split()) if level else text))


def read_markdown(text: str) -> Reading:
    """Return what a note's body says."""
    found = Reading()
    level, is_first = 0, True
    row: list[str] | None = None
    for token in _parser().parse(without_comments(text) if "%%" in text else text):
        kind = token.type
        if kind == "heading_open":
            level = int(token.tag[1])
        elif kind == "heading_close":
            level = 0
        elif kind == "tr_open":
            row = []
        elif kind == "tr_close" and row is not None:
            found.add(0, " | ".join(cell for cell in row if cell))
            row = None
        elif kind == "inline":
            properties = _page_properties(token.content) if is_first and "::" in token.content else None
            is_first = False
            if properties is not None:
                found.properties.update(properties)
                continue
            said = _said(token.children or (), found)
            if row is not None:
                row.append(said)
            else:
                found.add(level, said if level else _as_read(said))
        elif kind in ("fence", "code_block"):
            found.add(0, token.content.rstrip("\n"))
        elif kind == "html_block":
            found.add(0, _HTML.sub("", token.content))
    return found


def _page_properties(source: str) -> dict[str, str] | None:
    """Return the properties of a first block that holds nothing else; None for any other."""
    matches = [_PROPERTY.fullmatch(line.strip()) for line in source.split("\n")]
    return {match[1]: match[2].strip() for match in matches if match} if all(matches) else None


def _as_read(said: str) -> str:
    """Return a paragraph without the marks of tasks and callouts, and without what Logseq keeps for itself."""
    said = _TASK.sub("", _CALLOUT.sub("", said))
    if "::" not in said:
        return said
    lines = []
    for line in said.split("\n"):
        match = _PROPERTY.fullmatch(line.strip())
        if match is None:
            lines.append(line)
        elif match[1] not in _OF_LOGSEQ:
            lines.append(f"{match[1]}: {match[2].strip()}")
    return "\n".join(lines)


def without_comments(text: str) -> str:
    """Return a text without Obsidian's `%% comments %%`, but for what is code; keeps the number of lines."""
    kept: list[str] = []
    plain: list[str] = []
    fence = ""

    def flush() -> None:
        whole = "".join(plain)
        kept.append(_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), whole))
        plain.clear()

    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if fence:
            kept.append(line)
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            flush()
            fence = mark[1]
            kept.append(line)
        else:
            plain.append(line)
    flush()
    return "".join(kept)


def read_value(text: str, found: Reading, field: str) -> str:
    """Return the text of a property as it is read, and note the links in it as links of that property."""

    def shown(match: re.Match[str]) -> str:
        link = wiki_link(match[2], is_embed=bool(match[1]))._replace(field=field)
        found.links.append(link)
        return link.alias or shown_target(link)

    return _WIKI.sub(shown, text)


def wiki_link(inner: str, *, is_embed: bool) -> Link:
    """Return the link that stands between `[[` and `]]`."""
    place, _, alias = inner.replace("\\|", "|").partition("|")
    target, _, heading = place.partition("#")
    heading, block = heading.strip(), ""
    if heading.startswith("^"):
        heading, block = "", heading
    elif "#^" in heading:
        heading, _, block = heading.partition("#")
    return Link(target.strip(), heading.strip("# "), block, alias.strip(), is_embed)


def shown_target(link: Link) -> str:
    """Return what is read of a link without an alias, as Obsidian shows it."""
    return " > ".join(part for part in (link.target, *link.heading.split("#")) if part)


def path_link(href: str, label: str, *, is_embed: bool = False) -> Link | None:
    """Return the link to a note that a Markdown link is; None for one that leads elsewhere."""
    block_link = _BLOCK_LINK.fullmatch(href)
    if block_link is not None:
        return Link("", block=block_link[1], alias=label, is_embed=is_embed)
    place, _, heading = href.partition("#")
    target = unquote(place)
    if _SCHEME.match(href) or (target and not target.lower().endswith(NOTE_SUFFIXES)) or not (target or heading):
        return None
    heading = unquote(heading)
    block = heading if heading.startswith("^") else ""
    return Link(target, "" if block else heading, block, label, is_embed, is_path=True)


def _said(children: Sequence[Any], found: Reading) -> str:
    """Return the text of a paragraph, and note its links and tags."""
    said: list[str] = []
    label_from = 0
    href: str | None = None
    for token in children:
        kind = token.type
        if kind == "text":
            said.append(_plain(token.content, found))
        elif kind == "code_inline":
            said.append(token.content)
        elif kind in ("softbreak", "hardbreak"):
            said.append("\n")
        elif kind == "wiki_link":
            said.append(_linked(wiki_link(token.content, is_embed=token.markup == "!"), found))
        elif kind == "tag":
            found.add_tag(token.content)
            said.append(f"#{token.content}")
        elif kind == "link_open":
            label_from, href = len(said), token.attrGet("href")
        elif kind == "link_close" and href is not None:
            _note_path_link(path_link(href, "".join(said[label_from:])), found)
            href = None
        elif kind == "image":
            label = _WIDTH.sub("", "".join(child.content for child in token.children or ()))
            said.append(label)
            _note_path_link(path_link(token.attrGet("src") or "", label, is_embed=True), found)
    text = "".join(said)
    return _HIGHLIGHT.sub(r"\1", text) if "==" in text else text


def _note_path_link(link: Link | None, found: Reading) -> None:
    if link is not None:
        found.links.append(link)


def _linked(link: Link, found: Reading) -> str:
    found.links.append(link)
    is_width = link.is_embed and _WIDTH.fullmatch(link.alias)  # ![[image.png|300x200]]
    return shown_target(link) if is_width else link.alias or shown_target(link)


def _plain(text: str, found: Reading) -> str:
    """Return a text without Logseq's references to blocks, which are noted."""
    if "((" not in text:
        return text

    def noted(match: re.Match[str]) -> str:
        found.links.append(Link("", block=match[1], is_embed=match.re is _BLOCK_EMBED))
        return ""

    return _BLOCK_LINK.sub(noted, _BLOCK_EMBED.sub(noted, text))


# ---------------------------------------------------------------------- the parser


@cache
def _parser() -> Any:
    """Return the parser of Markdown with tables, and with rules of ours for links and tags."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.inline.ruler.before("link", "wiki_link", _wiki_rule)
    parser.inline.ruler.before("link", "tag", _tag_rule)
    return parser


def _wiki_rule(state: Any, silent: bool) -> bool:
    match = _PAGE_EMBED.match(state.src, state.pos) or _WIKI.match(state.src, state.pos)
    if match is None:
        return False
    if not silent:
        token = state.push("wiki_link", "", 0)
        is_page = match.re is _PAGE_EMBED
        token.content, token.markup = (match[1], "!") if is_page else (match[2], match[1])
    state.pos = match.end()
    return True


def _tag_rule(state: Any, silent: bool) -> bool:
    pos = state.pos
    if state.src[pos] != "#" or (pos > 0 and not state.src[pos - 1].isspace()):
        return False
    match = TAG.match(state.src, pos)
    if match is None or (match[2] or "").isdigit():
        return False
    if not silent:
        state.push("tag", "", 0).content = match[1] or match[2].rstrip("/")
    state.pos = match.end()
    return True
