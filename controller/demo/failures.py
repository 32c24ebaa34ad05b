"""Refusals of the embedded registry, in the form of the distribution specification ("Error Codes")."""

import json
from typing import Final

from aiohttp import web

_STATUSES: Final[dict[int, type[web.HTTPException]]] = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    404: web.HTTPNotFound,
    416: web.HTTPRequestRangeNotSatisfiable,
    429: web.HTTPTooManyRequests,
    503: web.HTTPServiceUnavailable,
}


def failure(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.HTTPException:
    """The exception to raise: `status`, and a body that names `code` (`MANIFEST_UNKNOWN`) and says why.

    Args:
        status: One of 400, 401, 404, 416, 429, 503.
        code: A code of the specification's table.
        message: For people.
        headers: Further response headers.
    """
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]})
    return _STATUSES[status](text=body, content_type="application/json", headers=headers)


def too_large(code: str, limit: int, size: int) -> web.HTTPException:
    """413: `size` bytes came, `limit` are accepted."""
    body = json.dumps({"errors": [{"code": code, "message": f"at most {limit} bytes", "detail": None}]})
    return web.HTTPRequestEntityTooLarge(limit, size, text=body, content_type="application/json")
