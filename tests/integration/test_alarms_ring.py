"""What each alarm is for, done to the product: its own metric moves past its threshold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from finch_connections import metrics, settings
from finch_connections.aws import clients, connection_table, dynamodb
from local.fake_finch.seed_world import HARBOR_LANE, MAYA, OWEN
from tests.conftest import BUILT
from tests.support.in_process import Call, InProcess
from tests.support.metrics import outcomes, points
from tests.support.person import Person
from tests.unit.test_alarms import ALARMS, OURS, looked_at

# What is built writes the same lines: once is enough.
pytestmark = pytest.mark.skipif(BUILT is not None, reason="told of the sources alone")

STACK = "finch-connections"
DAY = timedelta(days=1)
# What only AWS writes. Of these the local world makes dead letters ring; the others are matched
# against AWS's documentation alone, in the tests of the template.
AWS_OWN = {
    *("ApiFailingAlarm", "FunctionErrorsAlarm", "ThrottledAlarm", "EventsLateAlarm"),
    *("QueueLateAlarm", "DeadLetterAlarm", "EventsDeadLetterAlarm"),
}

type Story = Callable[["Stage"], None]
STORIES: dict[str, Story] = {}


@dataclass
class Stage:
    """The product, and the means to bring its configuration out of order."""

    deployed: InProcess
    monkeypatch: pytest.MonkeyPatch

    def invoke(self, name: str, event: Any) -> Any:
        """Calls a function."""
        assert self.deployed.invoke
        return self.deployed.invoke(name, event)


def rings(alarm: str) -> Callable[[Story], Story]:
    """Names the alarm that a story is for."""

    def named(story: Story) -> Story:
        STORIES[alarm] = story
        return story

    return named


@rings("InternalErrorAlarm")
def aws_fails_in_a_way_that_nobody_foresaw(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")

    def down(call: Call, send: Callable[[], Any]) -> Any:
        raise EndpointConnectionError(endpoint_url="https://dynamodb.example.com")

    stage.deployed.border.guard = down
    assert acme.call("GET", "/connections").code == "internal_error"


@rings("FinchFailingAlarm")
def finch_is_down(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    link = acme.link()
    stage.deployed.finch.faults.add("*", "*", status=500, times=None)
    for _ in range(3):
        assert "finch_unavailable" in acme.browser.navigate(link).headers["location"]


@rings("FinchMisconfiguredAlarm")
def finch_refuses_our_credentials(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    link = acme.link()
    stage.deployed.finch.faults.add("*", "*", error="invalid_client_error", times=None)
    assert "finch_misconfigured" in acme.browser.navigate(link).headers["location"]


@rings("TokenHeldAlarm")
def another_customer_connects_the_same_company(stage: Stage) -> None:
    Person(stage.deployed, "acme").connect(login=MAYA)
    Person(stage.deployed, "globex").connect(login=OWEN)
    stage.deployed.queue.drain()


@rings("ExchangeUncertainAlarm")
def finchs_answer_to_a_code_is_lost(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    stage.deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    acme.come_back(url)
    stage.deployed.queue.drain()


@rings("DisconnectRefusedAlarm")
def finch_refuses_for_days_to_end_a_connection(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    acme.connect()
    stage.deployed.finch.faults.add("POST", "/disconnect", error="error_permissions", times=None)
    acme.disconnect()
    stage.deployed.queue.pass_time(4 * DAY)


@rings("UnfinishedAlarm")
def a_disconnect_does_not_end(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    acme.connect()
    stage.deployed.finch.faults.add("POST", "/disconnect", status=500, times=None)
    acme.disconnect()
    stage.deployed.queue.pass_time(timedelta(hours=3))


@rings("WaitsForDaysAlarm")
def nobody_logs_in_again(stage: Stage) -> None:
    Person(stage.deployed, "acme").connect()
    [token] = stage.deployed.finch.live_tokens()
    stage.deployed.finch.set_connection_status(token.connection_id, "reauth")
    for _ in range(9):
        stage.deployed.queue.pass_time(DAY)
        stage.invoke("schedule_checks", {})
        stage.deployed.queue.pass_time(timedelta(hours=1))


@rings("WebhookRefusedAlarm")
def somebody_forges_webhooks(stage: Stage) -> None:
    for _ in range(11):
        assert stage.deployed.receive({}, b"{}").status == 401


@rings("KmsFailingAlarm")
def a_ciphertext_lies_where_it_was_not_written(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    acme.connect()
    tables = stage.deployed.tables
    [item] = tables.items(tables.connections)
    key = {"customer_id": {"S": "globex"}}
    tables.dynamodb.put_item(TableName=tables.connections, Item=item | key)
    assert Person(stage.deployed, "globex").disconnect().code == "internal_error"


@rings("DatabaseFailingAlarm")
def dynamodb_refuses(stage: Stage) -> None:
    stage.monkeypatch.setenv("CONNECTIONS_TABLE", "gone")
    forget()
    for _ in range(6):
        assert Person(stage.deployed, "acme").call("GET", "/connections").status == 500


def forget() -> None:
    settings.read.cache_clear()
    connection_table.from_settings.cache_clear()


@pytest.fixture
def stage(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield Stage(deployed, monkeypatch)
    monkeypatch.undo()
    forget()


def values(alarm: str, text: str) -> list[float]:
    """The values that CloudWatch would have of an alarm's metric."""
    [(namespace, name, dimensions)] = looked_at(ALARMS[alarm])
    wanted = dimensions | {"service": STACK}
    return [one.value for one in points(text) if one.is_of(namespace, name, wanted)]


def breaches(alarm: str, found: list[float]) -> bool:
    """Whether a period with these values is over the threshold."""
    properties = ALARMS[alarm]
    average = properties["Statistic"] == "Average"
    if not found:
        return False
    statistic = sum(found) / len(found) if average else sum(found)
    threshold = properties["Threshold"]
    assert properties["ComparisonOperator"] == "GreaterThanThreshold"
    # The one that is a parameter is as its default.
    return bool(statistic > (threshold if isinstance(threshold, int | float) else 0))


def test_every_alarm_has_its_story_or_is_about_what_only_aws_writes() -> None:
    assert set(STORIES) | {"ChecksMissingAlarm"} == set(OURS)
    assert set(OURS) | AWS_OWN == set(ALARMS)


@pytest.mark.parametrize("alarm", STORIES)
def test_an_alarm_rings_when_what_it_is_for_happens(
    stage: Stage, alarm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(stage.deployed, "acme")
    acme.connect()
    acme.disconnect()
    stage.deployed.queue.drain()
    assert not breaches(alarm, values(alarm, capsys.readouterr().out))
    stage.deployed.reset()
    STORIES[alarm](stage)
    assert breaches(alarm, values(alarm, capsys.readouterr().out))


def test_a_sweep_that_ends_is_what_keeps_its_alarm_silent(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = ALARMS["ChecksMissingAlarm"]
    assert (alarm["TreatMissingData"], alarm["Statistic"]) == ("breaching", "Sum")
    assert values("ChecksMissingAlarm", capsys.readouterr().out) == []
    stage.invoke("schedule_checks", {})
    assert sum(values("ChecksMissingAlarm", capsys.readouterr().out)) >= alarm["Threshold"]
    stage.monkeypatch.setenv("CONNECTIONS_TABLE", "gone")
    forget()
    with pytest.raises(Exception, match="ResourceNotFound"):
        stage.invoke("schedule_checks", {})
    assert values("ChecksMissingAlarm", capsys.readouterr().out) == []


def test_each_way_a_browser_returns_counts_as_what_its_person_is_told(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.come_back("/callback?code=c&state=short")
    landing = Person(deployed, "globex", same_site=False).connect(provider_id="justworks")
    assert landing.outcome["status"] == "confirm"
    assert outcomes(capsys.readouterr().out, "GET /callback") == [
        *("connected", "session_not_found", "confirm"),
    ]


def test_tokens_and_changes_are_counted_by_what_became_of_them(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    asked |= {"purpose": "test", "caller": "test"}
    assert deployed.invoke
    deployed.invoke("vend_token", asked | {"products": []})
    Person(deployed, "acme").connect()
    deployed.invoke("vend_token", asked | {"products": []})
    deployed.invoke("vend_token", asked | {"products": ["ssn"]})
    deployed.invoke("vend_token", asked)
    assert outcomes(capsys.readouterr().out, "vend_token") == [
        *("not_found", "vended", "missing_products", "invalid_request"),
    ]


def test_that_somebody_else_wrote_first_is_no_failure_of_the_database(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    client = clients.client("dynamodb")
    put: Any = {
        "TableName": deployed.tables.ownerships,
        "Item": {"owned_id": {"S": "company#x"}},
        "ConditionExpression": "attribute_exists(owned_id)",
    }
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(**put)
    with pytest.raises(dynamodb.Conflict):
        dynamodb.write_together(client, [{"Put": put}])
    assert [one for one in points(capsys.readouterr().out) if one.name == "AwsFailures"] == []


def test_no_metric_says_who_it_was_about(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connection()
    acme.disconnect()
    acme.call("GET", "/connections/gusto/acme-company")
    deployed.queue.drain()
    found = list(points(capsys.readouterr().out))
    assert {one.name for one in found} == {
        *(metrics.OUTCOMES, metrics.FINCH_FAILURES, metrics.FINCH_TIME),
    }
    said = {value for one in found for value in one.dimensions.values()}
    assert not [one for one in said if "acme" in one or HARBOR_LANE.id in one]
    assert {name for one in found for name in one.dimensions} <= {"service", "route", "outcome"}
