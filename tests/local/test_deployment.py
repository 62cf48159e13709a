"""The effect of the template on API Gateway, IAM, logs and tables."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from local.aws_emulator.api_front import LARGEST_HEADERS
from local.world import World
from tests.local.conftest import until
from tests.support.deployed import TEMPLATE, Deployed
from tests.support.person import Person

FUNCTION_ROLES = [
    name for name in TEMPLATE["Resources"] if name.endswith("Role") and name != "DeploymentRole"
]


def test_cors_allows_the_configured_origins_with_credentials_and_no_other(
    world: World, deployed: Deployed
) -> None:
    def preflight(origin: str) -> Any:
        headers = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        reply = deployed.api.send("OPTIONS", "/connect-sessions", headers=headers)
        assert reply.status == 204
        return reply.headers

    for page in deployed.return_urls:
        allowed = preflight(page.rstrip("/"))
        assert allowed["access-control-allow-origin"] == page.rstrip("/")
        assert allowed["access-control-allow-credentials"] == "true"
    for origin in ("https://evil.example.com", "null", deployed.return_urls[0].rstrip("/") + "0"):
        assert "access-control-allow-origin" not in preflight(origin)


def test_frontend_may_read_the_responses_of_the_api(deployed: Deployed) -> None:
    origin = deployed.return_urls[0].rstrip("/")
    headers = {"origin": origin, "authorization": f"Bearer {deployed.token('acme')}"}
    reply = deployed.api.send("GET", "/connections", headers=headers)
    assert reply.headers["access-control-allow-origin"] == origin
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["cache-control"] == "no-store"


def test_responses_of_the_gateway_itself_have_no_cors_headers(deployed: Deployed) -> None:
    origin = deployed.return_urls[0].rstrip("/")
    expired = {"origin": origin, "authorization": "Bearer expired"}
    too_large = {**expired, "cookie": "x" * LARGEST_HEADERS}
    for headers, status in ((expired, 401), (too_large, 431)):
        reply = deployed.api.send("GET", "/connections", headers=headers)
        assert reply.status == status
        assert "access-control-allow-origin" not in reply.headers


def test_exchange_longer_than_the_gateway_timeout_still_reaches_the_session(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", delay_seconds=32, when="after")
    assert acme.browser.navigate(url).status == 503
    assert acme.come_back(url).outcome["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_every_function_has_its_own_role() -> None:
    functions = {
        name: resource["Properties"]["Role"]["Fn::GetAtt"]
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert {name: f"{name}Role.Arn" for name in functions} == {
        name: ".".join(role) if isinstance(role, list) else role for name, role in functions.items()
    }
    assert len(functions) == len(FUNCTION_ROLES)


def test_no_secret_is_in_a_function_log(world: World, deployed: Deployed) -> None:
    acme = Person(deployed, "acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    landing = acme.come_back(url)
    assert landing.completion
    acme.confirm(landing.completion)
    acme.disconnect()
    # The log line follows the answer after a moment.
    until(lambda: '"message":"disconnected"' in "\n".join(world.function_log("Disconnect")))
    functions = [name.removesuffix("Role") for name in FUNCTION_ROLES]
    lines = [line for name in functions for line in world.function_log(name)]
    logged = "\n".join(lines)
    assert '"message":"connected"' in logged
    secrets = [token.access_token for token in deployed.finch.tokens()]
    secrets += [url.split("code=")[1].split("&")[0], url.split("state=")[1], landing.completion]
    secrets += [deployed.token("acme"), *acme.browser.cookies.values()]
    secrets.append(deployed.finch.application.client_secret)
    assert not [secret for secret in secrets if secret in logged]


def test_containers_reach_emulated_aws_and_fake_finch_over_the_bridge(world: World) -> None:
    environment = json.loads((world.state_dir / "sam-local" / "environment.json").read_text())
    variables = environment["ListConnections"]
    assert variables["CONNECTIONS_TABLE"] == world.output("ConnectionsTableName")
    for name, path in (("AWS_ENDPOINT_URL", "/_ministack/health"), ("FINCH_API_URL", "/providers")):
        url = urlsplit(variables[name])
        assert url.hostname == "127.0.0.2"
        headers = {"finch-api-version": "2020-09-17"}
        assert httpx.get(variables[name] + path, headers=headers, timeout=10).is_success


def test_connections_table_has_the_promised_keys(world: World) -> None:
    client = world.aws.client("dynamodb")
    table = client.describe_table(TableName=world.output("ConnectionsTableName"))["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [
        ("customer_id", "HASH"),
        ("provider_id#company_id", "RANGE"),
    ]
