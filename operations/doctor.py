"""`doctor`: checks everything that a deployed stack needs, and names a fix for each fault."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from operations.stack import CannotOperate, ExitCode, Say, Stack, missing_permission

_TABLES = (
    "ConnectionsTable",
    "ConnectSessionsTable",
    "OwnershipTable",
    "AuditTable",
    "GrantsTable",
)
_EXPIRING = ("ConnectSessionsTable", "AuditTable")
_INDEXED = ("ConnectionsTable", "ConnectSessionsTable")
_TIMEOUT = 10.0

type Check = Callable[[Stack], Iterator[Finding]]


@dataclass(frozen=True)
class Finding:
    """A result of a check. `fix` says how to fix a fault; it is None if all is well."""

    about: str
    state: str
    fix: str | None = None

    def lines(self) -> Iterator[str]:
        """The finding for a person."""
        yield f"{'ok   ' if self.fix is None else 'WRONG'}  {self.about}: {self.state}"
        if self.fix is not None:
            yield f"         -> {self.fix}"


def examine(stack: Stack, say: Say, *, as_json: bool = False) -> ExitCode:
    """Prints every finding; the exit code says whether there is a fault."""
    found = []
    for finding in findings(stack):
        found.append(finding)
        if not as_json:
            for line in finding.lines():
                say(line)
    wrong = sum(finding.fix is not None for finding in found)
    if as_json:
        say(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        say(f"{wrong} faults." if wrong else "All is well.")
    return ExitCode.PERSON_NEEDED if wrong else ExitCode.DONE


def findings(stack: Stack, checks: Sequence[Check] | None = None) -> Iterator[Finding]:
    """The result of these checks, or of every check. A cause that stops several checks is one finding."""
    denied, missing = [], []
    for check in checks or (*BASICS, *_OTHERS):
        try:
            yield from check(stack)
        except KeyError as error:
            missing.append(str(error.args[0]))
        except (ClientError, BotoCoreError, CannotOperate) as error:
            if action := missing_permission(error):
                denied.append(action)
                continue
            about = check.__name__.strip("_").replace("_", " ")
            yield Finding(
                about, f"cannot be read: {error}", "see the log of the function or of AWS"
            )
    if denied:
        actions = ", ".join(dict.fromkeys(denied))
        yield Finding("permissions", f"your AWS role may not {actions}", "use a role that may")
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        yield Finding("stack", f"it has no {names}", "deploy the whole template again")


def _stack(stack: Stack) -> Iterator[Finding]:
    status = stack.described["StackStatus"]
    well = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    yield Finding("stack", status, None if well else "see its events, fix the cause, deploy again")


def _api(stack: Stack) -> Iterator[Finding]:
    url = stack.outputs["ApiUrl"]
    try:
        listing = httpx.get(f"{url}/connections", timeout=_TIMEOUT)
        unknown = httpx.get(f"{url}/no-such-route", timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        fix = "map the domain of ApiUrl to the API, or leave ApiUrl empty"
        yield Finding("API", f"{url} cannot be reached ({type(error).__name__})", fix)
        return
    well = listing.status_code == 401 and "route_not_found" in unknown.text
    state = f"{url} answers {listing.status_code} without an access token"
    fix = "check that ApiUrl, and the mapping of its domain, lead to this stack's stage $default"
    if "route_not_found" in listing.text:
        fix = "API Gateway could not read the issuer during deployment: correct JwtIssuer, deploy again"
    yield Finding("API", state, None if well else fix)


def _issuer(stack: Stack) -> Iterator[Finding]:
    issuer = stack.parameters["JwtIssuer"]
    about = "access tokens"
    try:
        # If the issuer ends with a slash, API Gateway adds no second slash.
        discovery = httpx.get(
            f"{issuer.rstrip('/')}/.well-known/openid-configuration", timeout=_TIMEOUT
        )
        document = discovery.raise_for_status().json()
        keys = httpx.get(document["jwks_uri"], timeout=_TIMEOUT).raise_for_status().json()["keys"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        state = f"{issuer} has no OpenID Connect discovery with keys ({type(error).__name__})"
        fix = "set JwtIssuer to the issuer's URL, and make it reachable from the internet"
        yield Finding(about, state, fix)
        return
    rsa = [key for key in keys if key.get("kty") == "RSA"]
    if document.get("issuer") != issuer:
        state = f"the issuer calls itself {document.get('issuer')}, not {issuer}"
        yield Finding(about, state, "set JwtIssuer exactly as in the tokens' iss")
    elif not rsa:
        yield Finding(about, "the issuer has no RSA key", "configure it to sign with RS256")
    else:
        yield Finding(about, f"{issuer} signs with {len(rsa)} RSA keys")


def _finch(stack: Stack) -> Iterator[Finding]:
    callback = stack.outputs["CallbackUrl"]
    secret = stack.outputs["FinchSecretArn"]
    answer = stack.invoke("ResolveUnfinished", {"action": "examine", "callback_url": callback})
    fixes: Mapping[str, str] = {
        "credentials_unreadable": f"fill in client_id and client_secret in the secret {secret}",
        "invalid_client": "copy client_id and client_secret from Finch's dashboard into the secret",
        "payment_required": "check the plan in Finch's dashboard",
        "request_refused": f"register {callback} as a redirect URI in Finch's dashboard",
    }
    code = answer["finch"]
    if code == "ok":
        yield Finding("Finch", f"accepts our credentials and the redirect URI {callback}")
    else:
        yield Finding("Finch", code, fixes.get(code, "try again later; see Finch's status page"))
    number = answer["webhook_secrets"]
    fix = "copy the webhook secret from Finch's dashboard into webhook_secrets of the secret"
    yield Finding("webhook secrets", f"{number} are usable", None if number else fix)
    if urlsplit(callback).scheme != "https" and urlsplit(callback).hostname != "localhost":
        yield Finding("redirect URI", f"{callback} is not https", "set ApiUrl to an https:// URL")


def _key(stack: Stack) -> Iterator[Finding]:
    arn, kms = stack.outputs["TokenKeyArn"], stack.client("kms")
    state = kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    fix = f"aws kms enable-key --key-id {arn}; if PendingDeletion, first cancel the deletion"
    yield Finding("key", state, None if state == "Enabled" else fix)
    rotates = kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
    state = "rotates every year" if rotates else "does not rotate"
    fix = f"aws kms enable-key-rotation --key-id {arn}"
    yield Finding("key", state, None if rotates else fix)
    if old := stack.parameters.get("OldTokenKeyArn"):
        fix = "run `reencrypt` until it is done, then deploy with an empty OldTokenKeyArn"
        yield Finding("key", f"functions may still decrypt with {old}", fix)


def _tables(stack: Stack) -> Iterator[Finding]:
    client = stack.client("dynamodb")
    production = stack.parameters.get("Production") == "true"
    for logical_id in _TABLES:
        name = stack.resources[logical_id]
        table = client.describe_table(TableName=name)["Table"]
        faults = []
        if table["TableStatus"] != "ACTIVE":
            faults.append((f"is {table['TableStatus']}", "wait until it is ACTIVE"))
        if logical_id in _INDEXED:
            indexes = {
                index["IndexName"]: index.get("IndexStatus", "ACTIVE")
                for index in table.get("GlobalSecondaryIndexes", ())
            }
            if indexes.get("due") != "ACTIVE":
                faults.append(("has no active index `due`", "deploy the template again"))
        if logical_id in _EXPIRING:
            ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            if ttl["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
                faults.append(("does not expire items", "turn TTL on for the attribute ttl"))
        if logical_id == "ConnectionsTable" and not table.get("StreamSpecification", {}).get(
            "StreamEnabled"
        ):
            faults.append(("has no stream", "deploy the template again"))
        if production:
            backups = client.describe_continuous_backups(TableName=name)
            recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
                faults.append(("has no point-in-time recovery", "deploy the template again"))
            if not table.get("DeletionProtectionEnabled"):
                faults.append(("has no deletion protection", "deploy the template again"))
        for state, fix in faults:
            yield Finding(logical_id, state, fix)
        if not faults:
            yield Finding(logical_id, f"active, about {table['ItemCount']} rows")


def _queues(stack: Stack) -> Iterator[Finding]:
    sqs = stack.client("sqs")
    for output in ("WorkDeadLetterQueueUrl", "EventsDeadLetterQueueUrl"):
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        number = int(attributes["ApproximateNumberOfMessages"])
        fix = "fix the cause (see the runbook), then run `redrive`"
        about = output.removesuffix("Url")
        yield Finding(about, f"{number} dead letters", fix if number else None)
    for function in ("ProcessWork", "PublishEvents"):
        mappings = stack.client("lambda").list_event_source_mappings(
            FunctionName=stack.alias(function)
        )["EventSourceMappings"]
        states = [mapping["State"] for mapping in mappings]
        fix = "aws lambda update-event-source-mapping --enabled --uuid and the mapping's id"
        well = states == ["Enabled"]
        state = f"its event source mapping is {', '.join(states) or 'missing'}"
        yield Finding(function, state, None if well else fix)


def _schedule(stack: Stack) -> Iterator[Finding]:
    for about, logical_id, fix in (
        (
            "scheduled check",
            "ScheduleChecksSchedule",
            "enable the schedule: without it, interrupted work stays unfinished and no health is checked",
        ),
        (
            "daily count",
            "ScheduleChecksCount",
            "enable the schedule: without it, no alarm rings for idle connections",
        ),
    ):
        name = stack.resources[logical_id]
        state = stack.client("scheduler").get_schedule(Name=name)["State"]
        yield Finding(about, f"its schedule is {state}", None if state == "ENABLED" else fix)


def _bus(stack: Stack) -> Iterator[Finding]:
    name = stack.outputs["EventBusName"]
    stack.client("events").describe_event_bus(Name=name)
    rules = stack.client("events").list_rules(EventBusName=name)["Rules"]
    off = [rule["Name"] for rule in rules if rule["State"] != "ENABLED"]
    fix = f"enable the rules {', '.join(off)}, or delete them"
    yield Finding("bus", f"{len(rules)} rules receive its events", fix if off else None)


def _alarms(stack: Stack) -> Iterator[Finding]:
    topic = stack.outputs["AlarmTopicArn"]
    subscribed = stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    confirmed = [each for each in subscribed if each["SubscriptionArn"].startswith("arn:")]
    fix = "deploy with AlarmEmail and confirm the mail, or add another subscription"
    state = f"{len(confirmed)} confirmed subscriptions"
    yield Finding("alarms", state, None if confirmed else fix)
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
    ours = {name: logical for logical, name in stack.resources.items() if logical.endswith("Alarm")}
    for page in pages:
        for alarm in page["MetricAlarms"]:
            if logical_id := ours.get(alarm["AlarmName"]):
                yield Finding(logical_id, "rings", alarm["AlarmDescription"])


def _calls(stack: Stack) -> Iterator[Finding]:
    # An empty request is refused before anything is read or recorded.
    answer = stack.call(stack.outputs["CallFinchArn"], {})
    reads, writes = (stack.parameters[f"CallFinch{one}"] for one in ("Reads", "Writes"))
    state = f"backends may read {reads}, and change {writes or 'nothing'}"
    well = answer.get("reason") == "invalid_request"
    yield Finding("CallFinch", state, None if well else "see its log: it takes an empty request")


# Without these, no customer can connect.
BASICS = (_stack, _api, _issuer, _finch)
_OTHERS = (_key, _tables, _queues, _calls, _schedule, _bus, _alarms)
