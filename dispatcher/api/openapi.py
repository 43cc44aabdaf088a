"""The description of the API, OpenAPI 3.1, made from the routes and the types they name.

Served at `/v1/openapi.json`. Nothing in it is written by hand twice: a route that is not described
here cannot be called, and a status that a route does not list is not answered.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from pydantic import TypeAdapter

from dispatcher.api.calls import JSON, PROBLEM
from dispatcher.api.front import DESCRIPTION_PATH, KEY_HEADER, KEY_PATTERN
from dispatcher.api.problems import Problem
from dispatcher.api.routes import PATTERNS, Route
from dispatcher.api.table import all_routes
from dispatcher.api.views import NUMBER_MAX
from dispatcher.model.people import Right

_REF: Final = "#/components/schemas/{model}"
_ALWAYS: Final = (400, 401, 403, 429, 503)
_OF_BODIES: Final = (408, 413, 415)
_ABOUT: Final = (
    "The control plane of dispatcher: what may flow, who said so, what is stopped, and what left. "
    "Times are microseconds since 1970, UTC. Lists are paged by `cursor`; objects bear an ETag; a "
    "POST with an Idempotency-Key is done once and answered the same again for a day."
)


@lru_cache(maxsize=1)
def description() -> bytes:
    """Give the document, as it is served."""
    return json.dumps(describe(all_routes()), separators=(",", ":")).encode()


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """Describe routes."""
    adapters: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        ("problem", "serialization", TypeAdapter(Problem))
    ]
    for route in routes:
        adapters.append((f"{route.name} reply", "serialization", route.replies))
        if route.body is not None:
            adapters.append((f"{route.name} body", "validation", route.bodies))
        if route.query is not None:
            adapters.append((f"{route.name} query", "validation", route.queries))
    found, shared = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    schemas: dict[str, Any] = {name: schema for (name, _), schema in found.items()}
    components: dict[str, Any] = shared.get("$defs", {})
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, schemas, components
        )
    paths[DESCRIPTION_PATH] = {"get": _OWN}
    return {
        "openapi": "3.1.0",
        "info": {"title": "dispatcher", "version": version("dispatcher"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


_OWN: Final[dict[str, Any]] = {
    "operationId": "read_description",
    "summary": "Give this document.",
    "security": [],
    "responses": {
        "200": {"description": "OK", "content": {JSON: {"schema": {"type": "object"}}}},
        "304": {"description": "Not Modified"},
    },
}


def _operation(route: Route, schemas: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = route.about.partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": summary,
        "tags": [route.path.split("/")[2]],
        "parameters": _parameters(route, schemas, components),
        "responses": _responses(route, schemas),
    }
    text = f"{more.strip()} Asks for the right to {route.right}.".strip()
    operation["description"] = " ".join(text.split())
    if route.body is not None:
        content = {JSON: {"schema": schemas[f"{route.name} body"]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(
    route: Route, schemas: dict[str, Any], components: dict[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in route.parameters:
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if name == "number":
            schema = {"type": "integer", "minimum": 1, "maximum": NUMBER_MAX}
        elif name in PATTERNS:
            schema = {"type": "string", "pattern": f"^{PATTERNS[name]}$"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    if route.query is not None:
        named = schemas[f"{route.name} query"]
        query = components[named["$ref"].rpartition("/")[2]]
        found.extend(
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in query["properties"].items()
        )
    if route.keeps_replies or route.right is Right.ENQUEUE:
        schema = {"type": "string", "pattern": KEY_PATTERN}
        found.append(
            {"name": KEY_HEADER.title(), "in": "header", "required": False, "schema": schema}
        )
    return found


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {
        "description": HTTPStatus(route.status).phrase,
        "content": {JSON: {"schema": schemas[f"{route.name} reply"]}},
    }
    if route.links:
        good["links"] = {
            name: {"operationId": name, "parameters": dict(parameters)}
            for name, parameters in route.links.items()
        }
    found: dict[str, Any] = {str(route.status): good}
    if route.method == "GET":
        tag = {"ETag": {"required": True, "schema": {"type": "string"}}}
        found |= {"304": {"description": "Not Modified", "headers": tag}}
        good["headers"] = tag
    refusals = {*_ALWAYS, *route.refusals}
    if route.parameters:
        refusals.add(404)
    if route.body is not None:
        refusals.update(_OF_BODIES)
    if route.keeps_replies:
        refusals.add(409)
    for status in sorted(refusals):
        found[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM: {"schema": schemas["problem"]}},
        }
    return found
