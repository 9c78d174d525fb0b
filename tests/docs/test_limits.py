"""The page of limits names settings that there are, and the bounds that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from slipstream.adapters.alerts.memory_file import SLOT_BYTES
from slipstream.app.config import Config
from slipstream.audit.retention import HISTORY_BYTES_MAX, KEPT_MAX
from slipstream.domain.refusals import RefusalLimits
from slipstream.domain.work import ERROR_CHARACTERS_MAX
from slipstream.events.lines import LINE_BYTES_MAX
from slipstream.events.queue import TOPIC_BYTES_MAX
from slipstream.events.refusing import WRONG_AFTER
from slipstream.report.alerts import BACKLOG_MAX

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
_SETTINGS = re.compile(r"^`\[(\w+)\] (\w+)`((?:, `\w+`)*)$")
MIB = 1024 * 1024


def _row(beginning: str) -> str:
    (found,) = [" | ".join(row) for row in ROWS if row[0].startswith(beginning)]
    return found


def test_every_setting_is_one() -> None:
    config, named = Config(), 0
    for row in ROWS[1:]:
        if row[2] and not set(row[2]) <= {"-"}:
            match = _SETTINGS.match(row[2])
            assert match is not None, row
            section = getattr(config, match[1])
            for name in (match[2], *re.findall(r"`(\w+)`", match[3])):
                assert hasattr(section, name), row
                named += 1
    assert named >= 8


def test_every_bound_is_the_codes() -> None:
    limits = RefusalLimits()
    for beginning, value in {
        "one line of an import": f"{LINE_BYTES_MAX // MIB} MiB",
        "what is kept of one refused line": f"{limits.line_bytes:,} bytes",
        "all refused lines": f"{limits.count_max:,} lines, {limits.bytes_max // MIB} MiB",
        "a file that is the wrong one": f"{WRONG_AFTER} lines",
        "the error of a dead letter": f"{ERROR_CHARACTERS_MAX:,} characters",
        "a durable topic": f"{TOPIC_BYTES_MAX // MIB} MiB",
        "audit history": f"{HISTORY_BYTES_MAX // MIB} MiB; {KEPT_MAX} of a kind",
        "undelivered alerts": f"{BACKLOG_MAX} for each sink",
        "the state of the alerts": f"{2 * SLOT_BYTES // 1024} KiB",
    }.items():
        assert f" | {value} | " in _row(beginning) + " | ", beginning


def test_the_defaults_of_the_configuration_are_the_codes() -> None:
    config = Config()
    assert config.dead_letters.limits() == RefusalLimits()
    assert (config.scrub.history_mb * MIB, config.queue.topic_mb * MIB) == (HISTORY_BYTES_MAX, TOPIC_BYTES_MAX)
