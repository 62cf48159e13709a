"""Calls moto without HTTP, which takes most of the time of a call.

Moto still checks each call and executes it. A call that fails is sent again in the usual way, which
makes the error: a failed call of these operations changes nothing.
"""

import base64
import copy
import json
import os
import pickle
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.models import dynamo_type
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes, expressions, validators
from moto.dynamodb.responses import DynamoHandler
from moto.kms.responses import KmsResponse
from moto.sqs import models as sqs_models
from moto.sqs.responses import SQSResponse
from werkzeug.exceptions import HTTPException

_OPERATIONS: dict[type[DynamoHandler | KmsResponse | SQSResponse], tuple[str, ...]] = {
    DynamoHandler: (
        "GetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "Query",
        "Scan",
        "BatchGetItem",
        "BatchWriteItem",
        "TransactWriteItems",
    ),
    KmsResponse: ("Encrypt", "Decrypt", "ReEncrypt", "GenerateMac"),
    SQSResponse: ("SendMessage", "SendMessageBatch", "GetQueueAttributes"),
}
_METHODS = {
    name: (handler, camelcase_to_underscores(name))
    for handler, names in _OPERATIONS.items()
    for name in names
}
# The header in which botocore passes on the variable of Lambda with the trace.
TRACE_HEADER = "X-Amzn-Trace-Id"
TRACE_VARIABLE = "_X_AMZN_TRACE_ID"
# Moto takes no lock between reading and writing an item, so two conditional writes could both succeed.
_LOCK = threading.RLock()


_known_types: dict[Any, tuple[Any, ...]] = {}


def _node_types(processor: Any) -> tuple[Any, ...]:
    kind = type(processor)
    if kind not in _known_types:
        _known_types[kind] = tuple(processor._processing_map())
    return _known_types[kind]


def _saved(table: Table, memo: dict[int, Any]) -> Any:
    """The copy of a table to which moto returns if a transaction fails.

    A transaction changes only the items and the records of the stream.
    """
    saved: Any = object.__new__(type(table))
    vars(saved).update(vars(table))
    saved.items = copy.deepcopy(table.items, memo)
    if table.stream_shard:
        saved.stream_shard = copy.copy(table.stream_shard)
        saved.stream_shard.items = list(table.stream_shard.items)
    return saved


def _all_items(table: Table) -> list[Any]:
    """All items by their keys; Moto compares `DynamoType`s, which it converts in each comparison."""
    if table.range_key_attr:
        items = [item for group in table.items.values() for item in group.values()]
        return sorted(items, key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value))
    return sorted(table.items.values(), key=lambda item: item.hash_key.cast_value)


def _sorted_items(
    table: Table, hash_keys: list[str], range_keys: list[str | None], items: list[Any]
) -> list[Any]:
    names = table._generate_attr_to_sort_by(hash_keys, range_keys)
    return sorted(items, key=lambda item: [item.attrs[name].cast_value for name in names])


parser: Any = vars(expressions)["UpdateExpressionParser"]
traverser: Any = vars(ast_nodes)["DepthFirstTraverser"]
for owner, name, replacement in (
    # Moto does these again in each call, although the result is always the same.
    (sqs_models, "camelcase_to_underscores", cache(camelcase_to_underscores)),
    (parser, "make", cache(parser.make)),
    (traverser, "nodes_to_be_processed", _node_types),
    # Moto copies these with `copy.deepcopy`, which is slow.
    (validators, "deepcopy", lambda expression: pickle.loads(pickle.dumps(expression))),  # noqa: S301
    (Table, "__deepcopy__", _saved),
    (Table, "all_items", _all_items),
    (Table, "sorted_items", _sorted_items),
    (dynamo_type, "Decimal", cache(Decimal)),
):
    setattr(owner, name, replacement)


def call(client: Any, operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
    """The response of an AWS service; `send` makes the call in the usual way."""
    if operation not in _METHODS:
        return send()
    with _LOCK:
        return _called(client, operation, arguments) or send()


def _called(client: Any, operation: str, arguments: Any) -> dict[str, Any] | None:
    model = client.meta.service_model.operation_model(operation)
    if ParamValidator().validate(arguments, model.input_shape).has_errors():
        return None
    kind, method = _METHODS[operation]
    handler: Any = kind()
    handler.current_account, handler.region = DEFAULT_ACCOUNT_ID, client.meta.region_name
    handler.headers = {TRACE_HEADER: os.environ.get(TRACE_VARIABLE)}
    handler.uri_match = {}
    if kind is KmsResponse:
        handler.body = json.dumps(arguments, default=lambda data: base64.b64encode(data).decode())
    else:
        handler.body = handler.params = _copied(arguments)
    try:
        answer = getattr(handler, method)()
    except (HTTPException, ServiceException):
        return None
    result: Any = answer.result if isinstance(answer, ActionResult) else _decoded(answer, model)
    members = {name: _copied(value) for name, value in (result or {}).items() if value is not None}
    return members | {"ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}


def _decoded(answer: str, model: Any) -> Mapping[str, Any]:
    """A response in JSON, in which bytes are base64."""
    members = model.output_shape.members
    return {
        name: base64.b64decode(value) if members[name].type_name == "blob" else value
        for name, value in json.loads(answer).items()
    }


def _copied(value: Any) -> Any:
    """A value as JSON would carry it, with bytes: moto must not share it with the caller."""
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_copied(member) for member in value]
    return value
