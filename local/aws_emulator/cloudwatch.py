"""CloudWatch: metrics that functions write into their logs, and alarms on a single metric."""

import json
import operator
import time

from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from local.aws_emulator import Json

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}

original_create = provisioners._cw_metric_alarm_create
original_update = provisioners._cw_metric_alarm_update


def record_embedded_metrics(line: str) -> None:
    """Records the metrics of a log line, which MiniStack does not read.

    "Specification: Embedded metric format" in CloudWatch's guide.
    """
    try:
        entry = json.loads(line)
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: entry[name] for name in names}
                for metric in directive["Metrics"]:
                    name, unit = metric["Name"], metric.get("Unit", "None")
                    for value in entry[name] if isinstance(entry[name], list) else [entry[name]]:
                        cloudwatch.record_metric(
                            directive["Namespace"], name, value, unit, dimensions
                        )
    except (ValueError, KeyError, TypeError):
        # The line has no metrics, or CloudWatch would ignore them too.
        return
    cloudwatch._evaluate_all_alarms()


def evaluate_alarm(alarm: Json) -> None:
    """Sets the state of an alarm from its own metric.

    MiniStack mixes the points of all dimensions, so alarms ring that would not ring in AWS. In
    AWS each combination of dimensions is a separate metric ("Metrics concepts" in CloudWatch's guide).
    """
    dimensions = {
        dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []
    }
    metric = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    since = time.time() - alarm["Period"] * alarm["EvaluationPeriods"]
    recorded = cloudwatch._metrics.get(metric) or []
    points = [point for point in recorded if point["Timestamp"] >= since]
    if not points:
        return
    value = cloudwatch._calc_stats(points)[alarm["Statistic"]]
    breaching = COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"])
    state = {
        "AlarmName": alarm["AlarmName"],
        "StateValue": "ALARM" if breaching else "OK",
        "StateReason": f"{alarm['Statistic']} {value}",
    }
    cloudwatch._set_alarm_state({}, state, is_cbor=False, is_json=True)


def create_alarm(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    created: tuple[str, Json] = original_create(logical_id, with_one_metric(props), stack_name)
    return created


def update_alarm(
    physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> tuple[str, Json]:
    updated: tuple[str, Json] = original_update(
        physical_id, with_one_metric(old), with_one_metric(new), stack_name, logical_id
    )
    return updated


def with_one_metric(props: Json) -> Json:
    """An alarm's properties, with a metric without points instead of several metrics.

    MiniStack refuses `Metrics`, which AWS takes ("Create a CloudWatch alarm based on a metric math
    expression" in CloudWatch's guide). Here such an alarm is deployed and never rings.
    """
    if "Metrics" not in props:
        return props
    rest = {name: value for name, value in props.items() if name != "Metrics"}
    return {**rest, "Namespace": "Local", "MetricName": "OfSeveral", "Period": 300}


def patch() -> None:
    cloudwatch._evaluate_alarm = evaluate_alarm
    alarm = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    alarm.update(create=create_alarm, update=update_alarm)
