"""What the machine offers: versions, extras, room, and a clock that can be right."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from slipstream._version import __version__
from slipstream.app.composition.doctor.findings import Examination
from slipstream.app.composition.factories import room_of, sqlite_library
from slipstream.app.composition.glimpse import size_bytes

_PACKAGE = "slipstream-pkg"
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_REQUIRED = re.compile(r"[\w.-]+")
_YEAR_MIN = 2026
"""When this was written: an earlier clock is wrong."""
_MB = 1_000_000
_OTHER_SQLITE = "use a Python with SQLite 3.38 or newer, built with FTS5 (as those of python.org and uv are)"


def look_at_machine(found: Examination) -> None:
    """Look at what every PKG needs of a machine."""
    found.ok("slipstream", f"{__version__}, in {Path(__file__).parents[3]}")
    found.ok("python", f"{platform.python_version()} ({sys.executable})")
    found.look("sqlite", lambda: _look_at_sqlite(found), "install a Python whose sqlite3 module works")
    found.look("extras", lambda: _look_at_extras(found), "install slipstream-pkg anew")
    _look_at_clock(found)
    found.look("disk", lambda: _look_at_room(found), "look at the path")


def _look_at_sqlite(found: Examination) -> None:
    version, lacks = sqlite_library()
    if lacks:
        found.fail("sqlite", f"{version}, without {', '.join(lacks)}", _OTHER_SQLITE)
    else:
        found.ok("sqlite", version)


def _look_at_extras(found: Examination) -> None:
    """Tell which extras are installed: a missing one is no fault, and what needs it says so."""
    extras: dict[str, list[str]] = {}
    for line in importlib.metadata.requires(_PACKAGE) or ():
        extra, required = _EXTRA.search(line), _REQUIRED.match(line)
        if extra is not None and required is not None:
            extras.setdefault(extra[1], []).append(required[0])
    there = sorted(extra for extra, names in extras.items() if all(map(_is_installed, names)))
    missing = sorted(extras.keys() - set(there))
    found.ok("extras", f"installed: {', '.join(there) or 'none'}; not installed: {', '.join(missing) or 'none'}")


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return name == "backports.zstd" and importlib.util.find_spec("compression") is not None
    return True


def _look_at_clock(found: Examination) -> None:
    now = datetime.fromtimestamp(time.time(), UTC)
    said = now.isoformat(timespec="seconds")
    if now.year < _YEAR_MIN:
        found.fail("clock", f"{said}: that has passed", "set the clock (timedatectl set-ntp true)")
    else:
        found.ok("clock", said)


def _look_at_room(found: Examination) -> None:
    """Compare the free room with what alerts ask for, and with what a backup would take."""
    place = next(path for path in (found.data, found.directory, *found.directory.absolute().parents) if path.exists())
    free, taken = room_of(place)(), size_bytes(found.data)
    said = f"{free // _MB:,} MB free, the PKG takes {taken // _MB:,} MB"
    if free < 100 * _MB:
        found.fail("disk", said, "make room: writes will fail soon, and nothing that was committed is lost")
    elif free < taken:
        found.warn("disk", f"{said}: a backup on this disk would not fit", "make room, or back up to another disk")
    else:
        found.ok("disk", said)
