"""Metrics of failed AWS calls: an observer of all calls that counts each unexpected error."""

from typing import TYPE_CHECKING, Any

from finch_connections import metrics
from finch_connections.log import logger

if TYPE_CHECKING:
    import botocore.session
    from botocore.model import OperationModel

# DynamoDB's codes for a write that lost to another write, which our rules expect.
_EXPECTED = {
    "ConditionalCheckFailed",
    "ConditionalCheckFailedException",
    "TransactionConflict",
    "TransactionConflictException",
}


def watch(session: "botocore.session.Session") -> None:
    """Makes the session's clients count each failed call, after its last retry."""
    session.register("after-call", _answered)
    session.register("after-call-error", _not_answered)


def _answered(**call: Any) -> None:
    code = call["parsed"].get("Error", {}).get("Code")
    if not code:
        return
    reasons = {one.get("Code") for one in call["parsed"].get("CancellationReasons", ())}
    if not ((reasons - {"None", None}) or {code}) <= _EXPECTED:
        model: OperationModel = call["model"]
        _count(model.service_model.service_name, model.name, code)


def _not_answered(**call: Any) -> None:
    _, service, operation = call["event_name"].split(".")
    _count(service, operation, type(call["exception"]).__name__)


def _count(aws_service: str, operation: str, code: str) -> None:
    logger.warning("aws failed", aws_service=aws_service, operation=operation, reason=code)
    metrics.aws_failed(aws_service, code)
