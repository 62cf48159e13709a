"""Looks at everything that a deployed stack needs, and says what is wrong and what mends it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from operations.long_work import FOR_A_PERSON, OVER
from operations.stack import CannotOperate, Stack

_TABLES = ("ConnectionsTable", "ConnectSessionsTable", "OwnershipTable", "AuditTable")
_EXPIRING = ("ConnectSessionsTable", "AuditTable")
_INDEXED = ("ConnectionsTable", "ConnectSessionsTable")
_TIMEOUT = 10.0


@dataclass(frozen=True)
class Finding:
    """What a check has found; `fix` says what mends it, and is None where all is well."""

    about: str
    says: str
    fix: str | None = None


def examine(stack: Stack, say: Callable[[str], None]) -> int:
    """Prints every finding; the exit code says whether something is wrong."""
    wrong = 0
    for check in _CHECKS:
        for finding in _tried(check, stack):
            say(f"{'ok   ' if finding.fix is None else 'WRONG'}  {finding.about}: {finding.says}")
            if finding.fix is not None:
                wrong += 1
                say(f"         -> {finding.fix}")
    say(f"{wrong} things are wrong." if wrong else "All is well.")
    return FOR_A_PERSON if wrong else OVER


def _tried(check: Callable[[Stack], Iterator[Finding]], stack: Stack) -> Iterator[Finding]:
    about = check.__name__.strip("_").replace("_", " ")
    try:
        yield from check(stack)
    except (ClientError, BotoCoreError, CannotOperate, KeyError) as error:
        yield Finding(
            about,
            f"cannot be looked at: {error}",
            "deploy the whole template, and look with an AWS role that may read it",
        )


def _stack(stack: Stack) -> Iterator[Finding]:
    status = stack.described["StackStatus"]
    well = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    yield Finding("stack", status, None if well else "see its events, mend the cause, deploy again")


def _api_url(stack: Stack) -> str:
    return stack.parameters.get("ApiUrl") or stack.outputs["ApiEndpoint"]


def _api(stack: Stack) -> Iterator[Finding]:
    url = _api_url(stack)
    try:
        listing = httpx.get(f"{url}/connections", timeout=_TIMEOUT)
        unknown = httpx.get(f"{url}/no-such-route", timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        fix = "map the domain of ApiUrl to the API, or leave ApiUrl empty"
        yield Finding("API", f"{url} cannot be reached ({type(error).__name__})", fix)
        return
    well = listing.status_code == 401 and "route_not_found" in unknown.text
    says = f"{url} answers {listing.status_code} without an access token"
    fix = "is it this stack's API that answers there? See ApiUrl and its mapping to $default"
    if "route_not_found" in listing.text:
        fix = "API Gateway could not read the issuer when it was deployed: mend JwtIssuer, deploy again"
    yield Finding("API", says, None if well else fix)


def _issuer(stack: Stack) -> Iterator[Finding]:
    issuer = stack.parameters["JwtIssuer"]
    about = "access tokens"
    try:
        # API Gateway takes the issuer's slash for one of its own.
        discovery = httpx.get(
            f"{issuer.rstrip('/')}/.well-known/openid-configuration", timeout=_TIMEOUT
        )
        said = discovery.raise_for_status().json()
        keys = httpx.get(said["jwks_uri"], timeout=_TIMEOUT).raise_for_status().json()["keys"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        says = f"{issuer} has no OpenID Connect discovery with keys ({type(error).__name__})"
        yield Finding(about, says, "set JwtIssuer to the issuer's URL, and open it to the internet")
        return
    rsa = [one for one in keys if one.get("kty") == "RSA"]
    if said.get("issuer") != issuer:
        says = f"the issuer calls itself {said.get('issuer')}, not {issuer}"
        yield Finding(about, says, "set JwtIssuer exactly as in the tokens' iss")
    elif not rsa:
        yield Finding(about, "the issuer has no RSA key", "let it sign with RS256")
    else:
        yield Finding(about, f"{issuer} signs with {len(rsa)} RSA keys")


def _finch(stack: Stack) -> Iterator[Finding]:
    callback = f"{_api_url(stack)}/callback"
    secret = stack.outputs["FinchSecretArn"]
    said = stack.invoke("ResolveUnfinished", {"action": "examine", "callback_url": callback})
    fixes: Mapping[str, str] = {
        "credentials_unreadable": f"fill in client_id and client_secret in the secret {secret}",
        "invalid_client": "copy client_id and client_secret from Finch's dashboard into the secret",
        "payment_required": "look at the plan in Finch's dashboard",
        "request_refused": f"register {callback} as a redirect URI in Finch's dashboard",
    }
    word = said["finch"]
    if word == "ok":
        yield Finding("Finch", f"takes our credentials and the redirect URI {callback}")
    else:
        yield Finding("Finch", word, fixes.get(word, "try again later; see Finch's status page"))
    number = said["webhook_secrets"]
    fix = "put the webhook secret of Finch's dashboard into webhook_secrets of the secret"
    yield Finding("webhook secrets", f"{number} can be used", None if number else fix)
    if urlsplit(callback).scheme != "https" and urlsplit(callback).hostname != "localhost":
        yield Finding("redirect URI", f"{callback} is not https", "give ApiUrl as https://")


def _key(stack: Stack) -> Iterator[Finding]:
    arn, kms = stack.outputs["TokenKeyArn"], stack.client("kms")
    state = kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    fix = f"aws kms enable-key --key-id {arn}; with PendingDeletion, cancel that first"
    yield Finding("key", state, None if state == "Enabled" else fix)
    rotates = kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
    says = "rotates every year" if rotates else "does not rotate"
    fix = f"aws kms enable-key-rotation --key-id {arn}"
    yield Finding("key", says, None if rotates else fix)
    if old := stack.parameters.get("OldTokenKeyArn"):
        fix = "run `reencrypt` to its end, then deploy with an empty OldTokenKeyArn"
        yield Finding("key", f"{old} still opens tokens", fix)


def _tables(stack: Stack) -> Iterator[Finding]:
    client = stack.client("dynamodb")
    production = stack.parameters.get("Production") == "true"
    for logical_id in _TABLES:
        name = stack.resources[logical_id]
        table = client.describe_table(TableName=name)["Table"]
        troubles = []
        if table["TableStatus"] != "ACTIVE":
            troubles.append((f"is {table['TableStatus']}", "wait until it is ACTIVE"))
        if logical_id in _INDEXED:
            indexes = {
                one["IndexName"]: one.get("IndexStatus", "ACTIVE")
                for one in table.get("GlobalSecondaryIndexes", ())
            }
            if indexes.get("due") != "ACTIVE":
                troubles.append(("has no active index `due`", "deploy the template again"))
        if logical_id in _EXPIRING:
            ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            if ttl["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
                troubles.append(("lets nothing expire", "turn TTL on for the attribute ttl"))
        if logical_id == "ConnectionsTable" and not table.get("StreamSpecification", {}).get(
            "StreamEnabled"
        ):
            troubles.append(("has no stream", "deploy the template again"))
        if production:
            backups = client.describe_continuous_backups(TableName=name)
            recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
                troubles.append(("has no point-in-time recovery", "deploy the template again"))
            if not table.get("DeletionProtectionEnabled"):
                troubles.append(("may be deleted", "deploy the template again"))
        for says, fix in troubles:
            yield Finding(logical_id, says, fix)
        if not troubles:
            yield Finding(logical_id, f"active, about {table['ItemCount']} rows")


def _queues(stack: Stack) -> Iterator[Finding]:
    sqs = stack.client("sqs")
    for output in ("WorkDeadLetterQueueUrl", "EventsDeadLetterQueueUrl"):
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        number = int(attributes["ApproximateNumberOfMessages"])
        fix = "mend the cause (see the runbook), then `redrive`"
        about = output.removesuffix("Url")
        yield Finding(about, f"{number} letters", fix if number else None)
    for function in ("ProcessWork", "PublishEvents"):
        mappings = stack.client("lambda").list_event_source_mappings(
            FunctionName=stack.resources[function]
        )["EventSourceMappings"]
        states = [one["State"] for one in mappings]
        fix = "aws lambda update-event-source-mapping --enabled --uuid with the mapping's id"
        well = states == ["Enabled"]
        says = f"its source is {', '.join(states) or 'missing'}"
        yield Finding(function, says, None if well else fix)


def _schedule(stack: Stack) -> Iterator[Finding]:
    name = stack.resources["ScheduleChecksSchedule"]
    state = stack.client("scheduler").get_schedule(Name=name)["State"]
    fix = "enable the schedule: without it lost tasks stay lost and health is not looked at"
    yield Finding("sweep", f"its schedule is {state}", None if state == "ENABLED" else fix)


def _bus(stack: Stack) -> Iterator[Finding]:
    name = stack.outputs["EventBusName"]
    stack.client("events").describe_event_bus(Name=name)
    rules = stack.client("events").list_rules(EventBusName=name)["Rules"]
    off = [one["Name"] for one in rules if one["State"] != "ENABLED"]
    fix = f"enable the rules {', '.join(off)}, or delete them"
    yield Finding("bus", f"{len(rules)} rules take changes from it", fix if off else None)


def _alarms(stack: Stack) -> Iterator[Finding]:
    topic = stack.outputs["AlarmTopicArn"]
    subscribed = stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    confirmed = [one for one in subscribed if one["SubscriptionArn"].startswith("arn:")]
    fix = "deploy with AlarmEmail and confirm the mail that comes, or subscribe something else"
    says = f"{len(confirmed)} hear them"
    yield Finding("alarms", says, None if confirmed else fix)
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
    ours = {name: logical for logical, name in stack.resources.items() if logical.endswith("Alarm")}
    for page in pages:
        for alarm in page["MetricAlarms"]:
            if logical_id := ours.get(alarm["AlarmName"]):
                said = alarm["AlarmDescription"]
                yield Finding(logical_id, "rings", said)


_CHECKS = (*(_stack, _api, _issuer, _finch, _key, _tables, _queues, _schedule, _bus, _alarms),)
