"""Who wrote a package, as far as its metadata says. Only names are kept, e-mail addresses never. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import getaddresses
from importlib.metadata import PackageMetadata

from slipstream.demo.corpus.text import clean, slug

NAME_SIZE_MAX = 100

_ORGANIZATION_WORDS = frozenset(
    {
        "association", "authority", "authors", "community", "company", "contributors", "corp", "corporation",
        "developers", "foundation", "gmbh", "group", "inc", "institute", "lab", "labs", "llc", "ltd", "maintainers",
        "organization", "project", "services", "society", "software", "team", "university",
    }
)  # fmt: skip
_ROLES = frozenset({"contact", "dev", "devs", "hello", "hey", "info", "maintainers", "support", "team"})
_NOBODY = frozenset({"contributors", "many others", "others", "others (see authors)", "unknown", "none"}) | {
    "gmbh", "inc", "inc.", "llc", "ltd", "ltd.",  # what is left of a name with an unquoted comma
}  # fmt: skip
_BETWEEN_NAMES = re.compile(r"\s*(?:[,;&]|\band\b)\s*")
_LEGAL_FORM = re.compile(r",\s*(Inc|LLC|Ltd|GmbH|Jr|Sr)\b", re.IGNORECASE)
_ET_AL = re.compile(r"\s+et\.? al\.?$", re.IGNORECASE)
_FIELDS = (
    ("author", "Author", "Author-email"),
    ("maintainer", "Maintainer", "Maintainer-email"),
)


@dataclass(frozen=True, slots=True)
class Contributor:
    """A person or an organisation that stands in a package's metadata, as author, maintainer or both."""

    name: str
    is_organization: bool
    roles: tuple[str, ...]


def contributors(metadata: PackageMetadata, package: str) -> list[Contributor]:
    """Return the authors and maintainers of a package by name, each once."""
    found: dict[str, Contributor] = {}
    for role, name_field, address_field in _FIELDS:
        for name, address in _stated(metadata, name_field, address_field):
            for single in _names(name):
                known = found.get(single.casefold())
                roles = tuple(dict.fromkeys((*(known.roles if known else ()), role)))
                shown = known.name if known else single
                organization = looks_like_organization(shown, address, package)
                found[single.casefold()] = Contributor(shown, organization, roles)
    return [found[key] for key in sorted(found)]


def looks_like_organization(name: str, address: str, package: str) -> bool:
    """Whether a name is rather that of an organisation: by a word in it, or a single name with a shared address."""
    words = {word.casefold() for word in re.findall(r"\w+", name)}
    if words & _ORGANIZATION_WORDS or name.casefold() == package.casefold():
        return True
    return len(words) == 1 and address.partition("@")[0].casefold() in _ROLES


def _stated(metadata: PackageMetadata, name_field: str, address_field: str) -> Iterator[tuple[str, str]]:
    addresses = [str(value) for value in metadata.get_all(address_field) or []]
    for name in metadata.get_all(name_field) or []:
        # With a plain name beside a plain address, the address says whose name it is.
        yield str(name), addresses[0] if len(addresses) == 1 and "<" not in addresses[0] else ""
    yield from getaddresses(addresses)


def _names(text: str) -> Iterable[str]:
    joined = _LEGAL_FORM.sub(r" \1", clean(text))
    for part in _BETWEEN_NAMES.split(joined):
        name = " ".join(_ET_AL.sub("", part).split()).strip("\"'")
        if slug(name) and "@" not in name and name.casefold() not in _NOBODY and len(name) <= NAME_SIZE_MAX:
            yield name
