"""Versions and the alias in the deployed stack: which configuration a caller gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.fake_finch.seed_world import CEDARLINE, LENA
from local.world import World
from tests.local.conftest import until
from tests.local.test_vending import CEDARLINES, invoke
from tests.support.deployed import TEMPLATE, Deployed
from tests.support.person import Person

FUNCTIONS = [
    name
    for name, one in TEMPLATE["Resources"].items()
    if one["Type"] == "AWS::Serverless::Function"
]
# A user waits for them.
FAST = {"StartConnect", "FinishConnect", "ListConnections", "Disconnect"}


def live_versions(world: World) -> dict[str, str]:
    """The number of the version that the alias of each function points to."""
    client = world.aws.client("lambda")
    return {
        name: client.get_alias(FunctionName=world.physical_id(name), Name="live")["FunctionVersion"]
        for name in FUNCTIONS
    }


def published(world: World, function: str) -> list[str]:
    """The numbers of all versions of a function."""
    name = world.physical_id(function)
    found = world.aws.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
    return [one["Version"] for one in found if one["Version"] != "$LATEST"]


@contextmanager
def deployed_with(world: World, **parameters: str) -> Iterator[None]:
    """The stack with other parameters inside the context."""
    before = {name: world.parameters.get(name) for name in parameters}
    defaults = {name: str(TEMPLATE["Parameters"][name].get("Default")) for name in parameters}
    try:
        world.redeploy(**parameters)
        yield
    finally:
        world.redeploy(**{name: before[name] or defaults[name] for name in parameters})


def variables_of(world: World, function: str) -> dict[str, Any]:
    """The environment variables of the version that a function's alias points to."""
    found = world.aws.client("lambda").get_function_configuration(
        FunctionName=world.alias(function)
    )
    variables: dict[str, Any] = found["Environment"]["Variables"]
    return variables


def test_changed_parameter_reaches_every_function_through_its_alias(
    world: World, deployed: Deployed
) -> None:
    before = live_versions(world)
    acme = Person(deployed, "acme")
    assert acme.start(mode="embedded").status == 201
    with deployed_with(world, ConnectModes="redirect"):
        after = live_versions(world)
        assert not before.items() & after.items()
        # Nothing keeps the versions that the aliases have left.
        assert {name: published(world, name) for name in FUNCTIONS} == {
            name: [number] for name, number in after.items()
        }
        assert {variables_of(world, name)["CONNECT_MODES"] for name in FUNCTIONS} == {"redirect"}
        assert acme.start(mode="embedded").status == 400
    assert acme.start(mode="embedded").status == 201


def test_alias_of_a_backend_moves_with_live_and_goes_with_its_name(world: World) -> None:
    client = world.aws.client("lambda")

    def aliases(function: str) -> dict[str, str]:
        found = client.list_aliases(FunctionName=world.physical_id(function))["Aliases"]
        return {one["Name"]: one["FunctionVersion"] for one in found}

    before = live_versions(world)
    with deployed_with(world, Backend2="benefits", Backend5="reports"):
        assert live_versions(world) == before
        with deployed_with(world, IdleDays="31"):
            for function in ("VendToken", "CallFinch"):
                [version] = published(world, function)
                assert version != before[function]
                names = ("live", "payroll", "benefits", "reports")
                assert aliases(function) == dict.fromkeys(names, version)
    for function in ("VendToken", "CallFinch"):
        assert aliases(function).keys() == {"live", "payroll"}


def test_limit_of_connections_holds_with_the_roles_of_the_functions(
    world: World, deployed: Deployed
) -> None:
    with deployed_with(world, MaxConnections="1"):
        acme = Person(deployed, "acme")
        pages = [acme.click(acme.link()) for _ in range(2)]
        acme.come_back(acme.log_in(pages[0]))
        assert acme.start().code == "connection_limit"
        url = acme.log_in(pages[1], provider_id="justworks")
        assert acme.come_back(url).outcome == {"error": "connection_limit"}
        assert [one["provider_id"] for one in acme.connections()] == ["gusto"]


def test_parameter_that_reaches_no_function_publishes_no_version(world: World) -> None:
    before = live_versions(world)
    with deployed_with(world, WaitingConnections="7", LogRetentionDays="7"):
        assert live_versions(world) == before


def test_every_caller_uses_the_alias_and_never_the_unpublished_function(
    world: World, deployed: Deployed
) -> None:
    client = world.aws.client("lambda")
    handlers = {}
    for name in FUNCTIONS:
        function = world.physical_id(name)
        handlers[function] = client.get_function_configuration(FunctionName=function)["Handler"]
        client.update_function_configuration(FunctionName=function, Handler="none.none")
    heard = len(world.connection_events())
    try:
        # The gateway, and the stream of the table.
        acme = Person(deployed, "acme")
        acme.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
        until(lambda: len(world.connection_events()) > heard)
        # Another backend, and an operator.
        assert invoke(world, world.aws, "ReadDirectory", CEDARLINES)["count"] > 100
        audit = {"action": "audit", "customer_id": "acme"}
        assert invoke(world, world.aws, "ResolveUnfinished", audit)["result"]["records"]
        # The queue.
        seen = len(world.function_log("ProcessWork"))
        world.aws.client("sqs").send_message(
            QueueUrl=world.output("WorkQueueUrl"), MessageBody="no work item"
        )
        [line, *_] = until(lambda: world.function_log("ProcessWork")[seen:])
        assert '"message":"message failed"' in line
    finally:
        for function, handler in handlers.items():
            client.update_function_configuration(FunctionName=function, Handler=handler)
    schedule = world.aws.client("scheduler").get_schedule(
        Name=world.physical_id("ScheduleChecksSchedule")
    )
    assert schedule["Target"]["Arn"] == world.alias("ScheduleChecks")


def test_functions_that_a_user_waits_for_work_after_a_restore(
    world: World, deployed: Deployed
) -> None:
    before = live_versions(world)
    with deployed_with(world, SnapStart="true"):
        after = live_versions(world)
        assert {name for name in FUNCTIONS if after[name] != before[name]} == FAST
        acme = Person(deployed, "acme")
        acme.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
        assert acme.connections()
        acme.disconnect("rippling", CEDARLINE.id)
        assert not deployed.finch.live_tokens()


def test_snapstart_and_provisioned_concurrency_are_refused_together(world: World) -> None:
    with pytest.raises(
        ClientError, match="SnapStart and ProvisionedConcurrency exclude each other"
    ):
        world.redeploy(SnapStart="true", ProvisionedConcurrency="1")


def test_provisioned_concurrency_is_on_the_aliases_that_a_user_waits_for(world: World) -> None:
    client = world.aws.client("lambda")

    def provisioned(name: str) -> int:
        try:
            found = client.get_provisioned_concurrency_config(
                FunctionName=world.physical_id(name), Qualifier="live"
            )
        except client.exceptions.ProvisionedConcurrencyConfigNotFoundException:
            return 0
        return int(found["RequestedProvisionedConcurrentExecutions"])

    with deployed_with(world, ProvisionedConcurrency="2"):
        assert {name: provisioned(name) for name in FUNCTIONS} == {
            name: 2 if name in FAST else 0 for name in FUNCTIONS
        }
    assert not any(map(provisioned, FUNCTIONS))
