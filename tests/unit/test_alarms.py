"""Every alarm uses metrics that are written, names its runbook, and notifies the operator."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from finch_connections import metrics
from finch_connections.domain.errors import InternalError, Refusal
from finch_connections.domain.work_item import LONGEST_PAUSE
from finch_connections.finch.errors import FinchFailure
from finch_connections.use_cases.process_work import Report
from tests.support.deployed import TEMPLATE
from tests.support.documents import slug
from tests.support.runbooks import RUNBOOKS, sections

RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
SERVICE = {"Name": "service", "Value": {"Ref": "AWS::StackName"}}
OURS = {name: one for name, one in ALARMS.items() if one.get("Namespace") == metrics.NAMESPACE}
# AWS's own metrics with their dimensions, from AWS's documentation. No test can produce them.
AWS_WRITES = {
    # "Monitor CloudWatch metrics for HTTP APIs" in API Gateway's guide.
    ("AWS/ApiGateway", "5xx"): {"ApiId"},
    ("AWS/ApiGateway", "Latency"): {"ApiId"},
    # "Types of metrics for Lambda functions" in Lambda's guide.
    ("AWS/Lambda", "Errors"): {"FunctionName"},
    ("AWS/Lambda", "Throttles"): {"FunctionName"},
    ("AWS/Lambda", "IteratorAge"): {"FunctionName"},
    ("AWS/Lambda", "RecursiveInvocationsDropped"): {"FunctionName"},
    # "Available CloudWatch metrics for Amazon SQS" in its guide.
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): {"QueueName"},
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName"},
}
# Our metrics, with the sets of dimensions that `metrics` writes.
WE_WRITE = {
    metrics.OUTCOMES: [{"service", "outcome"}, {"service", "route", "outcome"}],
    metrics.FINCH_FAILURES: [{"service"}, {"service", "outcome"}],
    metrics.FINCH_TIME: [{"service"}, {"service", "outcome"}],
    metrics.LIVE_CONNECTIONS: [{"service"}],
    metrics.IDLE_CONNECTIONS: [{"service"}],
    metrics.AWS_FAILURES: [{"service", "aws_service"}, {"service", "aws_service", "outcome"}],
}


def codes() -> set[str]:
    """The codes of all counted outcomes that are not a success."""

    def kinds(base: type[Any]) -> set[type[Any]]:
        return {base} | {one for kind in base.__subclasses__() for one in kinds(kind)}

    found = {one.code for one in kinds(Refusal) | kinds(FinchFailure) if hasattr(one, "code")}
    return found | {report.value for report in Report} | {"scheduled"}


def metrics_of(alarm: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The metrics of an alarm: its single metric, or those that its expression adds."""
    if "MetricName" in alarm:
        listed = [alarm]
    else:
        listed = [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
    return [
        (
            one["Namespace"],
            one["MetricName"],
            {dimension["Name"]: dimension["Value"] for dimension in one["Dimensions"]},
        )
        for one in listed
    ]


def is_written(namespace: str, name: str, dimensions: set[str]) -> bool:
    """True if AWS or our functions write this metric with these dimensions."""
    if namespace == metrics.NAMESPACE:
        return dimensions in WE_WRITE[name]
    return AWS_WRITES[namespace, name] == dimensions


@pytest.mark.parametrize("name", ALARMS)
def test_every_metric_of_an_alarm_is_written(name: str) -> None:
    for namespace, metric, dimensions in metrics_of(ALARMS[name]):
        assert is_written(namespace, metric, set(dimensions))
        if namespace == metrics.NAMESPACE:
            assert dimensions["service"] == {"Ref": "AWS::StackName"}
        if outcome := dimensions.get("outcome"):
            assert outcome in codes()


def test_metrics_carry_the_stack_name() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_every_report_has_an_alarm() -> None:
    rung = {
        dimensions["outcome"]
        for one in OURS.values()
        for _, _, dimensions in metrics_of(one)
        if "outcome" in dimensions
    }
    assert set(Report) <= rung
    assert "signature_invalid" in rung


def test_every_server_error_has_an_alarm() -> None:
    assert ("AWS/ApiGateway", "5xx", {"ApiId": {"Ref": "HttpApi"}}) in metrics_of(
        ALARMS["ApiFailingAlarm"]
    )
    [(_, _, dimensions)] = metrics_of(ALARMS["InternalErrorAlarm"])
    assert dimensions["outcome"] == InternalError.code


def test_lasting_reports_repeat_within_the_period_of_their_alarm() -> None:
    waits = {
        *(Report.TOKEN_HELD, Report.EXCHANGE_UNCERTAIN, Report.DISCONNECT_REFUSED),
        *(Report.UNFINISHED, Report.FINCH_MISCONFIGURED),
    }
    for alarm in OURS.values():
        [(_, _, dimensions)] = metrics_of(alarm)
        if dimensions.get("outcome") in waits:
            lasts = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])
            # The scheduled check may come a minute later, and the queue may be slow.
            assert lasts >= LONGEST_PAUSE + timedelta(minutes=30)
            assert alarm["DatapointsToAlarm"] == 1


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_notifies_the_topic_and_names_its_runbook(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    runbook = re.fullmatch(r".+\. Runbook: docs/runbooks\.md#([a-z-]+)", alarm["AlarmDescription"])
    assert runbook
    by_anchor = {slug(heading): body for heading, body in sections("Alarms").items()}
    assert f"`{name}`" in by_anchor[runbook[1]].splitlines()[0]
    # Missing data is not a problem, except for the scheduled check, which always writes its metric.
    missing = "breaching" if name == "ChecksMissingAlarm" else "notBreaching"
    assert alarm["TreatMissingData"] == missing


def test_every_alarm_section_of_the_runbooks_is_named_by_an_alarm() -> None:
    linked = {one["AlarmDescription"].rpartition("runbooks.md#")[2] for one in ALARMS.values()}
    assert set(map(slug, sections("Alarms"))) == linked
    assert len(linked) == len(ALARMS)


def test_every_link_within_the_runbooks_has_a_target() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOKS, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    links = re.findall(r"\]\(#([^)]+)\)", RUNBOOKS)
    assert links
    assert set(links) <= anchors


def test_every_unattended_function_has_error_and_throttle_alarms() -> None:
    unattended = {
        name
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::Serverless::Function" and resource["Properties"].get("Events")
    }
    for alarm, metric in (("FunctionErrorsAlarm", "Errors"), ("ThrottledAlarm", "Throttles")):
        listed = metrics_of(ALARMS[alarm])
        assert {one[1] for one in listed} == {metric}
        functions = {one[2]["FunctionName"]["Ref"] for one in listed}
        assert functions == unattended | {"VendToken", "CallFinch"}
        # "PutMetricAlarm" in CloudWatch's API Reference.
        assert len(listed) <= 10
        [sum_of_all] = [one for one in ALARMS[alarm]["Metrics"] if one["ReturnData"]]
        assert sum_of_all["Expression"] == "SUM(FILL(METRICS(), 0))"


def dead_letter_queues() -> set[str]:
    """The queues that receive failed messages, from a queue or from a function."""
    found = set()
    for resource in RESOURCES.values():
        properties = resource.get("Properties", {})
        if redrive := properties.get("RedrivePolicy"):
            found.add(redrive["deadLetterTargetArn"]["Fn::GetAtt"][0])
        if resource["Type"] == "AWS::Serverless::Function":
            for event in properties.get("Events", {}).values():
                if failure := event["Properties"].get("DestinationConfig", {}).get("OnFailure"):
                    found.add(failure["Destination"]["Fn::GetAtt"][0])
    return found


def test_dead_letter_queues_and_a_late_work_queue_have_alarms() -> None:
    rung = {}
    for alarm in ALARMS.values():
        if alarm.get("Namespace") == "AWS/SQS":
            [(_, metric, dimensions)] = metrics_of(alarm)
            queue = dimensions["QueueName"]["Fn::GetAtt"][0]
            rung[queue] = (metric, alarm["Threshold"])
    # Longer than the longest delay plus the visibility timeout of a message.
    assert rung.pop("WorkQueue") == ("ApproximateAgeOfOldestMessage", 3600)
    assert set(rung) == dead_letter_queues() >= {"WorkDeadLetterQueue", "EventsDeadLetterQueue"}
    assert set(rung.values()) == {("ApproximateNumberOfMessagesVisible", 0)}


def test_late_event_alarm_fires_long_before_records_are_given_up() -> None:
    events = RESOURCES["PublishEvents"]["Properties"]["Events"]
    [mapping] = [one["Properties"] for one in events.values()]
    alarm = ALARMS["EventsLateAlarm"]
    assert metrics_of(alarm)[0][1:] == ("IteratorAge", {"FunctionName": {"Ref": "PublishEvents"}})
    a_day = 24 * 3600
    assert alarm["Threshold"] / 1000 * 2 < mapping["MaximumRecordAgeInSeconds"] <= a_day / 2


# The dashboard


def dashboard() -> Any:
    """The dashboard body, with template references replaced by their names."""
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return json.loads(re.sub(r"\$\{([^}]+)\}", r"\1", text))


def test_every_metric_on_the_dashboard_is_written() -> None:
    shown: list[tuple[str, str, set[str]]] = []
    for widget in dashboard()["widgets"]:
        for metric in widget["properties"].get("metrics", ()):
            if isinstance(metric[0], dict):
                found = re.match(
                    r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\"", metric[0]["expression"]
                )
                assert found
                shown.append((found[1], found[3], set(found[2].split(","))))
                continue
            names = [one for one in metric if isinstance(one, str)]
            pairs = dict(zip(names[2::2], names[3::2], strict=True))
            shown.append((names[0], names[1], set(pairs)))
            if "outcome" in pairs:
                assert pairs["outcome"] in codes()
    assert len(shown) >= 15
    for namespace, name, dimensions in shown:
        assert is_written(namespace, name, dimensions), (name, dimensions)


def test_dashboard_fits_a_screen_and_shows_every_alarm() -> None:
    widgets = dashboard()["widgets"]
    places = [(one["x"], one["y"]) for one in widgets]
    assert len(set(places)) == len(places) == 10
    assert max(one["x"] + one["width"] for one in widgets) == 24
    assert max(one["y"] + one["height"] for one in widgets) <= 18
    [alarms] = [one for one in widgets if one["type"] == "alarm"]
    assert set(alarms["properties"]["alarms"]) == {f"{name}.Arn" for name in ALARMS}
