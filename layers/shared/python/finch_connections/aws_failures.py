"""What AWS refuses or fails to do: every call passes here, and what no rule of ours expects is counted."""

from typing import TYPE_CHECKING, Any

from finch_connections import metrics
from finch_connections.log import logger

if TYPE_CHECKING:
    import botocore.session
    from botocore.model import OperationModel

# How the database says that somebody else wrote first.
_EXPECTED = {
    "ConditionalCheckFailed",
    "ConditionalCheckFailedException",
    "TransactionConflict",
    "TransactionConflictException",
}


def watch(session: "botocore.session.Session") -> None:
    """Counts from now on what the clients of a session cannot get done, after all of their attempts."""
    session.register("after-call", _answered)
    session.register("after-call-error", _not_answered)


def _answered(parsed: Any, model: "OperationModel", **_: Any) -> None:
    code = parsed.get("Error", {}).get("Code")
    if not code:
        return
    reasons = {one.get("Code") for one in parsed.get("CancellationReasons", ())} - {"None", None}
    if not (reasons or {code}) <= _EXPECTED:
        _count(model.service_model.service_name, model.name, code)


def _not_answered(exception: BaseException, event_name: str, **_: Any) -> None:
    _, service, operation = event_name.split(".")
    _count(service, operation, type(exception).__name__)


def _count(aws_service: str, operation: str, code: str) -> None:
    logger.warning("aws failed", aws_service=aws_service, operation=operation, reason=code)
    metrics.aws_failed(aws_service, code)
