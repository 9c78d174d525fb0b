"""Tells by the first bytes of a file that holds no JSON what it is, and what to do about it. Pure."""

from __future__ import annotations

import codecs
import re

CONVERT = "convert it, as in iconv -f latin1 -t UTF-8"
_UNPACK = "unpack it first"
_BY_FIRST_BYTES = (
    (b"\x1f\x8b", f"packed by gzip: {_UNPACK} (gunzip)"),
    (b"\x28\xb5\x2f\xfd", f"packed by zstd: {_UNPACK} (unzstd)"),
    (b"BZh", f"packed by bzip2: {_UNPACK} (bunzip2)"),
    (b"\xfd7zXZ\0", f"packed by xz: {_UNPACK} (unxz)"),
    (b"PK\x03\x04", f"a zip archive or an office document: {_UNPACK}"),
    (b"SQLite format 3\0", "an SQLite database; a graph file of Slipstream's own is exported by `slipstream export`"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"%PDF", "a PDF"),
    (codecs.BOM_UTF32_LE, "text in UTF-32: convert it, as in iconv -f UTF-32 -t UTF-8"),
    (codecs.BOM_UTF16_LE, "text in UTF-16: convert it, as in iconv -f UTF-16 -t UTF-8"),
    (codecs.BOM_UTF16_BE, "text in UTF-16: convert it, as in iconv -f UTF-16 -t UTF-8"),
)
_JSON_LINE = re.compile(rb"^[ \t\r]*[{\[]", re.MULTILINE)
_NUL_SHARE = 4
"""One NUL in so many bytes means binary: in UTF-16 every second byte of ASCII is NUL, in other files a good part."""


def binary_kind(head: bytes) -> str | None:
    """Return the kind of a file with this beginning that is no text in UTF-8; None when it may be such a text."""
    for first, kind in _BY_FIRST_BYTES:
        if head.startswith(first):
            return kind
    if head[:64].count(b"\0") * _NUL_SHARE >= len(head[:64]) > 0:
        return "binary, or text in UTF-16 (convert it, as in iconv -f UTF-16 -t UTF-8)"
    return None


def foreign_kind(head: bytes) -> str | None:
    """Return the kind of a file with this beginning (up to 64 KiB); None when it may hold JSON."""
    kind = binary_kind(head)
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if kind is not None or not text or _JSON_LINE.search(head.removeprefix(codecs.BOM_UTF8)):
        return kind
    first = text.partition(b"\n")[0]
    if first.startswith(b"<"):
        return "XML: `slipstream import` reads GraphML and RDF, in files named .graphml and .rdf"
    if any(mark in first for mark in (b",", b";", b"\t")):
        return "CSV: `slipstream import` reads that, in files named .csv"
    return "no JSON: no line of its beginning starts with { or ["
