"""Shows a customer's connections, and answers requests for routes that do not exist."""

import base64
import json
import re
from http import HTTPStatus

from finch_connections import cold_start
from finch_connections.aws import connection_table
from finch_connections.aws.connection_table import Page
from finch_connections.domain.connection import (
    CompanyKey,
    ConnectionNotFound,
    UnusableIdentifier,
    require_key,
    require_statuses,
)
from finch_connections.domain.errors import InvalidRequest
from finch_connections.web import api
from finch_connections.web.api import Request, Response
from finch_connections.web.connection_response import ConnectionResponse, connection_response

_DEFAULT_LIMIT = 50
_LIMIT = re.compile("[1-9][0-9]?|100")
# Lambda's limit for a response is 6 MB. Connections with thousands of entities come on more pages.
_MOST_BYTES = 4_000_000


def _list(request: Request) -> Response:
    customer_id, query = request.customer_id, request.query
    page = connection_table.from_settings().page(
        customer_id,
        limit=_limit(query["limit"]) if "limit" in query else _DEFAULT_LIMIT,
        after=_read_cursor(query["cursor"]) if "cursor" in query else None,
        statuses=require_statuses(query["status"]) if "status" in query else frozenset(),
    )
    shown, last = _that_fit(page)
    body = {"connections": shown, "next_cursor": _cursor(last) if last else None}
    return api.answer(HTTPStatus.OK, body)


def _that_fit(page: Page) -> tuple[list[ConnectionResponse], CompanyKey | None]:
    """The first connections of a page that fit into a response, and the last of them if more follow."""
    shown: list[ConnectionResponse] = []
    room = _MOST_BYTES
    for one in page.connections:
        response = connection_response(one)
        room -= len(json.dumps(response))
        if shown and room < 0:
            return shown, page.connections[len(shown) - 1].key
        shown.append(response)
    return shown, page.last


def _show(request: Request) -> Response:
    key = require_key(request.path["provider_id"], request.path["company_id"])
    connection = connection_table.from_settings().show(request.customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    return api.answer(HTTPStatus.OK, connection_response(connection))


def _limit(text: str) -> int:
    if not _LIMIT.fullmatch(text):
        raise InvalidRequest("limit must be a whole number from 1 to 100.")
    return int(text)


def _cursor(last: CompanyKey) -> str:
    # Only a position in the caller's own list: the customer always comes from the access token.
    return base64.urlsafe_b64encode(str(last).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> CompanyKey:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return CompanyKey.parse(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (ValueError, UnusableIdentifier) as error:
        raise InvalidRequest("cursor must be the next_cursor of the previous page.") from error


list_connections = api.function(
    {"GET /connections": _list, "GET /connections/{provider_id}/{company_id}": _show}
)

cold_start.ready(connection_table.from_settings)
