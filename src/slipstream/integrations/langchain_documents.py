"""How documents are kept in a graph: the view of their type, and the properties that hold their metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from slipstream.app.composition import initialise
from slipstream.app.config import load_config
from slipstream.views.declaration import View

DOCUMENT = "Document"
"""The type of the entities that a store keeps documents as."""
TEXT = "text"
"""The property that holds a document's text."""
_BEFORE = "metadata_"
_NO_PROPERTY = re.compile(rf"(?:{_BEFORE})*(?:_.*|[iI][dD])", re.DOTALL)
"""Names of metadata that a graph keeps for itself: its id, and all that begin with an underscore."""


def document_view(entity_type: str = DOCUMENT, *, text_property: str = TEXT, metadata: Sequence[str] = ()) -> View:
    """
    Return the view of a store's documents: the text alone is embedded, `metadata` is kept to filter by.

    For `Options(views=(document_view(),))`; without it, everything that is text in a document's metadata is embedded
    too.
    """
    return View(entity_type, f"{{{{ {text_property} }}}}", metadata=tuple(kept_name(name) for name in metadata))


def declare_in_new(directory: Path, view: View) -> bool:
    """Make the PKG if there is none, with the view in its configuration; return whether that has one for the type."""
    names = ", ".join(_quoted(name) for name in view.metadata)
    text = f"\n[views.{_quoted(view.type)}]\ntemplate = {_quoted(view.template or '')}\nmetadata = [{names}]\n"
    initialise(directory, text)
    return view.type in load_config(directory).views


def _quoted(text: str) -> str:
    """Return a text as TOML has it."""
    return json.dumps(text, ensure_ascii=False)


def kept_name(name: str) -> str:
    """Return the property for a name in metadata; one that a graph can not have is kept behind `metadata_`."""
    return f"{_BEFORE}{name}" if _NO_PROPERTY.fullmatch(name) else name


def told_name(name: str) -> str:
    """Return the name in metadata for a property, so that every name comes back as it was given."""
    told = name.removeprefix(_BEFORE)
    return told if told != name and _NO_PROPERTY.fullmatch(told) else name
