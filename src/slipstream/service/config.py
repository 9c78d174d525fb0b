"""The configuration file `slipstream.toml`: what it may hold, and what is wrong with it when it is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipstream.consistency.alert_rules import AlertThresholds
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.events import invalid_input
from slipstream.quality.comparison import QualityGate

CONFIG_NAME = "slipstream.toml"

TEMPLATE = """\
# Slipstream: a property graph and the vector index directly behind it. Every value here is the default.

[graph]
adapter = "ladybug"          # embedded Cypher graph, in .slipstream/graph.lbug
sync_states = true           # keep a node table SyncState beside the graph: how each entity stands in the index

[index]
adapter = "sqlite"           # "sqlite" (exact, journal and index in one file) or "chroma" (embedded)

[models]
default = "minilm-l6-v2"     # all-MiniLM-L6-v2, 384-d; "wordllama-l2": static, 256-d, fast (extra `static`)
cache_mb = 256               # size limit of the embedding cache on disk; 0 switches it off

# [models.routes]            # entity type = model
# CodeEntity = "wordllama-l2"

# [models.openai.nomic-embed-text]  # a model of an OpenAI-compatible server (Ollama, TEI, vLLM), by its name there
# base_url = "http://127.0.0.1:11434/v1"

[models.fusion]              # events: weights of content, time and causes
content = 0.6
time = 0.3
causes = 0.1

# [views.Person]             # which text stands for an entity; without a view: "{name}: {description}", then
# template = "{{ name }}. {{ description }} Works at {% for e in employer %}{{ e.name }}{% endfor %}."
# [views.Person.via.employer]
# relationship = "WORKS_AT"
# direction = "out"
# properties = ["name"]
# limit = 3

[sync]
attempts_max = 5             # tries before a key becomes a dead letter

[scrub]                      # audits in the background of a running engine; an interval of 0 switches one off
enabled = true
incremental_every_s = 60     # digests, and what has changed or differs
full_every_s = 86400         # every key and vector, asking no digest
sample_every_s = 21600       # embeds sample_size records anew: a model that changed silently shows
core_share = 0.02            # budget while changes flow, of one core; idle, it takes half of one
repair = ["missing", "orphaned", "stale", "outdated", "wrong_model", "duplicate", "corrupt"]

[migration]
grace_s = 86400              # after a cut-over, how long the old generation is kept for a roll-back

[quality]
reembed_confidence_gain = 0.1  # a record whose extraction_confidence rose by more is embedded anew; 1: never
# overlap_min = 0.5          # a cut-over is vetoed below these (mean overlap@10, tau-b, recall@10, nDCG@10); see docs
# rank_correlation_min = 0.2
# recall_min = 0.9
# ndcg_min = 0.8

[alerts]                     # told once for each incident, and when it is over
consistency_min = 0.999
lag_s_max = 1.0
dead_letters_max = 0
# webhook = "https://example.org/hooks/slipstream"   # each alert is posted there as JSON
"""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GraphConfig(_Section):
    """`[graph]`."""

    adapter: Literal["ladybug"] = "ladybug"
    sync_states: bool = True
    """Write back how each entity stands in the index, to be queried with Cypher; off, the view is emptied."""
    buffer_pool_mb: Annotated[int, Field(ge=64, le=1_000_000)] = 256


class IndexConfig(_Section):
    """`[index]`."""

    adapter: Literal["sqlite", "chroma", "chroma-server"] = "sqlite"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000


class FusionConfig(_Section):
    """`[models.fusion]`."""

    content: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.6
    time: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.3
    causes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1


class OpenAIConfig(_Section):
    """`[models.openai.<model>]`: a model of an OpenAI-compatible server, by the name it has there."""

    base_url: str
    dimension: Annotated[int, Field(ge=1)] | None = None
    api_key_file: Path | None = None
    """A file that holds the key: secrets have no place in a configuration file."""
    timeout_s: Annotated[float, Field(gt=0)] = 30.0


class OnnxConfig(_Section):
    """`[models.onnx.<name>]`: a local directory with model.onnx and tokenizer.json."""

    directory: Path


class ScrubConfig(_Section):
    """`[scrub]`: audits in the background of a running engine."""

    enabled: bool = True
    incremental_every_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    full_every_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 24 * 3600.0
    sample_every_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 6 * 3600.0
    sample_size: Annotated[int, Field(ge=1)] = 200
    core_share: Annotated[float, Field(gt=0, le=1)] = 0.02
    repair: tuple[str, ...] = ("missing", "orphaned", "stale", "outdated", "wrong_model", "duplicate", "corrupt")


class AlertsConfig(_Section):
    """`[alerts]`: limits, and a hook that is told; see `AlertThresholds`."""

    consistency_min: float = 0.999
    lag_s_max: float = 1.0
    dead_letters_max: int = 0
    scrub_age_s_max: float = 2 * 86_400.0
    for_s: float = 10.0
    webhook: str | None = None
    webhook_token_file: Path | None = None

    def thresholds(self) -> AlertThresholds:
        """Return the limits; raises `InvalidInputError` that names the wrong one."""
        return AlertThresholds(**self.model_dump(exclude={"webhook", "webhook_token_file"}))


class MigrationConfig(_Section):
    """`[migration]`."""

    grace_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 24 * 3600.0
    """How long the generation that was live before a cut-over is kept, so that a roll-back is possible."""


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class QualityConfig(_Section):
    """`[quality]`: when better sources are embedded anew, and what vetoes a cut-over (see `QualityGate`)."""

    reembed_confidence_gain: Share = 0.1
    overlap_min: Share | None = None
    rank_correlation_min: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    recall_min: Share | None = None
    mrr_min: Share | None = None
    ndcg_min: Share | None = None

    def gate(self) -> QualityGate:
        """Return the thresholds of a cut-over."""
        return QualityGate(**self.model_dump(exclude={"reembed_confidence_gain"}))


class ModelsConfig(_Section):
    """`[models]`."""

    default: str = "minilm-l6-v2"
    cache_mb: Annotated[int, Field(ge=0)] = 256
    routes: dict[str, str] = Field(default_factory=dict)
    fusion: FusionConfig = FusionConfig()
    openai: dict[str, OpenAIConfig] = Field(default_factory=dict)
    onnx: dict[str, OnnxConfig] = Field(default_factory=dict)


class Config(_Section):
    """The whole of `slipstream.toml`."""

    graph: GraphConfig = GraphConfig()
    index: IndexConfig = IndexConfig()
    models: ModelsConfig = ModelsConfig()
    migration: MigrationConfig = MigrationConfig()
    quality: QualityConfig = QualityConfig()
    scrub: ScrubConfig = ScrubConfig()
    alerts: AlertsConfig = AlertsConfig()
    sync: dict[str, Any] = Field(default_factory=dict)
    views: dict[str, Any] = Field(default_factory=dict)
    relationship_views: dict[str, Any] = Field(default_factory=dict)


def parse_config(text: str) -> Config:
    """Parse TOML text; raises `InvalidInputError` that names the wrong field, `ConfigError` for bad TOML."""
    try:
        return Config.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{CONFIG_NAME} is not TOML: {error}") from error
    except ValidationError as error:
        raise invalid_input(error) from error


def load_config(directory: Path) -> Config:
    """Read the configuration of a PKG's directory; raises `ConfigError` when there is none."""
    path = directory / CONFIG_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{directory} holds no {CONFIG_NAME}: run `slipstream --dir {directory} init`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can not be read: {error}") from error
    try:
        return parse_config(text)
    except InvalidInputError as error:
        raise InvalidInputError(f"{error} (in {path})", field=error.field) from error
