"""Each alarm rings: its cause happens to the product, and its metric passes its threshold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from finch_connections import metrics, settings
from finch_connections.aws import clients, connection_table, dynamodb, session_table
from local.fake_finch.seed_world import HARBOR_LANE, MAYA, OWEN
from tests.conftest import BUILT
from tests.support.in_process import Call, InProcess
from tests.support.metrics import outcomes, points
from tests.support.person import Person
from tests.unit.test_alarms import ALARMS, OURS, metrics_of

# A build writes the same lines, so the sources alone are enough.
pytestmark = pytest.mark.skipif(BUILT is not None, reason="runs only with the sources")

STACK = "finch-connections"
DAY = timedelta(days=1)
# Alarms on metrics that only AWS writes. tests/local makes the dead-letter alarm ring. For the others,
# tests/unit/test_alarms.py compares the metrics with AWS's documentation.
AWS_OWN = {
    *("ApiFailingAlarm", "FunctionErrorsAlarm", "ThrottledAlarm", "EventsLateAlarm"),
    "LoopStoppedAlarm",
    *("QueueLateAlarm", "DeadLetterAlarm", "EventsDeadLetterAlarm"),
}

type Story = Callable[["Stage"], None]
STORIES: dict[str, Story] = {}


@dataclass
class Stage:
    """The product, and the means to break its configuration."""

    deployed: InProcess
    monkeypatch: pytest.MonkeyPatch

    def invoke(self, name: str, event: Any) -> Any:
        """Invokes a function."""
        assert self.deployed.invoke
        return self.deployed.invoke(name, event)


def rings(alarm: str) -> Callable[[Story], Story]:
    """Registers a story for its alarm."""

    def register(story: Story) -> Story:
        STORIES[alarm] = story
        return story

    return register


@rings("InternalErrorAlarm")
def aws_fails_unexpectedly(stage: Stage) -> None:
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
def finchs_response_to_a_code_is_lost(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    stage.deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    acme.come_back(url)
    stage.deployed.queue.drain()


@rings("DisconnectRefusedAlarm")
def finch_refuses_a_disconnect_for_days(stage: Stage) -> None:
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
def customer_does_not_log_in_again(stage: Stage) -> None:
    Person(stage.deployed, "acme").connect()
    [token] = stage.deployed.finch.live_tokens()
    stage.deployed.finch.set_connection_status(token.connection_id, "reauth")
    for _ in range(9):
        stage.deployed.queue.pass_time(DAY)
        stage.invoke("schedule_checks", {})
        stage.deployed.queue.pass_time(timedelta(hours=1))


@rings("IdleConnectionsAlarm")
def no_backend_uses_a_connection(stage: Stage) -> None:
    Person(stage.deployed, "acme").connect()
    stage.deployed.queue.pass_time(32 * DAY)
    stage.invoke("schedule_checks", {"count": True})


@rings("FinchContradictsAlarm")
def finch_describes_another_token(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    acme.connect()
    edit = {"set": {"id": "another"}}
    stage.deployed.finch.faults.add("GET", "/introspect", times=None, edit=edit)
    stage.deployed.queue.drain()


@rings("WebhookRefusedAlarm")
def attacker_forges_webhooks(stage: Stage) -> None:
    for _ in range(11):
        assert stage.deployed.receive({}, b"{}").status == 401


@rings("TooManyRequestsAlarm")
def a_customer_starts_in_a_loop(stage: Stage) -> None:
    stage.monkeypatch.setenv("ATTEMPTS_PER_CUSTOMER", "1")
    clear_caches()
    acme = Person(stage.deployed, "acme")
    for _ in range(22):
        started = acme.start()
    assert started.code == "too_many_requests"


@rings("KmsFailingAlarm")
def ciphertext_was_moved_to_another_row(stage: Stage) -> None:
    acme = Person(stage.deployed, "acme")
    acme.connect()
    tables = stage.deployed.tables
    [item] = tables.items(tables.connections)
    key = {"customer_id": {"S": "globex"}}
    tables.dynamodb.put_item(TableName=tables.connections, Item=item | key)
    assert Person(stage.deployed, "globex").disconnect().status == 202


@rings("DatabaseFailingAlarm")
def dynamodb_refuses_every_call(stage: Stage) -> None:
    stage.monkeypatch.setenv("CONNECTIONS_TABLE", "gone")
    clear_caches()
    for _ in range(6):
        assert Person(stage.deployed, "acme").call("GET", "/connections").status == 500


def clear_caches() -> None:
    settings.read.cache_clear()
    connection_table.from_settings.cache_clear()
    session_table.from_settings.cache_clear()


@pytest.fixture
def stage(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield Stage(deployed, monkeypatch)
    monkeypatch.undo()
    clear_caches()


def values(alarm: str, text: str) -> list[float]:
    """The values of an alarm's metric that CloudWatch would have."""
    [(namespace, name, dimensions)] = metrics_of(ALARMS[alarm])
    wanted = dimensions | {"service": STACK}
    return [one.value for one in points(text) if one.is_of(namespace, name, wanted)]


def breaches(alarm: str, found: list[float]) -> bool:
    """True if a period with these values is above the threshold."""
    properties = ALARMS[alarm]
    average = properties["Statistic"] == "Average"
    if not found:
        return False
    statistic = sum(found) / len(found) if average else sum(found)
    threshold = properties["Threshold"]
    assert properties["ComparisonOperator"] == "GreaterThanThreshold"
    # A threshold that is a parameter of the template has its default.
    return bool(statistic > (threshold if isinstance(threshold, int | float) else 0))


def test_every_alarm_has_a_story_or_a_metric_that_only_aws_writes() -> None:
    assert set(STORIES) | {"ChecksMissingAlarm"} == set(OURS)
    assert set(OURS) | AWS_OWN == set(ALARMS)


@pytest.mark.parametrize("alarm", STORIES)
def test_alarm_rings_when_its_cause_happens(
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


def test_finished_scheduled_check_keeps_its_alarm_silent(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = ALARMS["ChecksMissingAlarm"]
    assert (alarm["TreatMissingData"], alarm["Statistic"]) == ("breaching", "Sum")
    assert values("ChecksMissingAlarm", capsys.readouterr().out) == []
    stage.invoke("schedule_checks", {})
    assert sum(values("ChecksMissingAlarm", capsys.readouterr().out)) >= alarm["Threshold"]
    stage.monkeypatch.setenv("CONNECTIONS_TABLE", "gone")
    clear_caches()
    with pytest.raises(Exception, match="ResourceNotFound"):
        stage.invoke("schedule_checks", {})
    assert values("ChecksMissingAlarm", capsys.readouterr().out) == []


def test_callback_metric_counts_the_outcome_that_the_user_sees(
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


def test_vend_token_metric_counts_each_outcome(
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


def test_lost_conditional_write_is_not_counted_as_a_database_failure(
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


def test_no_metric_names_a_customer_or_company(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connection()
    acme.disconnect()
    acme.call("GET", "/connections/gusto/acme-company")
    deployed.queue.drain()
    found = list(points(capsys.readouterr().out))
    assert {point.name for point in found} == {
        *(metrics.OUTCOMES, metrics.FINCH_FAILURES, metrics.FINCH_TIME),
    }
    values = {value for point in found for value in point.dimensions.values()}
    assert not [value for value in values if "acme" in value or HARBOR_LANE.id in value]
    assert {name for point in found for name in point.dimensions} <= {"service", "route", "outcome"}
