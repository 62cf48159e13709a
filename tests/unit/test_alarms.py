"""Every alarm counts what is written, and somebody hears it."""

from typing import Any

from finch_connections.tending import Report
from functions.receive_webhook import handler as receive_webhook
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
    counted = {report.value for report in Report} | {receive_webhook.REFUSED}
    assert {one["MetricName"] for one in OURS} == counted
    assert receive_webhook.METRICS_NAMESPACE == METRICS_NAMESPACE
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
            or "See the log of PublishChanges" in alarm["AlarmDescription"]
            or "the log of ReceiveWebhook" in alarm["AlarmDescription"]
        )
        assert alarm["TreatMissingData"] == "notBreaching"


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


def test_all_dead_letters_ring() -> None:
    rung = set()
    for alarm in ALARMS.values():
        if alarm["Namespace"] == "AWS/SQS":
            [dimension] = alarm["Dimensions"]
            assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
            assert alarm["Threshold"] == 0
            rung.add(dimension["Value"]["Fn::GetAtt"][0])
    assert rung == dead_letter_queues() >= {"TendDeadLetterQueue", "ChangesDeadLetterQueue"}


def test_changes_that_are_late_ring_long_before_they_are_given_up() -> None:
    events = RESOURCES["PublishChanges"]["Properties"]["Events"]
    [mapping] = [one["Properties"] for one in events.values()]
    [alarm] = [one for one in ALARMS.values() if one["MetricName"] == "IteratorAge"]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "PublishChanges"}}]
    a_day = 24 * 3600
    assert alarm["Threshold"] / 1000 * 2 < mapping["MaximumRecordAgeInSeconds"] <= a_day / 2
