"""Metrics of outcomes, written as log lines that CloudWatch turns into metrics.

This needs no AWS call ("Embedded metric format" in CloudWatch's guide). The dimensions have few values:
the stack, a route, a stable code. No dimension identifies a customer.
"""

from typing import Literal

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = "FinchConnections"
# The number of calls by route, or by function for a function without routes, and by outcome.
OUTCOMES = "Outcomes"
# For each call of Finch 1 if Finch was unavailable, else 0. The average is the failure rate.
FINCH_FAILURES = "FinchFailures"
FINCH_TIME = "FinchTime"
# The number of failed AWS calls, even if the request that made the call succeeded.
AWS_FAILURES = "AwsFailures"
# Once a day: the Finch connections that Finch bills, and those of them that no backend uses.
LIVE_CONNECTIONS = "LiveConnections"
IDLE_CONNECTIONS = "IdleConnections"

OK = "ok"

type _Values = dict[str, tuple[MetricUnit, float]]
type _Dimension = Literal["route", "outcome", "aws_service"]


def count(route: str, outcome: str, times: int = 1) -> None:
    """Counts an outcome of a route, or of a function without routes."""
    both: dict[_Dimension, str] = {"route": route, "outcome": outcome}
    _write({OUTCOMES: (MetricUnit.Count, times)}, {"outcome": outcome}, both)


def finch_called(outcome: str, *, failed: bool, seconds: float) -> None:
    """Counts a call of Finch and its duration. `failed` means that Finch was unavailable."""
    values: _Values = {
        FINCH_FAILURES: (MetricUnit.Count, int(failed)),
        FINCH_TIME: (MetricUnit.Milliseconds, round(seconds * 1000)),
    }
    _write(values, {"outcome": outcome})


def aws_failed(aws_service: str, outcome: str) -> None:
    """Counts a failed AWS call. `outcome` is AWS's error code."""
    values: _Values = {AWS_FAILURES: (MetricUnit.Count, 1)}
    both: dict[_Dimension, str] = {"aws_service": aws_service, "outcome": outcome}
    _write(values, {"aws_service": aws_service}, both)


def counted(*, live: int, idle: int) -> None:
    """Writes the daily figures of Finch connections."""
    _write({LIVE_CONNECTIONS: (MetricUnit.Count, live), IDLE_CONNECTIONS: (MetricUnit.Count, idle)})


def _write(values: _Values, *dimension_sets: dict[_Dimension, str]) -> None:
    """Writes one line with these values for each set of dimensions, and for the service as a whole."""
    line = EphemeralMetrics(namespace=NAMESPACE)
    for name, (unit, value) in values.items():
        line.add_metric(name, unit, value)
    # Powertools' Logger uses the same name for a service without a name.
    service = line.service or "service_undefined"
    for dimensions in dimension_sets:
        line.add_dimensions(service=service, **dimensions)
    line.flush_metrics()
