"""Calls moto's DynamoDB without HTTP, which takes most of the time of a call.

Moto still checks each call and executes it. A call that fails is sent again in the usual way, which
makes the error: a failed call of DynamoDB changes nothing.
"""

import threading
from collections.abc import Callable
from typing import Any

from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException

_OPERATIONS = (
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "TransactWriteItems",
)
_METHODS = {name: camelcase_to_underscores(name) for name in _OPERATIONS}
# Moto takes no lock between reading and writing an item, so two conditional writes could both succeed.
_LOCK = threading.RLock()


def call(client: Any, operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
    """The response of DynamoDB; `send` makes the call in the usual way."""
    with _LOCK:
        return _called(client, operation, arguments) or send()


def _called(client: Any, operation: str, arguments: Any) -> dict[str, Any] | None:
    shape = client.meta.service_model.operation_model(operation).input_shape
    if operation not in _METHODS or ParamValidator().validate(arguments, shape).has_errors():
        return None
    handler = DynamoHandler()
    handler.current_account, handler.region = DEFAULT_ACCOUNT_ID, client.meta.region_name
    handler.body = handler.params = _copied(arguments)
    try:
        answer = getattr(handler, _METHODS[operation])()
    except (HTTPException, ServiceException):
        return None
    assert isinstance(answer, ActionResult)
    assert isinstance(answer.result, dict)
    members = {name: _copied(value) for name, value in answer.result.items() if value is not None}
    return members | {"ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}


def _copied(value: Any) -> Any:
    """A value as JSON would carry it, with bytes: moto must not share it with the caller."""
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_copied(member) for member in value]
    return value
