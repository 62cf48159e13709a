"""Metrics: how often each outcome was, as lines in the log that CloudWatch makes metrics of.

"Embedded metric format" in CloudWatch's guide: no call of AWS is made. Each metric is told apart by
few words: the stack, a route, a stable code. Never by who it was about.
"""

from typing import Literal

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = "FinchConnections"
# How often a route, or a function that has none, ended so.
OUTCOMES = "Outcomes"
# Of each call of Finch, 1 where Finch was not there for it: their average is the rate of failures.
FINCH_FAILURES = "FinchFailures"
FINCH_TIME = "FinchTime"
# What AWS has refused or failed to do, whatever became of the request that needed it.
AWS_FAILURES = "AwsFailures"

OK = "ok"

type _Values = dict[str, tuple[MetricUnit, float]]
type _Dimension = Literal["route", "outcome", "aws_service"]


def count(route: str, outcome: str, times: int = 1) -> None:
    """Counts how a route, or a function that has none, ended."""
    both: dict[_Dimension, str] = {"route": route, "outcome": outcome}
    _write({OUTCOMES: (MetricUnit.Count, times)}, {"outcome": outcome}, both)


def finch_called(outcome: str, *, failed: bool, seconds: float) -> None:
    """Counts a call of Finch, and how long it took."""
    values: _Values = {
        FINCH_FAILURES: (MetricUnit.Count, int(failed)),
        FINCH_TIME: (MetricUnit.Milliseconds, round(seconds * 1000)),
    }
    _write(values, {"outcome": outcome})


def aws_failed(aws_service: str, outcome: str) -> None:
    """Counts a call of AWS that ended in an error, by AWS's word for it."""
    values: _Values = {AWS_FAILURES: (MetricUnit.Count, 1)}
    both: dict[_Dimension, str] = {"aws_service": aws_service, "outcome": outcome}
    _write(values, {"aws_service": aws_service}, both)


def _write(values: _Values, *dimension_sets: dict[_Dimension, str]) -> None:
    """One line with these values, in each set of dimensions and in the service's own."""
    line = EphemeralMetrics(namespace=NAMESPACE)
    for name, (unit, value) in values.items():
        line.add_metric(name, unit, value)
    # Powertools' Logger calls what has no name the same.
    service = line.service or "service_undefined"
    for dimensions in dimension_sets:
        line.add_dimensions(service=service, **dimensions)
    line.flush_metrics()
