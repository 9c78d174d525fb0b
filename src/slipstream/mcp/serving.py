"""The tools, by the SDK's low-level server: arguments reach us as they were sent, and each grant has its own list."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import anyio
import anyio.to_thread
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from mcp_types import Tool as ToolShown

from slipstream._version import __version__
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import SlipstreamError
from slipstream.mcp.arguments import parsed
from slipstream.mcp.resources import RESOURCES, read_resource
from slipstream.mcp.results import Result
from slipstream.mcp.schemas import input_schema, output_schema
from slipstream.mcp.telling import UNEXPECTED, told
from slipstream.mcp.tools import INSTRUCTIONS, TOOLS, Tool

logger = logging.getLogger(__name__)

CALLS_MAX = 16
"""How many calls run at a time; others wait for their turn."""
_LISTED_MS = 60_000
_READ_ONLY = "you may only read: a person starts `slipstream mcp` with --write, or gives a token that may write"

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request may use: the PKG (which may raise while it is being opened anew), and whether it may write."""

    opened: Callable[[], Slipstream]
    may_write: bool


class Granting(Protocol):
    """Says what a request may use; over HTTP it gets the request, over stdio None."""

    def __call__(self, request: Any) -> Grant:
        """Return the grant of this request."""
        ...


def build_server(granting: Granting) -> Server[Any]:
    """Return the server of all tools and resources."""
    handlers = _Handlers(granting)
    return Server(
        "slipstream",
        version=__version__,
        title="Slipstream",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(_LISTED_MS), "resources/list": CacheHint(_LISTED_MS)},
        get_tool_input_schema=_input_schema,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_resource_templates,
        on_read_resource=handlers.read_resource,
    )


class _Handlers:
    """Answers the requests of the protocol."""

    def __init__(self, granting: Granting) -> None:
        self._granting = granting
        self._turns = anyio.CapacityLimiter(CALLS_MAX)

    async def list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        del params
        grant = self._granting(context.request)
        return ListToolsResult(tools=[_shown(tool) for tool in TOOLS.values() if grant.may_write or not tool.writes])

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        tool, grant = TOOLS.get(params.name), self._granting(context.request)
        if tool is None:
            there = [tool.name for tool in TOOLS.values() if grant.may_write or not tool.writes]
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:100]!r}, but {', '.join(there)}")
        if tool.writes and not grant.may_write:
            return _failed(f"{tool.name} writes, and {_READ_ONLY}")
        try:
            return _answered(await self._run(partial(_called, tool, grant, params.arguments or {})))
        except SlipstreamError as error:
            return _failed(told(error))
        except MCPError:
            raise
        except Exception:
            logger.exception("the tool %s failed", tool.name)
            return _failed(UNEXPECTED)

    async def list_resources(self, context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        del context, params
        return ListResourcesResult(
            resources=[
                Resource(
                    uri=found.uri,
                    name=found.name,
                    title=found.title,
                    description=found.description,
                    mime_type="application/json",
                )
                for found in RESOURCES.values()
            ]
        )

    async def list_resource_templates(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """None: ids travel as arguments of tools, for a path can not carry every id."""
        del context, params
        return ListResourceTemplatesResult(resource_templates=[])

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri, grant = str(params.uri), self._granting(context.request)
        found = RESOURCES.get(uri)
        if found is None:
            raise MCPError(INVALID_PARAMS, f"there is no resource {uri[:200]!r}, but {', '.join(RESOURCES)}")
        try:
            text = await self._run(lambda: read_resource(found, grant.opened()))
        except SlipstreamError as error:
            raise MCPError(-32603, told(error)) from None
        contents = TextResourceContents(uri=uri, mime_type="application/json", text=text)
        return ReadResourceResult(contents=[contents])

    async def _run(self, call: Callable[[], Any]) -> Any:
        # A call that is given up (the client has gone) is left to its thread: each ends within a bound of its own.
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._turns)


def _called(tool: Tool, grant: Grant, given: dict[str, Any]) -> Result:
    asked = parsed(tool.takes, given)
    return tool.run(grant.opened(), asked)


def _answered(result: Result) -> CallToolResult:
    structured = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def _input_schema(name: str) -> Mapping[str, Any] | None:
    """Return what the SDK asks for at each call over HTTP; it would list all tools for it."""
    return _shown(TOOLS[name]).input_schema if name in TOOLS else None


@cache
def _shown(tool: Tool) -> ToolShown:
    return ToolShown(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool.takes),
        output_schema=output_schema(tool.returns),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=not tool.writes,
            destructive_hint=tool.destroys,
            idempotent_hint=True,  # a repeated write is refused, or changes nothing more
            open_world_hint=False,
        ),
    )
