"""Pieces that the OpenAPI document is made of."""

from __future__ import annotations

from typing import Any, Final

JSON: Final = "application/json"


def parameter(
    name: str, place: str, schema: dict[str, Any], description: str = "", *, required: bool = False
) -> dict[str, Any]:
    """One parameter of a path, a query or the headers."""
    told: dict[str, Any] = {"name": name, "in": place, "schema": schema}
    if place == "path" or required:
        told["required"] = True
    return {**told, "description": description} if description else told


def problems(*statuses: str) -> dict[str, Any]:
    """The answers of a route when something is wrong."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "A problem", "content": content} for status in statuses}


def reference(schema: str) -> dict[str, Any]:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{schema}"}


def json_body(schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """What a request carries."""
    return {"required": required, "content": {JSON: {"schema": schema}}}
