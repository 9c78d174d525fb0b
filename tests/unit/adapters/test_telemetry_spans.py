"""Spans for every stage, as OpenTelemetry's own SDK sees them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.embedders.memory_cache import MemoryEmbeddingCache
from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.telemetry.opentelemetry import OpenTelemetryTracer
from slipstream.domain.errors import ConfigError, InvalidInputError, NotRunningError, UnavailableError
from slipstream.domain.positions import Position
from slipstream.engine.settings import SyncSettings
from slipstream.ports.telemetry import NO_SPAN, NO_TRACER, Span, Tracer
from slipstream.search.searcher import Searcher
from slipstream.testkit.system import MemorySystem


class Collected:
    """A tracer and the spans that it made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OpenTelemetryTracer(self.provider)

    def spans(self, name: str) -> Sequence[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def only(self, name: str) -> ReadableSpan:
        (span,) = self.spans(name)
        return span

    def names(self) -> set[str]:
        return {span.name for span in self._exporter.get_finished_spans()}


@pytest.fixture
def collected() -> Collected:
    return Collected()


def _attributes(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


def _is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and parent.context is not None and span.parent.span_id == parent.context.span_id


def _searcher(system: MemorySystem, tracer: Tracer) -> Searcher:
    return Searcher(
        system.graph,
        system.index,
        system.service,
        system.places.live,
        frontier=lambda: system.engine.frontier,
        wait=system.sync.wait,
        tracer=tracer,
    )


def test_one_change_is_one_trace_with_a_span_for_every_stage(collected: Collected) -> None:
    system = MemorySystem(tracer=collected.tracer)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    model = system.embedder.spec.id
    prepare, embed = collected.only("slipstream.prepare"), collected.only("slipstream.embed")
    call, write = collected.only(f"embeddings {model}"), collected.only("slipstream.write")
    assert _is_child(embed, prepare)
    assert _is_child(write, prepare)
    assert _is_child(call, embed)
    assert _attributes(collected.only("slipstream.intake")) == {
        "messaging.system": "slipstream",
        "messaging.operation.name": "receive",
        "messaging.batch.message_count": system.graph.feed.head(),
    }
    store = {"db.system.name": "memory", "db.operation.batch.size": 1}
    assert _attributes(prepare) == store | {"db.operation.name": "read"}
    assert _attributes(write) == store | {"db.operation.name": "upsert"}
    assert _attributes(embed) == {"slipstream.batch.texts": 1}
    assert _attributes(call) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": model,
        "gen_ai.embeddings.dimension.count": 16,
        "slipstream.batch.texts": 1,
    }


def test_the_stages_of_a_batch_are_one_trace_across_the_threads(collected: Collected) -> None:
    clock = SystemClock()
    system = MemorySystem(tracer=collected.tracer, clock=clock, settings=SyncSettings(idle_wait_s=0.02))
    system.graph = MemoryGraph(clock)
    system.reopen()
    with system.graph.transaction() as tx:
        for number in range(64):
            tx.upsert_entity("Person", f"p{number}", {"name": f"n{number}"})
    with system.sync:
        assert system.sync.drain(timeout_s=30)
    prepares = {span.context.span_id: span for span in collected.spans("slipstream.prepare") if span.context}
    writes = collected.spans("slipstream.write")
    assert sum(int(str(_attributes(span)["db.operation.batch.size"])) for span in writes) == 64
    for span in [*writes, *collected.spans("slipstream.embed")]:
        assert span.parent is not None
        assert span.parent.span_id in prepares


def test_a_cached_vector_calls_no_model_and_an_unchanged_one_writes_nothing(collected: Collected) -> None:
    system = MemorySystem(tracer=collected.tracer, cache=MemoryEmbeddingCache())
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.graph.update_entity("ada", {"name": "Augusta"})
    system.settle()
    system.graph.update_entity("ada", {"name": "Ada"})
    system.settle()
    assert len(collected.spans("slipstream.embed")) == 3
    assert len(collected.spans(f"embeddings {system.embedder.spec.id}")) == 2


def test_an_idle_engine_makes_no_spans(collected: Collected) -> None:
    system = MemorySystem(tracer=collected.tracer)
    for _ in range(10):
        system.engine.step()
    assert collected.names() == set()


def test_a_scan_is_an_intake_too(collected: Collected) -> None:
    system = MemorySystem(tracer=collected.tracer)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.engine.request_full_scan()
    system.settle()
    operations = {_attributes(span)["messaging.operation.name"] for span in collected.spans("slipstream.intake")}
    assert operations == {"receive", "scan"}


@pytest.mark.parametrize(
    ("failpoint", "failed"),
    [
        ("graph.read.before", {"slipstream.prepare"}),
        ("embed.before", {"slipstream.embed", "embeddings"}),
        ("index.upsert.before", {"slipstream.write"}),
        ("journal.commit.before", {"slipstream.write"}),
    ],
)
def test_a_failure_is_noted_by_its_class_only(collected: Collected, failpoint: str, failed: set[str]) -> None:
    failing = [UnavailableError("the secret of ada")]

    def hook(name: str) -> None:
        if name == failpoint and failing:
            raise failing.pop()

    system = MemorySystem(tracer=collected.tracer, hook=hook)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    errors = [
        span for name in collected.names() for span in collected.spans(name) if "error.type" in _attributes(span)
    ]
    assert {span.name.split(" ")[0] for span in errors} == failed
    for span in errors:
        assert _attributes(span)["error.type"] == "UnavailableError"
        assert span.status.status_code is StatusCode.ERROR
        assert "secret" not in span.to_json()


def test_a_search_is_a_span_without_its_query(collected: Collected) -> None:
    system = MemorySystem(tracer=collected.tracer)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    assert len(_searcher(system, collected.tracer).search("a private question", 5)) == 1
    search = collected.only("slipstream.search")
    assert _attributes(search) == {
        "db.system.name": "memory",
        "db.operation.name": "search",
        "db.response.returned_rows": 1,
    }
    *_, query = collected.spans(f"embeddings {system.embedder.spec.id}")
    assert _is_child(query, search)
    assert not any("private" in span.to_json() for name in collected.names() for span in collected.spans(name))


def test_a_refused_search_is_no_span_and_one_that_waits_in_vain_is_a_failed_one(collected: Collected) -> None:
    searcher = _searcher(MemorySystem(), collected.tracer)
    with pytest.raises(InvalidInputError):
        searcher.search("")
    assert collected.names() == set()
    with pytest.raises(NotRunningError):
        searcher.search("ada", after=Position(99), timeout_s=0.01)
    assert _attributes(collected.only("slipstream.search"))["error.type"] == "NotRunningError"


def test_the_default_tracer_is_one_shared_nothing() -> None:
    with NO_TRACER.span("any", {"a": 1}) as span:
        span.set("b", 2)
    assert span is NO_SPAN
    assert isinstance(NO_TRACER, Tracer)
    assert isinstance(NO_SPAN, Span)
    assert not hasattr(NO_SPAN, "__dict__")
    with pytest.raises(ValueError, match="goes on"), NO_TRACER.span("any"):
        raise ValueError("goes on")


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"slipstream-pkg\[otel\]"):
        OpenTelemetryTracer()
