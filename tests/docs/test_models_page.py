"""The page about models names every setting of a server, with the default that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from slipstream.adapters.embedders.openai import RequestLimits
from slipstream.adapters.embedders.openai.isolating import _ALL_REFUSED_MIN
from slipstream.adapters.wrappers.probed import DISTANCE_MAX, EVERY_S
from slipstream.app.config import OpenAIConfig, parse_config
from slipstream.engine.settings import SyncSettings
from slipstream.search.asking import PATIENCE_S

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SERVERS = PAGE[PAGE.index("## Servers") : PAGE.index("## Time")]


def test_every_setting_of_a_server_is_there_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", SERVERS, re.MULTILINE))
    fields = OpenAIConfig.model_fields
    assert rows.keys() == fields.keys()
    for name in ("version", "timeout_s", "texts_max", "bytes_max", "too_long"):
        default = fields[name].default
        shown = default if isinstance(default, str) else f"{default:,.0f}"
        assert rows[name].strip('`" ') == shown, name


def test_the_defaults_of_the_configuration_are_the_codes() -> None:
    server, limits = OpenAIConfig(base_url="http://h/v1"), RequestLimits()
    for name in ("texts_max", "bytes_max", "tokens_max", "characters_max", "too_long"):
        assert getattr(server, name) == getattr(limits, name)


def test_the_bounds_are_the_codes_and_the_examples_are_read() -> None:
    assert f"{DISTANCE_MAX:.4f}" in SERVERS
    assert (EVERY_S, PATIENCE_S, _ALL_REFUSED_MIN) == (300, 5, 8)
    assert (SyncSettings().backoff_base_s, SyncSettings().backoff_max_s) == (0.2, 30)
    for example in re.findall(r"```toml\n(.*?)```", SERVERS, re.DOTALL):
        assert parse_config(example).models.openai
