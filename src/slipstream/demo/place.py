"""The folder that the demo works in, and the views that it declares there."""

from __future__ import annotations

import shutil
from pathlib import Path

from slipstream.app.composition import open_pkg
from slipstream.app.composition.factories import model_for_new
from slipstream.app.config import CONFIG_NAME
from slipstream.domain.errors import ConfigError, SlipstreamError, UnavailableError

FOLDER = "slipstream-demo"
MARK = "MADE-BY-SLIPSTREAM-DEMO.txt"
_MARK_TEXT = "`slipstream demo` made this folder and replaces all of it the next time, unless called with --keep.\n"

_VIEWS = """\
# The demo's PKG. Views say which text stands for an entity; types without one: name, description, other texts.

[views.CodeEntity]           # neither path nor line: code that moves embeds nothing
template = "{{ qualified_name }} ({{ kind }}): {{ description }}"

[views.Document]             # the graph keeps all of a README, its vector stands for the beginning
template = "{{ name }}: {{ description[:500] }}"

[views.Package]              # looks at its neighbours: renaming a topic embeds its packages anew
template = "{{ name }}: {{ description }} Topics: {% for t in topics %}{{ t.name }}; {% endfor %}"
[views.Package.via.topics]
relationship = "HAS_TOPIC"
limit = 8
"""


def prepare(directory: Path, *, keep: bool) -> None:
    """
    Make the folder ready: empty, or with `keep` as an earlier demo has left it.

    Only what a demo has made is ever removed; raises `ConfigError` for a folder of somebody else's, and
    `UnavailableError` while another process has it open.
    """
    if directory.exists() and not (directory / MARK).exists():
        raise ConfigError(f"{directory} exists and was not made by a demo: choose another place with --dir")
    if (directory / CONFIG_NAME).exists():
        if keep:
            return
        _ensure_unused(directory)
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    (directory / MARK).write_text(_MARK_TEXT, encoding="utf-8")
    (directory / CONFIG_NAME).write_text(f'{_VIEWS}\n[models]\ndefault = "{model_for_new()}"\n', encoding="utf-8")


def _ensure_unused(directory: Path) -> None:
    try:
        with open_pkg(directory, run=False) as slip:
            is_free = slip.runs_engine
    except UnavailableError:
        raise
    except SlipstreamError:
        return  # too damaged to be open anywhere, and about to be removed
    if not is_free:
        raise UnavailableError(f"{directory} is open in another process: end that one first")
