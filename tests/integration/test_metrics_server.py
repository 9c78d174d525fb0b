"""The server of metrics: real scrapes of a real engine, and who may scrape it."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipstream.adapters.telemetry.prometheus import METRICS
from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.insights import status_as_dict
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, CorruptionError, UnavailableError
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.engine.settings import SyncSettings
from slipstream.http import serve
from slipstream.http.limits import Limits
from slipstream.http.program import Serving
from slipstream.http.scopes import Scope
from slipstream.http.tokens import read_tokens
from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder
from tests.until import until

TOKEN = "0123456789abcdef-secret"  # noqa: S105  (of this test)


@pytest.fixture
def faults() -> list[BaseException]:
    """What the model raises next."""
    return []


@pytest.fixture
def slip(tmp_path: Path, faults: list[BaseException]) -> Iterator[Slipstream]:
    def hook(name: str) -> None:
        if name == "embed.before" and faults:
            raise faults.pop()

    def faulty(embedder: Embedder) -> Embedder:
        return FaultyEmbedder(embedder, hook)

    options = Options(
        embedders=(HashEmbedder(dimension=16),),
        settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.02, backoff_max_s=0.1),
        wrapping=Wrapping(embedder=faulty),
    )
    with open_pkg(tmp_path / "pkg", create=True, options=options) as slipstream:
        yield slipstream


def _get(server: Serving, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _scraped(server: Serving) -> dict[tuple[str, ...], float]:
    status, headers, body = _get(server, "/metrics")
    assert status == HTTPStatus.OK
    assert headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_a_scrape_shows_what_the_engine_did(slip: Slipstream) -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    with serve(slip, "0", consistency=lambda: ConsistencyMetrics(1.0, {"stale": 0}, at)) as server:
        before = _scraped(server)
        for number in range(50):
            position = slip.pkg.create_entity("Person", f"secret-{number}", {"name": f"n{number}"})
        assert slip.sync.wait(position, 30)
        after = _scraped(server)
        _, _, body = _get(server, "/metrics")
    assert before["slipstream_embeddings_total", "computed"] == 0
    assert after["slipstream_embeddings_total", "computed"] == 50
    assert after["slipstream_events_total", "entity_created", "accepted"] == 50
    assert after["slipstream_sync_lag_seconds_count",] == 50
    assert after["slipstream_sync_lag_seconds_bucket", "+Inf"] == 50
    assert after["slipstream_sync_lag_seconds_sum",] > 0
    assert after["slipstream_sync_lag_events",] == 0
    assert after["slipstream_consistency_ratio",] == 1.0
    assert after["slipstream_last_verified_timestamp_seconds",] == at.timestamp()
    assert after["slipstream_engine_running",] == 1
    assert all(f"# TYPE {spec.name} {spec.kind}\n" in body for spec in METRICS)
    assert "secret" not in body


def test_the_numbers_agree_with_the_status(slip: Slipstream) -> None:
    with serve(slip, "0") as server:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(30)
        scraped, status = _scraped(server), slip.status()
    assert scraped["slipstream_embeddings_total", "computed"] == status.counters["embedded"]
    assert scraped["slipstream_sync_lag_seconds_count",] == status.freshness.count
    assert scraped["slipstream_dead_letters",] == status.dead_letters
    counted = sum(value for key, value in scraped.items() if key[0] == "slipstream_events_total")
    assert counted == status.counters["events"]


def test_scraping_while_the_engine_works(slip: Slipstream) -> None:
    with serve(slip, "0") as server:
        seen: list[float] = []
        done = threading.Event()

        def scrape() -> None:
            while not done.is_set():
                seen.append(_scraped(server)["slipstream_sync_lag_seconds_count",])

        scrapers = [threading.Thread(target=scrape) for _ in range(3)]
        for scraper in scrapers:
            scraper.start()
        for number in range(200):
            position = slip.pkg.upsert_entity("Person", f"p{number}", {"name": f"n{number}"})
        assert slip.sync.wait(position, 60)
        done.set()
        for scraper in scrapers:
            scraper.join()
        assert _scraped(server)["slipstream_sync_lag_seconds_count",] == 200
    assert seen


def test_health_follows_the_engine(slip: Slipstream) -> None:
    with serve(slip, "0") as server:
        assert _get(server, "/healthz")[::2] == (200, "ok\n")
        slip.sync.stop()
        assert _get(server, "/healthz")[::2] == (503, "stopped\n")
        assert _scraped(server)["slipstream_engine_running",] == 0
        slip.sync.start()
        assert _get(server, "/healthz")[::2] == (200, "ok\n")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unwatched_engine_is_unhealthy(slip: Slipstream) -> None:
    class Bug(BaseException):
        pass

    def die() -> None:
        raise Bug

    with serve(slip, "0", consistency=slip.watch.metrics) as server:
        assert _scraped(server)["slipstream_scrub_failing",] == 0
        slip.scrubber.stop()
        slip.scrubber.step = die  # type: ignore[method-assign]
        slip.scrubber.start()
        thread = slip.scrubber._thread
        assert thread is not None
        thread.join(30)
        assert _get(server, "/healthz")[::2] == (503, "unwatched\n")
        assert _scraped(server)["slipstream_scrub_failing",] == 1
        assert status_as_dict(slip)["scrubber"] == "dead"


def test_a_halted_engine_is_unhealthy_and_its_error_stays_inside(
    slip: Slipstream, faults: list[BaseException]
) -> None:
    with serve(slip, "0") as server:
        faults.append(CorruptionError("the secret"))
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        with pytest.raises(CorruptionError):
            slip.sync.wait(position, 30)
        assert _get(server, "/healthz")[::2] == (503, "halted\n")
        assert "the secret" not in _get(server, "/metrics")[2]
        assert _scraped(server)["slipstream_engine_running",] == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_pipeline_is_unhealthy(slip: Slipstream, faults: list[BaseException]) -> None:
    class Bug(BaseException):
        pass

    with serve(slip, "0") as server:
        faults.append(Bug())
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        with pytest.raises(Exception, match="pipeline died"):
            slip.sync.wait(position, 30)
        assert _get(server, "/healthz")[::2] == (503, "dead\n")
        slip.sync.stop()


def test_an_outage_is_healthy_shows_and_ends(slip: Slipstream, faults: list[BaseException]) -> None:
    with serve(slip, "0") as server:
        faults.extend(UnavailableError("the model is down") for _ in range(1_000))
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        with slip.sync.engine.changed:
            assert slip.sync.engine.changed.wait_for(lambda: slip.sync.engine.outage is not None, 30)
        assert _get(server, "/healthz")[0] == HTTPStatus.OK
        during = _scraped(server)
        faults.clear()
        assert slip.sync.wait(position, 30)
        after = _scraped(server)
    assert during["slipstream_engine_outage",] == 1
    assert during["slipstream_queue_depth", "live"] == 1
    assert during["slipstream_retries_total", "UnavailableError"] >= 1
    assert after["slipstream_engine_outage",] == 0


def test_an_outage_that_nobody_waits_for_is_over(slip: Slipstream) -> None:
    engine, failing = slip.sync.engine, threading.Event()

    def chore() -> None:
        if not failing.is_set():
            failing.set()
            raise UnavailableError("the queue is down")

    slip.sync.on_idle = chore
    assert failing.wait(30)
    with engine.changed:
        assert engine.changed.wait_for(lambda: engine.stats.retries["UnavailableError"] and engine.outage is None, 30)


def test_metrics_outlive_the_stores(slip: Slipstream) -> None:
    slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
    assert slip.sync.drain(30)
    with serve(slip, "0") as server:
        slip.close()
        scraped = _scraped(server)
        assert _get(server, "/healthz")[0] == HTTPStatus.SERVICE_UNAVAILABLE
    assert ("slipstream_sync_lag_events",) not in scraped
    assert scraped["slipstream_embeddings_total", "computed"] == 1
    assert (scraped["slipstream_engine_outage",], scraped["slipstream_engine_running",]) == (1, 0)


def test_only_the_loopback_interface_without_a_token(slip: Slipstream) -> None:
    with serve(slip, "0") as server:
        assert server.host == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.port}"
    with serve(slip, "localhost:0") as server:
        assert server.host in {"127.0.0.1", "::1"}
    for host in ("0.0.0.0", "[::]"):  # noqa: S104
        with pytest.raises(ConfigError, match=r"needs a token.*give a token file, or serve on 127\.0\.0\.1"):
            serve(slip, f"{host}:0")


def test_beyond_it_every_request_must_bear_the_token(slip: Slipstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(slip, "0.0.0.0:0", token=TOKEN, only_pages=True) as server:
        for path in ("/metrics", "/readyz"):
            status, headers, _ = _get(server, path)
            assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="slipstream"')
        assert _get(server, "/healthz")[::2] == (200, "ok\n")
        for wrong in ("wrong", "", TOKEN[:-1], TOKEN + "x", "ü" * 8):
            assert _get(server, "/metrics", _bearer(wrong))[0] == HTTPStatus.UNAUTHORIZED
        assert _get(server, "/metrics", {"Authorization": f"Basic {TOKEN}"})[0] == HTTPStatus.UNAUTHORIZED
        assert _get(server, "/metrics", _bearer(TOKEN))[0] == HTTPStatus.OK
        assert _get(server, "/healthz", {"authorization": f"bearer {TOKEN}"})[0] == HTTPStatus.OK
    assert TOKEN not in caplog.text
    assert "wrong" not in caplog.text


def test_a_token_counts_on_the_loopback_interface_too(slip: Slipstream) -> None:
    with serve(slip, "0", token=TOKEN) as server:
        assert _get(server, "/metrics")[0] == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("weak", ["", " ", "guessable"])
def test_a_token_that_is_none_is_refused(slip: Slipstream, weak: str) -> None:
    with pytest.raises(ConfigError, match="the token must be at least 16"):
        serve(slip, "0.0.0.0:0", token=weak)


def test_tokens_are_read_from_files_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    assert read_tokens(path) == {TOKEN: Scope.ADMIN}
    for bad in ("", "short", "two words that are long enough", "ümlaut-in-a-long-token", "owner 0123456789abcdefg"):
        path.write_text(bad)
        with pytest.raises(ConfigError, match="openssl rand -hex 32") as refused:
            read_tokens(path)
        assert not bad or bad not in str(refused.value)
    with pytest.raises(ConfigError, match="can not be read"):
        read_tokens(tmp_path / "absent")


def test_other_paths_and_methods_are_refused(slip: Slipstream) -> None:
    with serve(slip, "0", only_pages=True) as server:
        status, headers, body = _get(server, "/else")
        assert (status, headers["content-type"]) == (404, "application/problem+json")
        assert "known here are /healthz, /metrics, /readyz" in body
        assert headers["server"] == "slipstream"
        assert _get(server, "/metrics?x=1")[0] == HTTPStatus.OK
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            connection.request("POST", "/metrics", body=b"{}", headers={"Content-Type": "application/json"})
            assert connection.getresponse().status == HTTPStatus.METHOD_NOT_ALLOWED


def test_a_page_that_fails_says_so_without_details(slip: Slipstream, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> ConsistencyMetrics:
        raise RuntimeError("the private reason")

    with serve(slip, "0", consistency=broken) as server:
        status, _, body = _get(server, "/metrics")
        assert status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert "see its log" in body
        assert "private" not in body
    assert "the private reason" in caplog.text


def test_an_oversized_request_is_refused(slip: Slipstream) -> None:
    with serve(slip, "0") as server:
        status, _, _ = _get(server, "/metrics", {"X-Long": "x" * Limits().header_bytes})
        assert status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        assert _get(server, "/metrics")[0] == HTTPStatus.OK


def test_a_slow_request_is_ended_however_it_trickles(slip: Slipstream) -> None:
    with (
        serve(slip, "0", limits=Limits(header_s=0.3)) as server,
        closing(socket.create_connection(("127.0.0.1", server.port), timeout=60)) as connection,
    ):
        connection.sendall(b"GET /metrics HTTP/1.0\r\nX-Slow: ")
        assert connection.recv(100) == b""
        assert _get(server, "/metrics")[0] == HTTPStatus.OK


def test_a_taken_port_and_an_impossible_address_are_configuration_errors(slip: Slipstream) -> None:
    with serve(slip, "0") as server:
        with pytest.raises(ConfigError, match="choose another"):
            serve(slip, f"{server.port}")
        with pytest.raises(ConfigError, match="use an IP address"):
            serve(slip, "no such host:0")


def test_closing_frees_the_port_and_ends_the_threads(slip: Slipstream) -> None:
    before = threading.active_count()
    server = serve(slip, "0")
    assert _get(server, "/healthz")[0] == HTTPStatus.OK
    server.close()
    server.close()
    until(lambda: threading.active_count() == before, "the end of its threads")
    with pytest.raises(ConnectionRefusedError):
        _get(server, "/healthz")
    serve(slip, f"{server.port}").close()
