"""The evidence page: what an audit found, as a page that anyone can read, keep and print."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from slipstream.audit.sealing import Evidence, signed_with
from slipstream.domain.errors import ConfigError, InvalidInputError, SlipstreamError
from slipstream.report.evidence_page import page_of

logger = logging.getLogger(__name__)

_TEMPLATE = "evidence.html.j2"


def render_html(report: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, paging: str | None = None) -> str:
    """
    Return a page of one audit and of the audits before it, oldest first; it needs no script and no network.

    The audit itself belongs into the history when it is recorded. `paging` is a command that shows the keys that
    the report does not carry, with `{id}`, `{name}` (the class) and `{after}` (a key) to be filled in, each quoted
    for a shell. Raises `InvalidInputError` for a report that is not of the schema `slipstream.audit/1`.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("slipstream.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(page_of(report, history, paging)).lstrip()


def write_evidence(
    path: Path,
    report: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    *,
    paging: str | None = None,
    evidence: Evidence | None = None,
) -> tuple[Path, Path]:
    """
    Write the report as JSON and as a page beside it, and return both paths.

    A suffix `.json` or `.html` is taken off the path first. The JSON is the report with its `history`; with
    `evidence` it says where the audit stands in the chain, and is signed, unless the key can not be used: that is
    logged. Each file appears whole or not at all. Raises `ConfigError` when the directory is missing or can not be
    written.
    """
    base = evidence_base(path)
    document: Mapping[str, Any] = {**report, "history": [dict(item) for item in history]}
    if evidence is not None:
        document = _signed(document, evidence)
    contents = {
        base.with_name(f"{base.name}.json"): _json(document),
        base.with_name(f"{base.name}.html"): render_html(document, history, paging=paging),
    }
    written: dict[Path, Path] = {}
    try:
        for target, text in contents.items():
            written[target] = _write_beside(target, text)
        for target, temporary in written.items():
            temporary.replace(target)
    except OSError as error:
        raise ConfigError(
            f"the evidence can not be written to {base.parent} ({error.strerror}): choose another place"
        ) from error
    finally:
        for temporary in written.values():
            with suppress(OSError):  # gone when it was renamed
                temporary.unlink(missing_ok=True)
    json_path, html_path = contents
    return json_path, html_path


def evidence_base(path: Path) -> Path:
    """Return the path without `.json` or `.html`; raises `ConfigError` where no evidence can be written."""
    base = path.with_suffix("") if path.suffix.lower() in (".json", ".html") else path
    if not base.name or path.is_dir():
        raise ConfigError(f"{path} is a directory: name a file in it, such as {path / 'audit.json'}")
    if not base.parent.is_dir():
        raise ConfigError(f"the evidence can not be written to {path}: make the directory {base.parent} first")
    return base


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all; raises `ConfigError` when it can not be written."""
    temporary: Path | None = None
    try:
        temporary = _write_beside(path, text)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise ConfigError(f"{path} can not be written ({error.strerror}): choose another place") from error


def _signed(document: Mapping[str, Any], evidence: Evidence) -> Mapping[str, Any]:
    try:
        kept = None if document["id"] is None else evidence.kept(document["id"])
        return signed_with(evidence, {**document, "kept": kept, "retention": evidence.retention()})
    except SlipstreamError as error:
        logger.warning("the evidence is written without a signature: %s", error)
        return document


def _json(document: Mapping[str, Any]) -> str:
    try:
        return json.dumps(document, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"is not ready for JSON ({error})", field="report") from error


def _write_beside(target: Path, text: str) -> Path:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
