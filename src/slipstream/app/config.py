"""The configuration file `slipstream.toml`: what it may hold, and errors that name what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from slipstream.app.config_errors import refused, without_field
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.feed_changes import FeedOptions
from slipstream.domain.refusals import RefusalLimits
from slipstream.ports.feed import Retention
from slipstream.quality.comparison import QualityGate
from slipstream.report.alert_rules import AlertThresholds
from slipstream.search.weights import FusionWeights
from slipstream.views.config import parse_views

CONFIG_NAME = "slipstream.toml"
OLD_KIND = (
    "this PKG was made by a version that kept its graph in ladybug, which this one does not read: import its source "
    "into a new directory, or move it as docs/moving.md says"
)

TEMPLATE = """\
# Slipstream: a property graph and the vector index directly behind it. Every value here is the default, but
# for the model: that one is chosen for the processor of the machine on which `init` is run.

[graph]
adapter = "sqlite"           # .slipstream/graph.db: any number of processes, any program (docs/graph.md)
sync_states = true           # keep a table sync_state beside the graph: how each entity stands in the index
log_kept_mb = 64             # of the change log, when all who follow it have read it; at most log_kept_days old
log_kept_days = 7
log_limit_mb = 1024          # past it what nobody has read yet goes too, and who missed it compares everything

[query]                      # limits of `query`, Cypher and SQL
timeout_s = 30
memory_mb = 1500             # of the process that holds the Cypher mirror
rows_max = 100000

[index]
adapter = "sqlite"           # "sqlite" (exact, journal and index in one file) or "chroma" (embedded)

[models]
default = "minilm-l6-v2"     # all-MiniLM-L6-v2, 384-d, in float32; "minilm-l6-v2-int8": faster where there is VNNI;
                             # "wordllama-l2": static, 256-d, fast (extra `static`). A change is a migration
cache_mb = 256               # size limit of the embedding cache on disk; 0 switches it off

# [models.routes]            # entity type = model
# CodeEntity = "wordllama-l2"

# [models.openai.nomic-embed-text]  # a model of an OpenAI-compatible server (Ollama, TEI, vLLM), by its name there
# base_url = "http://127.0.0.1:11434/v1"
# version = "1"              # of the weights behind that name; all settings: docs/models.md

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
history_mb = 64              # of kept audits with the keys that they name; the oldest go, the newest stays

[brake]                      # a repair of more than this that no commit explains waits: `slipstream repair --confirm`
share = 0.05                 # of the records in the index
records_min = 100            # but never fewer than these

# [search.weights]           # how much each arm counts; measured by `slipstream quality search --tune`
# keyword = 0.4              # of a hit that has all of the query's words
# fuzzy = 0.6                # of a name that is one edit away
# corrected = 0.8            # of the best hit of the query as it is spelled right

[migration]
grace_s = 86400              # after a cut-over, how long the old generation is kept for a roll-back

[quality]
reembed_confidence_gain = 0.1  # a record whose extraction_confidence rose by more is embedded anew; 1: never
# overlap_min = 0.5          # a cut-over is vetoed below these (mean overlap@10, tau-b, recall@10, nDCG@10); see docs
# rank_correlation_min = 0.2
# recall_min = 0.9
# ndcg_min = 0.8
# worse_max = 0.01           # recall@5 of no class of questions may be worse by more, by its 95 % interval

[dead_letters]               # of lines that an import or apply refuses; past this they are counted by reason
line_bytes = 4096            # kept of each; a longer one can not be replayed from what is left
lines_max = 1000
lines_mb = 16

# [feed]                     # what a change feed does not say of itself; see docs/events.md
# id_prefix = "{space}:"     # put before names to make ids: {space}, {source}, {schema}, {type}
# key_columns = { note = ["id"] }         # table = its key, for messages that come without one
# tables = { event_2025 = "event" }       # partition = its table
# unsent_nulls = { note = ["vector"] }    # columns whose null in an update says that they were not sent

[queue]
topic_mb = 256               # may wait in each topic; past it publishing is refused

[alerts]                     # told once for each incident, and when it is over
consistency_min = 0.999
lag_s_max = 1.0
dead_letters_max = 0
disk_free_mb_min = 100
# webhook = "https://example.org/hooks/slipstream"   # each alert is posted there as JSON
"""


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
File = Annotated[Path, Field(strict=False)]
Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
_ADDRESS = "an address that begins with http:// or https://"


class _Section(BaseModel):
    """One table of the file, also when made in Python; raises `InvalidInputError` that names the wrong key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    if not TYPE_CHECKING:  # type checkers see the constructor with every key

        def __init__(self, /, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise refused(type(self), error) from None  # the cause repeats the input, maybe a secret


class GraphConfig(_Section):
    """`[graph]`."""

    adapter: Literal["sqlite"] = "sqlite"
    sync_states: bool = True
    """Write back how each entity stands in the index, to be queried with SQL; off, the view is emptied."""
    log_kept_mb: Count = 64
    log_kept_days: Weight = 7.0
    """What of the log is older goes, when all who follow it have read it."""
    log_limit_mb: Some = 1024

    @model_validator(mode="before")
    @classmethod
    def _is_not_of_the_old_kind(cls, data: Any) -> Any:
        if isinstance(data, dict) and (data.get("adapter") == "ladybug" or "buffer_pool_mb" in data):
            raise ValueError(OLD_KIND)
        return data

    def retention(self) -> Retention:
        """Return how much of the change log is kept."""
        return Retention(
            kept_bytes=self.log_kept_mb * 1024 * 1024,
            kept_s=self.log_kept_days * 86_400,
            limit_bytes=self.log_limit_mb * 1024 * 1024,
        )


class QueryConfig(_Section):
    """`[query]`."""

    timeout_s: SomeSeconds = 30.0
    """A query that takes longer is ended."""
    memory_mb: Annotated[int, Field(ge=512)] = 1500
    rows_max: Some = 100_000
    """Rows of an answer; a query with more is ended."""


class IndexConfig(_Section):
    """`[index]`."""

    adapter: Literal["sqlite", "chroma", "chroma-server"] = "sqlite"
    host: Name = "127.0.0.1"
    """Of the server, for `chroma-server`."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """Of the server, for `chroma-server`."""


class FusionConfig(_Section):
    """`[models.fusion]`."""

    content: Weight = 0.6
    """Weight of what the event's text says."""
    time: Weight = 0.3
    """Weight of when it was."""
    causes: Weight = 0.1
    """Weight of what led to it."""


class OpenAIConfig(_Section):
    """`[models.openai.<model>]`: a model of an OpenAI-compatible server; see `RequestLimits` for its limits."""

    base_url: Address = Field(description=_ADDRESS)
    """Where the server answers, with or without `/v1`."""
    model: Name | None = None
    """Its name at the server, when that is another one."""
    version: Name = "1"
    """Names the weights behind that name: part of the model's identity, as no server tells when they change."""
    dimension: Some | None = None
    """What each vector must have; with it, opening needs no server."""
    api_key_file: File | None = None
    """A file that holds the key: secrets have no place in a configuration file."""
    timeout_s: SomeSeconds = 30.0
    """For one request."""
    texts_max: Some = 32
    """Texts in a request."""
    bytes_max: Some = 1_000_000
    """Bytes of text in a request."""
    tokens_max: Some | None = None
    """Tokens in a request, at four characters to a token."""
    characters_max: Some | None = None
    """Of a longer text the beginning is embedded; part of the model's identity too."""
    too_long: Literal["cut", "refuse"] = "cut"
    """What becomes of a text that the server calls too long: its beginning is embedded, or it is a dead letter."""


class OnnxConfig(_Section):
    """`[models.onnx.<name>]`: a local directory with model.onnx and tokenizer.json."""

    directory: File
    """Where `model.onnx` and `tokenizer.json` are."""


class ScrubConfig(_Section):
    """`[scrub]`: audits in the background of a running engine."""

    enabled: bool = True
    """Whether a running engine audits by itself."""
    incremental_every_s: Seconds = 60.0
    full_every_s: Seconds = 24 * 3600.0
    sample_every_s: Seconds = 6 * 3600.0
    sample_size: Some = 200
    """Records of one sample."""
    core_share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.02
    repair: Names = ("missing", "orphaned", "stale", "outdated", "wrong_model", "duplicate", "corrupt")
    """Which divergence classes are mended without being asked, within the brake."""
    history_mb: Count = 64
    """What all kept audits and their findings may take together; the newest one always stays."""


class BrakeConfig(_Section):
    """`[brake]`: what may be deleted or embedded anew although no commit says so; see `BrakeSettings`."""

    share: Share = 0.05
    records_min: Count = 100

    def settings(self) -> BrakeSettings:
        """Return the limits."""
        return BrakeSettings(share=self.share, records_min=self.records_min)


class DeadLettersConfig(_Section):
    """`[dead_letters]`: how much is kept of lines that are refused; see `RefusalLimits`."""

    line_bytes: Count = 4_096
    lines_max: Count = 1_000
    """Lines that are kept."""
    lines_mb: Count = 16
    """What the kept lines may take together."""

    def limits(self) -> RefusalLimits:
        """Return the limits."""
        return RefusalLimits(
            line_bytes=self.line_bytes, count_max=self.lines_max, bytes_max=self.lines_mb * 1024 * 1024
        )


class FeedConfig(_Section):
    """`[feed]`: what a change feed does not say of itself; see `FeedOptions`."""

    id_prefix: str | None = None
    key_columns: dict[str, Annotated[Names, Field(min_length=1)]] = Field(default_factory=dict)
    tables: dict[str, str] = Field(default_factory=dict)
    unsent_nulls: dict[str, Names] = Field(default_factory=dict)

    def options(self) -> FeedOptions:
        """Return the options."""
        return FeedOptions(**dict(self))


class QueueConfig(_Section):
    """`[queue]`: the durable topics."""

    topic_mb: Some = 256
    """What may wait in each topic; past it publishing is refused until its subscriber has taken some."""


class AlertsConfig(_Section):
    """`[alerts]`: limits, and a hook that is told; see `AlertThresholds`."""

    consistency_min: Share = 0.999
    """A smaller share of right records in the last audit fires."""
    lag_s_max: Seconds = 1.0
    """A mutation that has waited longer fires."""
    dead_letters_max: Count = 0
    """More dead letters fire."""
    scrub_age_s_max: Seconds = 2 * 86_400.0
    disk_free_mb_min: Weight = 100.0
    for_s: Seconds = 10.0
    webhook: Address | None = Field(default=None, description=_ADDRESS)
    webhook_token_file: File | None = None
    """A file that holds the token that is sent with each alert, as a bearer."""

    def thresholds(self) -> AlertThresholds:
        """Return the limits; raises `InvalidInputError` that names the wrong one."""
        return AlertThresholds(**self.model_dump(exclude={"webhook", "webhook_token_file"}))


class SyncConfig(_Section):
    """`[sync]`: limits and tempos of the engine; see `SyncSettings`."""

    pending_max: Some = 20_000
    log_page: Some = 1_000
    """Log entries that are read at once."""
    batch_min: Some = 16
    """Keys of the smallest batch, however slow the model is."""
    batch_max: Some = 1_024
    """Keys of the largest batch."""
    batch_target_s: SomeSeconds = 0.25
    background_target_s: SomeSeconds = 0.1
    polite_target_s: SomeSeconds = 0.005
    quiet_after_s: Seconds = 1.0
    attempts_max: Some = 5
    backoff_base_s: SomeSeconds = 0.2
    """How long a key waits for its second attempt; each further one waits about twice as long."""
    backoff_max_s: SomeSeconds = 30.0
    """The longest wait for an attempt."""
    idle_wait_s: SomeSeconds = 0.5
    checkpoint_interval_s: Seconds = 0.05
    fanout_live_max: Some = 1_000


class MigrationConfig(_Section):
    """`[migration]`."""

    grace_s: Seconds = 24 * 3600.0
    """How long the generation that was live before a cut-over is kept, so that a roll-back is possible."""


class QualityConfig(_Section):
    """`[quality]`: when better sources are embedded anew, and what vetoes a cut-over (see `QualityGate`)."""

    reembed_confidence_gain: Share = 0.1
    overlap_min: Share | None = None
    rank_correlation_min: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    """Mean rank correlation of both generations' neighbours."""
    recall_min: Share | None = None
    """Mean recall of the new generation, over queries that say what they expect."""
    mrr_min: Share | None = None
    """Mean reciprocal rank of the new generation, over the same queries."""
    ndcg_min: Share | None = None
    """Mean gain (nDCG) of the new generation, over the same queries."""
    worse_max: Share | None = None
    """How much less of the expected the new generation may find among the first 5, in any class, by its interval."""

    def gate(self) -> QualityGate:
        """Return the thresholds of a cut-over."""
        return QualityGate(**self.model_dump(exclude={"reembed_confidence_gain"}))


class WeightsConfig(_Section):
    """`[search.weights]`: how much each arm of a search counts (see `FusionWeights`)."""

    keyword: Weight = 0.4
    """What a hit adds that has all of the query's words."""
    corrected: Weight = 0.8
    """What the best hit of the query as it is spelled right adds."""
    fuzzy: Weight = 0.6
    """What a name adds that is one slip away."""
    rank_k: Weight = 5.0
    """How little the first ranks differ, where hits of several models are ordered by ranks."""
    rank_depth: Annotated[int, Field(ge=1, le=1_000)] = 30
    """How many hits of each arm count by their rank."""
    rank_vector: Weight = 1.0
    """By ranks: what the vectors of each model count."""
    rank_keyword: Weight = 1.0
    """By ranks: what words count."""
    rank_fuzzy: Weight = 2.0
    """By ranks: what names with slips count."""
    rank_corrected: Weight = 2.0
    """By ranks: what words count as they are spelled right."""
    depth: Annotated[int, Field(ge=1, le=1_000)] = 50
    """How many hits each arm is asked for, unless more are searched for."""


class SearchConfig(_Section):
    """`[search]`."""

    graph_arm: bool = False
    """Whether what is near the best hits in the graph moves up, where a search does not say."""
    reranker: File | None = None
    """The directory of a cross-encoder in ONNX (`model.onnx`, `tokenizer.json`), which reads the best hits again."""
    weights: WeightsConfig = WeightsConfig()

    def fusion(self) -> FusionWeights:
        """Return what puts the arms of a search together."""
        return FusionWeights(**self.weights.model_dump())


class ModelsConfig(_Section):
    """`[models]`."""

    default: Name = "minilm-l6-v2"
    cache_mb: Count = 256
    routes: dict[str, Name] = Field(default_factory=dict)
    """Model by entity type; every other type goes to the default."""
    fusion: FusionConfig = FusionConfig()
    openai: dict[str, OpenAIConfig] = Field(default_factory=dict)
    onnx: dict[str, OnnxConfig] = Field(default_factory=dict)


class Config(_Section):
    """The whole of `slipstream.toml`."""

    graph: GraphConfig = GraphConfig()
    query: QueryConfig = QueryConfig()
    index: IndexConfig = IndexConfig()
    models: ModelsConfig = ModelsConfig()
    migration: MigrationConfig = MigrationConfig()
    quality: QualityConfig = QualityConfig()
    search: SearchConfig = SearchConfig()
    scrub: ScrubConfig = ScrubConfig()
    brake: BrakeConfig = BrakeConfig()
    alerts: AlertsConfig = AlertsConfig()
    dead_letters: DeadLettersConfig = DeadLettersConfig()
    feed: FeedConfig = FeedConfig()
    queue: QueueConfig = QueueConfig()
    sync: SyncConfig = SyncConfig()
    views: dict[str, Any] = Field(default_factory=dict)
    relationship_views: dict[str, Any] = Field(default_factory=dict)


def text_for_new(model: str) -> str:
    """Return the file of a new PKG: the template, with the default model given."""
    return TEMPLATE.replace(f'default = "{ModelsConfig().default}"', f'default = "{model}"', 1)


def parse_config(text: str) -> Config:
    """Parse TOML text; raises `InvalidInputError` that names the wrong field, `ConfigError` for bad TOML."""
    try:
        config = Config(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not TOML: {error}. Correct it there") from error
    config.feed.options()
    parse_views(config.views, config.relationship_views)  # which are read again once they are put in force
    return config


def load_config(directory: Path) -> Config:
    """Read the configuration of a PKG's directory; raises `ConfigError` when there is none."""
    path = directory / CONFIG_NAME
    try:
        path.stat()
    except FileNotFoundError as error:
        raise ConfigError(
            f"{directory} holds no {CONFIG_NAME}: run `slipstream --dir {directory} init` (in Python: create=True)"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} can not be opened ({error.strerror}): choose another directory") from error
    return read_config(path)


def read_config(path: Path) -> Config:
    """Read a configuration file; raises `ConfigError` that names the file, and what is wrong in it."""
    try:
        return parse_config(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(
            f"{path} can not be read: {error.strerror}. See whose it is, and its permissions"
        ) from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{without_field(error)} (in {path})", field=error.field) from error
    except ConfigError as error:
        raise ConfigError(f"{path} {error}") from error
