"""
Every operation of the API against its own description, by schemathesis: what is described is what is answered.

Requests are made from the OpenAPI document, right ones and wrong ones. Each answer must have a status, a type and a
body that the document tells of; none may be a fault of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import allow_header_conformance, not_a_server_error, positive_data_acceptance

from slipstream.http.app import build_app
from slipstream.http.served import Registry, Served
from tests.integration.http_running import Running, running

EXAMPLES = 2
"""Of each operation, beside the bounds of its description, which schemathesis tries one by one."""
TOO_LARGE = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
SHARED = "/v1/entities/get"
"""An entity may have the id `get`, so this path has its methods too."""
WAITING = ("/v1/search", "/v1/wait")
ENDLESS = "/v1/changes/stream"
_HURRY_S = 0.01


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("pkg"), backups=tmp_path_factory.mktemp("backups")) as made:
        with made.slipstream.pkg.transaction() as tx:
            for number in range(20):
                tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
            tx.relate("p0", "KNOWS", "p1")
        yield made


def _described() -> Any:
    """Return the description of a server, which is the same for every PKG."""
    app = build_app(Registry({"test": Served("test", Path())}))
    return schemathesis.openapi.from_dict(app.openapi()).exclude(path=ENDLESS)


api = _described()


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_it_is_described(slip: Running, case: Case[Any]) -> None:
    _hurry(case)
    answer = case.call(base_url=f"http://127.0.0.1:{slip.api.port}")
    if answer.status_code in TOO_LARGE:
        assert answer.headers["content-type"] == ["application/problem+json"]
        return
    # What the description can not say is refused: Cypher that is none, a key that came with another body.
    excluded = [positive_data_acceptance, not_a_server_error]
    if case.path == SHARED:
        excluded.append(allow_header_conformance)
    case.validate_response(answer, excluded_checks=excluded)
    assert answer.status_code != HTTPStatus.INTERNAL_SERVER_ERROR, answer.text  # others, as 501, are described


def _hurry(case: Case[Any]) -> None:
    """Let nothing be waited for; what may not be asked is left as it is."""
    for part, most_s in ((case.query, 60), (case.body, 60 if case.path in WAITING else 30)):
        if not isinstance(part, dict):
            continue
        for name in ("wait_s", "timeout_s"):
            value = part.get(name, 1.0 if case.path in WAITING and name == "timeout_s" else None)
            if isinstance(value, int | float) and not isinstance(value, bool) and _HURRY_S < value <= most_s:
                part[name] = _HURRY_S
