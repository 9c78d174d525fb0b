"""Evidence: the public key, and audits as they were signed, to be verified by anybody."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from slipstream.http.routes.audits import AuditId
from slipstream.http.served import Pkg
from slipstream.signing.chains import AUDITS_MAX
from slipstream.signing.documents import ALGORITHM, read_public_key

_SIGNED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "As it was signed"}
}


class SigningPublicKey(BaseModel):
    """What is needed to verify what this PKG signs."""

    algorithm: str
    key_id: str = Field(description="The name of the key, which every signature has")
    public_key: str = Field(description="Its 32 bytes, in base64")
    pem: str = Field(description="The same, as a file for `--public-key`")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["evidence"])

    @routes.get("/evidence/key")
    def read_key(slipstream: Pkg) -> SigningPublicKey:
        """Return the public key that evidence and receipts are signed with."""
        found = slipstream.evidence.public_key()
        public = base64.b64encode(read_public_key(found.pem)).decode()
        return SigningPublicKey(algorithm=ALGORITHM, key_id=found.key_id, public_key=public, pem=found.pem)

    @routes.get("/evidence/audits", response_class=Response, responses=_SIGNED)
    def read_chain(
        slipstream: Pkg, limit: Annotated[int, Query(ge=1, le=AUDITS_MAX, description="Audits, the newest")] = 50
    ) -> Response:
        """Return the newest kept audits as one signed document, oldest first, for `slipstream evidence verify`."""
        return _as_signed(slipstream.evidence.chain(limit))

    @routes.get("/audits/{audit_id}/evidence", response_class=Response, responses=_SIGNED)
    def read_evidence(slipstream: Pkg, audit_id: AuditId) -> Response:
        """Return a kept audit as it was signed, for `slipstream evidence verify`."""
        return _as_signed(slipstream.evidence.audit(audit_id))

    return routes


def _as_signed(document: Mapping[str, Any]) -> Response:
    """Return a document value by value as it is: a model would write its times in another way."""
    return Response(json.dumps(document), media_type="application/json")
