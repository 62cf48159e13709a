"""Every alarm counts what is written, and somebody hears it."""

from typing import Any

from finch_connections.tending import Report
from functions.tend_connection.handler import METRICS_NAMESPACE
from tests.deployed import TEMPLATE

RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
OURS = [one for one in ALARMS.values() if not one["Namespace"].startswith("AWS/")]


def test_each_report_has_its_alarm_in_the_dimension_that_it_is_written_in() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert {one["MetricName"] for one in OURS} == {report.value for report in Report}
    for alarm in OURS:
        assert alarm["Namespace"] == METRICS_NAMESPACE
        service = {"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}
        assert alarm["Dimensions"] == [service]


def test_what_waits_is_reported_often_enough_to_keep_its_alarm_on() -> None:
    for alarm in OURS:
        hours = 6 if alarm["MetricName"] == Report.UNFINISHED else 1
        assert alarm["Period"] * alarm["EvaluationPeriods"] > hours * 3600
        assert alarm["DatapointsToAlarm"] == 1


def test_every_alarm_tells_somebody_what_to_do() -> None:
    for alarm in ALARMS.values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert (
            "ResolveUnfinished" in alarm["AlarmDescription"]
            or "redrive" in (alarm["AlarmDescription"])
        )
        assert alarm["TreatMissingData"] == "notBreaching"


def test_the_dead_letters_that_ring_are_those_of_the_queue() -> None:
    [alarm] = [one for one in ALARMS.values() if one not in OURS]
    [dimension] = alarm["Dimensions"]
    [name, _] = dimension["Value"]["Fn::GetAtt"]
    target = RESOURCES["TendQueue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]
    assert target["Fn::GetAtt"] == [name, "Arn"]
