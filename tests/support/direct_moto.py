"""Calls moto without HTTP, which takes most of the time of a call, and spares it repeated work.

Moto still checks each call and executes it. A call that fails is sent again in the usual way, which
makes the error: a failed call of these operations changes nothing. `test_direct_moto.py` compares the
results with those of moto itself.
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

from botocore import session
from botocore.client import BaseClient
from botocore.loaders import create_loader
from botocore.utils import merge_dicts, parse_timestamp
from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb import responses
from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser
from moto.dynamodb.models import dynamo_type, utilities
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import bytesize, find_nested_key
from moto.dynamodb.parsing import ast_nodes, expressions, validators
from moto.dynamodb.responses import DynamoHandler
from moto.kms import models as kms_models
from moto.kms.responses import KmsResponse
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sqs import models as sqs_models
from moto.sqs.responses import SQSResponse
from werkzeug.exceptions import HTTPException

_OPERATIONS: dict[type[BaseResponse], tuple[str, ...]] = {
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
    SecretsManagerResponse: ("GetSecretValue",),
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


_nodes: Any = ast_nodes
_is_a: Any = cache(issubclass)
_passed: set[tuple[Any, ...]] = set()
_pickled = cache(pickle.dumps)
_name_size = cache(bytesize)
# DynamoDB's types whose values moto never changes in place.
_FLAT = {"S", "N", "B", "BOOL", "NULL"}
_NOT_ENCODED = _FLAT - {"B"}


def _traversed(processor: Any, root: Any) -> Any:
    """Moto asks `isinstance` for each node and each child. The classes are abstract, so that is slow."""
    processing = processor._processing_map()
    kinds = tuple(processing)
    # No action is part of another action.
    only_actions = kinds == (_nodes.UpdateExpressionSetAction,)
    prepares = isinstance(processor, validators.ExpressionAttributeResolvingProcessor)

    def visit(node: Any, child_id: int = -1) -> Any:
        parent, handled = node.parent, _is_a(type(node), kinds)
        if not (handled and only_actions):
            for index, child in enumerate(node.children or ()):
                if prepares:
                    processor.pre_processing_of_child(node, index)
                if _is_a(type(child), _nodes.Node):
                    visit(child, index)
        if handled:
            node = next(run for kind, run in processing.items() if _is_a(type(node), kind))(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(root)


def _copied_tree(expression: Any) -> Any:
    """A copy of a parsed expression, which `_checked_once` recognizes."""
    if isinstance(expression, DynamoType):
        return copy.deepcopy(expression)
    copied = pickle.loads(_pickled(expression))  # noqa: S301
    copied.original = expression
    return copied


def _checked_once(validator: Any, node: Any) -> Any:
    """Moto repeats these checks, which know only the expression, the names and the keys of the table."""
    check = (type(validator), node.original, repr(vars(validator)))
    if check not in _passed:
        _traversed(validator, node)
        _passed.add(check)
    return node


class _SyntaxParser(ConditionExpressionParser):
    def _make_op_condition(self, node: Any) -> Any:
        return node


@cache
def _syntax(
    expression: str, names: tuple[tuple[str, str], ...] | None, values: tuple[str, ...] | None
) -> tuple[Any, list[str], list[str]]:
    parser = _SyntaxParser(
        expression,
        None if names is None else dict(names),
        None if values is None else {name: {} for name in values},
    )
    return _parse(parser), parser.expr_attr_names_found, parser.expr_attr_values_found


def _parsed(parser: Any) -> Any:
    """The conditions of an expression. Moto parses the same texts again and again."""
    names, values = parser.expression_attribute_names, parser.expression_attribute_values
    if isinstance(parser, _SyntaxParser) or not parser.condition_expression:
        return _parse(parser)
    tree, names_found, values_found = _syntax(
        parser.condition_expression,
        None if names is None else tuple(names.items()),
        None if values is None else tuple(values),
    )
    parser.expr_attr_names_found += names_found
    parser.expr_attr_values_found += values_found
    return parser._make_op_condition(tree)


def _operand(parser: Any, node: Any) -> Any:
    if node.kind == parser.Kind.EXPRESSION_ATTRIBUTE_VALUE:
        return AttributeValue(parser.expression_attribute_values[node.text])
    return _make_operand(parser, node)


def _copied_type(value: Any, memo: object = None) -> Any:
    if value.type in _FLAT:
        return value
    copied = object.__new__(DynamoType)
    copied.type = value.type
    if value.type == "M":
        copied.value = {name: _copied_type(one) for name, one in value.value.items()}
    else:
        copied.value = list(map(_copied_type, value.value) if value.type == "L" else value.value)
    return copied


def _copied_item(item: Any, memo: object = None) -> Any:
    copied = object.__new__(Item)
    copied.hash_key, copied.range_key = item.hash_key, item.range_key
    copied.attrs = LimitedSizeDict()
    dict.update(copied.attrs, {name: _copied_type(one) for name, one in item.attrs.items()})
    return copied


def _make_item(item: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
    """Moto computes the size of an item again with each attribute."""
    item.hash_key, item.range_key, item.attrs = hash_key, range_key, LimitedSizeDict()
    values = {name: DynamoType(value) for name, value in attrs.items()}
    if values:
        name, last = values.popitem()
        dict.update(item.attrs, values)
        item.attrs[name] = last


def _project(item: Any, expressions: list[list[str]]) -> Any:
    """Moto converts the whole item for each expression."""
    wanted = {name for [name, *_] in expressions for name in (name, name.partition("[")[0])}
    part: Any = object.__new__(Item)
    part.attrs = {name: item.attrs[name] for name in wanted & item.attrs.keys()}
    regular = part.to_regular_json()
    result: dict[str, Any] = {}
    for path in expressions:
        merge_dicts(result, find_nested_key(path, regular))
    attrs: Any = dynamo_type.serializer.serialize(result)["M"]
    return Item(item.hash_key, item.range_key, attrs)


def _size(value: Any) -> Any:
    if value.type == "S" and type(value.value) is str:
        return len(value.value) if value.value.isascii() else len(value.value.encode())
    return _any_size(value)


def _set_attribute(attributes: Any, name: str, value: Any) -> None:
    """Moto encodes the names and converts the values of the whole item to see whether it is too large."""
    size = sum(map(_name_size, attributes)) + sum(one.size() for one in attributes.values())
    if size + value.size() < 100_000:
        dict.__setitem__(attributes, name, value)
    else:
        _set_any_attribute(attributes, name, value)


def _as_dict(value: Any) -> Any:
    """Moto first looks for the other kinds of values, also in texts."""
    if type(value) is DynamoType and value.type in _NOT_ENCODED:
        return {value.type: value.value}
    return value if type(value) is str else _any_as_dict(value)


def _paginator(client: Any, operation: str) -> Any:
    """Botocore makes a class with a documentation for each call."""
    found = client._cache.setdefault("paginators", {})
    if operation not in found:
        found[operation] = _make_paginator(client, operation)
    return found[operation]


def _saved(table: Table, memo: dict[int, Any]) -> Any:
    """The copy of a table to which moto returns if a transaction fails.

    A transaction changes only the items and the records of the stream.
    """
    saved: Any = object.__new__(type(table))
    vars(saved).update(vars(table))
    saved.items = copied_items(table.items)
    if table.stream_shard:
        saved.stream_shard = copy.copy(table.stream_shard)
        saved.stream_shard.items = list(table.stream_shard.items)
    return saved


def copied_items(items: Any) -> Any:
    """A copy of all items of a table."""
    copied = copy.copy(items)
    for key, found in items.items():
        copied[key] = (
            {name: _copied_item(one) for name, one in found.items()}
            if isinstance(found, dict)
            else _copied_item(found)
        )
    return copied


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


_parser: Any = vars(expressions)["UpdateExpressionParser"]
_parse: Any = ConditionExpressionParser.parse
_make_operand: Any = ConditionExpressionParser._make_operand
_any_size: Any = DynamoType.size
_set_any_attribute: Any = LimitedSizeDict.__setitem__
_any_as_dict: Any = utilities.dynamo_to_dict
_make_paginator: Any = BaseClient.get_paginator
_PATCHES: Any = (
    # Moto does these again in each call, although the result is always the same.
    (sqs_models, "camelcase_to_underscores", cache(camelcase_to_underscores)),
    (_parser, "make", cache(_parser.make)),
    (_nodes.DepthFirstTraverser, "traverse", _traversed),
    (validators.ActionCountValidator, "traverse", _checked_once),
    (validators.OverlappingPathsValidator, "traverse", _checked_once),
    (validators.UpdateHashRangeKeyValidator, "traverse", _checked_once),
    (ConditionExpressionParser, "parse", _parsed),
    (ConditionExpressionParser, "_make_operand", _operand),
    # Moto copies these with `copy.deepcopy`, which is slow.
    (validators, "deepcopy", _copied_tree),
    (DynamoType, "__deepcopy__", _copied_type),
    (Item, "__deepcopy__", _copied_item),
    (Table, "__deepcopy__", _saved),
    (Table, "all_items", _all_items),
    (Table, "sorted_items", _sorted_items),
    (Item, "__init__", _make_item),
    (Item, "project", _project),
    (DynamoType, "size", _size),
    (LimitedSizeDict, "__setitem__", _set_attribute),
    (utilities, "dynamo_to_dict", _as_dict),
    (responses, "dynamo_to_dict", _as_dict),
    (BaseClient, "get_paginator", _paginator),
    (dynamo_type, "Decimal", cache(Decimal)),
    # Moto makes an RSA key for each key of KMS, although a symmetric key does not need it.
    (kms_models, "generate_private_key", cache(vars(kms_models)["generate_private_key"])),
    # Each session of botocore reads its files again.
    (session, "create_loader", cache(create_loader)),
)
# The attributes of moto and botocore without the patches.
ORIGINALS = [(owner, name, vars(owner).get(name)) for owner, name, _ in _PATCHES]
for _owner, _name, _replacement in _PATCHES:
    setattr(_owner, _name, _replacement)


class _Validator(ParamValidator):
    def _validate(self, params: Any, shape: Any, errors: Any, name: str) -> None:
        """Botocore needs long for a value of DynamoDB that is only a text or a number."""
        if shape.name == "AttributeValue" and type(params) is dict and len(params) == 1:
            [(kind, value)] = params.items()
            if kind in ("S", "N") and type(value) is str:
                return
        super()._validate(params, shape, errors, name)  # type: ignore[misc]


def call(client: Any, operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
    """The response of an AWS service; `send` makes the call in the usual way."""
    if operation not in _METHODS:
        return send()
    with _LOCK:
        return _called(client, operation, arguments) or send()


def _called(client: Any, operation: str, arguments: Any) -> dict[str, Any] | None:
    model = client.meta.service_model.operation_model(operation)
    if _Validator().validate(arguments, model.input_shape).has_errors():
        return None
    kind, method = _METHODS[operation]
    handler: Any = kind()
    handler.current_account, handler.region = DEFAULT_ACCOUNT_ID, client.meta.region_name
    handler.headers = {TRACE_HEADER: os.environ.get(TRACE_VARIABLE)}
    handler.uri_match = handler.querystring = {}
    if kind in (KmsResponse, SecretsManagerResponse):
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
    """A response in JSON, in which bytes are base64 and times are numbers."""
    members = model.output_shape.members
    decoders: dict[str, Any] = {"blob": base64.b64decode, "timestamp": parse_timestamp}
    return {
        name: decoders.get(members[name].type_name, lambda value: value)(value)
        for name, value in json.loads(answer).items()
    }


def _copied(value: Any) -> Any:
    """A value as JSON would carry it, with bytes: moto must not share it with the caller."""
    if type(value) is str:
        return value
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_copied(member) for member in value]
    return value
