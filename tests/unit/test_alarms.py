"""Every alarm counts what is written, has its runbook, and somebody hears it."""

import json
import re
from typing import Any

import pytest

from finch_connections import metrics
from finch_connections.domain.errors import InternalError, Refusal
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
# AWS's own metrics in the dimensions in which it writes them: nothing here can make them.
AWS_WRITES = {
    # "Monitor CloudWatch metrics for HTTP APIs" in API Gateway's guide.
    ("AWS/ApiGateway", "5xx"): {"ApiId"},
    ("AWS/ApiGateway", "Latency"): {"ApiId"},
    # "Types of metrics for Lambda functions" in Lambda's guide.
    ("AWS/Lambda", "Errors"): {"FunctionName"},
    ("AWS/Lambda", "Throttles"): {"FunctionName"},
    ("AWS/Lambda", "IteratorAge"): {"FunctionName"},
    # "Available CloudWatch metrics for Amazon SQS" in its guide.
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): {"QueueName"},
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName"},
}
# Our own, in the sets of dimensions that `metrics` writes.
WE_WRITE = {
    metrics.OUTCOMES: [{"service", "outcome"}, {"service", "route", "outcome"}],
    metrics.FINCH_FAILURES: [{"service"}, {"service", "outcome"}],
    metrics.FINCH_TIME: [{"service"}, {"service", "outcome"}],
    metrics.AWS_FAILURES: [{"service", "aws_service"}, {"service", "aws_service", "outcome"}],
}


def codes() -> set[str]:
    """Every outcome that is counted and that is no success."""

    def kinds(base: type[Any]) -> set[type[Any]]:
        return {base} | {one for kind in base.__subclasses__() for one in kinds(kind)}

    found = {one.code for one in kinds(Refusal) | kinds(FinchFailure) if hasattr(one, "code")}
    return found | {report.value for report in Report} | {"scheduled"}


def looked_at(alarm: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The metrics of an alarm: one, or those that its expression adds."""
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
    """Whether anybody writes this metric in these dimensions."""
    if namespace == metrics.NAMESPACE:
        return dimensions in WE_WRITE[name]
    return AWS_WRITES[namespace, name] == dimensions


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_about_what_somebody_writes(name: str) -> None:
    for namespace, metric, dimensions in looked_at(ALARMS[name]):
        assert is_written(namespace, metric, set(dimensions))
        if namespace == metrics.NAMESPACE:
            assert dimensions["service"] == {"Ref": "AWS::StackName"}
        if outcome := dimensions.get("outcome"):
            assert outcome in codes()


def test_each_stack_has_metrics_of_its_own() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_each_report_has_its_alarm() -> None:
    rung = {
        dimensions["outcome"]
        for one in OURS.values()
        for _, _, dimensions in looked_at(one)
        if "outcome" in dimensions
    }
    assert set(Report) <= rung
    assert "signature_invalid" in rung


def test_every_server_error_of_ours_is_heard_at_once_or_when_it_lasts() -> None:
    assert ("AWS/ApiGateway", "5xx", {"ApiId": {"Ref": "HttpApi"}}) in looked_at(
        ALARMS["ApiFailingAlarm"]
    )
    [(_, _, dimensions)] = looked_at(ALARMS["InternalErrorAlarm"])
    assert dimensions["outcome"] == InternalError.code


def test_what_waits_is_reported_often_enough_to_keep_its_alarm_on() -> None:
    waits = {
        *(Report.TOKEN_HELD, Report.EXCHANGE_UNCERTAIN, Report.DISCONNECT_REFUSED),
        *(Report.UNFINISHED, Report.FINCH_MISCONFIGURED),
    }
    for alarm in OURS.values():
        [(_, _, dimensions)] = looked_at(alarm)
        if dimensions.get("outcome") in waits:
            hours = 6 if dimensions["outcome"] == Report.UNFINISHED else 1
            assert alarm["Period"] * alarm["EvaluationPeriods"] > hours * 3600
            assert alarm["DatapointsToAlarm"] == 1


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_somebody_and_names_its_runbook(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    runbook = re.fullmatch(r".+\. Runbook: docs/runbooks\.md#([a-z-]+)", alarm["AlarmDescription"])
    assert runbook
    by_anchor = {slug(heading): body for heading, body in sections("Alarms").items()}
    assert f"`{name}`" in by_anchor[runbook[1]].splitlines()[0]
    # What is missing is no trouble, except where somebody should have written.
    missing = "breaching" if name == "ChecksMissingAlarm" else "notBreaching"
    assert alarm["TreatMissingData"] == missing


def test_every_section_about_an_alarm_is_named_by_one() -> None:
    named = {one["AlarmDescription"].rpartition("runbooks.md#")[2] for one in ALARMS.values()}
    assert set(map(slug, sections("Alarms"))) == named
    assert len(named) == len(ALARMS)


def test_every_link_of_the_runbooks_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOKS, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    links = re.findall(r"\]\(#([^)]+)\)", RUNBOOKS)
    assert links
    assert set(links) <= anchors


def test_every_function_that_runs_unattended_is_heard_when_it_is_stopped() -> None:
    unattended = {
        name
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::Serverless::Function" and resource["Properties"].get("Events")
    }
    for alarm, metric in (("FunctionErrorsAlarm", "Errors"), ("ThrottledAlarm", "Throttles")):
        listed = looked_at(ALARMS[alarm])
        assert {one[1] for one in listed} == {metric}
        functions = {one[2]["FunctionName"]["Ref"] for one in listed}
        assert functions == unattended | {"VendToken"}
        # "PutMetricAlarm" in CloudWatch's API Reference.
        assert len(listed) <= 10
        [watched] = [one for one in ALARMS[alarm]["Metrics"] if one["ReturnData"]]
        assert watched["Expression"] == "SUM(FILL(METRICS(), 0))"


def dead_letter_queues() -> set[str]:
    """The queues that take what nobody could work off, by whoever sends it there."""
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


def test_all_dead_letters_ring_and_so_does_a_queue_that_is_late() -> None:
    rung = {}
    for alarm in ALARMS.values():
        if alarm.get("Namespace") == "AWS/SQS":
            [(_, metric, dimensions)] = looked_at(alarm)
            queue = dimensions["QueueName"]["Fn::GetAtt"][0]
            rung[queue] = (metric, alarm["Threshold"])
    # Longer than the longest delay and a message's time to come again.
    assert rung.pop("WorkQueue") == ("ApproximateAgeOfOldestMessage", 3600)
    assert set(rung) == dead_letter_queues() >= {"WorkDeadLetterQueue", "EventsDeadLetterQueue"}
    assert set(rung.values()) == {("ApproximateNumberOfMessagesVisible", 0)}


def test_changes_that_are_late_ring_long_before_they_are_given_up() -> None:
    events = RESOURCES["PublishEvents"]["Properties"]["Events"]
    [mapping] = [one["Properties"] for one in events.values()]
    alarm = ALARMS["EventsLateAlarm"]
    assert looked_at(alarm)[0][1:] == ("IteratorAge", {"FunctionName": {"Ref": "PublishEvents"}})
    a_day = 24 * 3600
    assert alarm["Threshold"] / 1000 * 2 < mapping["MaximumRecordAgeInSeconds"] <= a_day / 2


# The dashboard


def dashboard() -> Any:
    """The body as CloudWatch gets it, with the names of things in place of what they are called."""
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return json.loads(re.sub(r"\$\{([^}]+)\}", r"\1", text))


def test_every_metric_of_the_dashboard_is_written() -> None:
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


def test_the_dashboard_is_one_screen_with_every_alarm_on_it() -> None:
    widgets = dashboard()["widgets"]
    places = [(one["x"], one["y"]) for one in widgets]
    assert len(set(places)) == len(places) == 9
    assert max(one["x"] + one["width"] for one in widgets) == 24
    assert max(one["y"] + one["height"] for one in widgets) <= 18
    [alarms] = [one for one in widgets if one["type"] == "alarm"]
    assert set(alarms["properties"]["alarms"]) == {f"{name}.Arn" for name in ALARMS}
