"""A second, independent emulator: moto's CloudFormation creates the translated template as far as it can.

`docs/aws.md` lists where it differs from the emulator of the local world.
"""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from typing import Any, Final
from unittest.mock import MagicMock

import boto3
import pytest
from moto import mock_aws

from tests.support.translated import PARAMETERS, translated

REGION: Final = "eu-west-1"
NOT_IN_MOTO = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Stage",
    "AWS::AppConfig::Application",
    "AWS::AppConfig::ConfigurationProfile",
    "AWS::AppConfig::HostedConfigurationVersion",
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::Alias",
    "AWS::SNS::Subscription",
    "AWS::Scheduler::Schedule",
    "AWS::SecretsManager::Secret",
}
RESOURCES: dict[str, Any] = translated()["Resources"]
LEFT_OUT = {name for name, one in RESOURCES.items() if one["Type"] in NOT_IN_MOTO}
# The default parameters ask neither for the example nor for a domain.
EXPECTED = {
    name for name, one in RESOURCES.items() if name not in LEFT_OUT and "Condition" not in one
}


def without_references(value: Any) -> Any:
    """A part of the template with a text in the place of each reference to a resource that is left out.

    A caller of an alias calls the function instead.
    """
    if isinstance(value, list):
        return [without_references(one) for one in value]
    if not isinstance(value, dict):
        return value
    function, argument = next(iter(value.items())) if len(value) == 1 else ("", "")
    named = argument if function == "Ref" else argument[0] if function == "Fn::GetAtt" else ""
    if function == "Fn::Sub":
        named = next((name for name in LEFT_OUT if name in json.dumps(argument)), "")
    if named.endswith("Aliaslive"):
        return {"Ref": named.removesuffix("Aliaslive")}
    if named in LEFT_OUT:
        return f"left-out-{named}"
    return {name: without_references(one) for name, one in value.items()}


@pytest.fixture(scope="module")
def created() -> Iterator[dict[str, str]]:
    """The ids of the resources that moto created, by their names in the template."""
    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        # moto validates definitions of REST APIs with it. We have none.
        validator = "openapi_spec_validator"
        for name in (validator, f"{validator}.validation", f"{validator}.validation.exceptions"):
            monkeypatch.setitem(sys.modules, name, MagicMock())
        code = io.BytesIO()
        zipfile.ZipFile(code, "w").close()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="bucket", Key="key", Body=code.getvalue())
        # moto checks outputs before it leaves anything out.
        template = {name: part for name, part in translated().items() if name != "Outputs"} | {
            "Resources": {
                name: without_references(one)
                for name, one in RESOURCES.items()
                if name not in LEFT_OUT
            }
        }
        client = boto3.client("cloudformation")
        client.create_stack(
            StackName="finch",
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in PARAMETERS.items()
            ],
        )
        [stack] = client.describe_stacks(StackName="finch")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        pages = client.get_paginator("list_stack_resources").paginate(StackName="finch")
        yield {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
        }


def test_moto_creates_everything_except_the_types_that_it_does_not_have(
    created: dict[str, str],
) -> None:
    from moto.cloudformation.parsing import get_model_map

    assert {one["Type"] for one in RESOURCES.values()} - get_model_map().keys() == NOT_IN_MOTO
    # moto lists one more resource, without a name.
    assert created.keys() - {""} == EXPECTED


def test_moto_makes_tables_with_indexes_and_stream_but_without_expiry(
    created: dict[str, str],
) -> None:
    client = boto3.client("dynamodb")
    for name in (
        "ConnectionsTable",
        "ConnectSessionsTable",
        "OwnershipTable",
        "AuditTable",
        "GrantsTable",
    ):
        wanted = RESOURCES[name]["Properties"]
        table = client.describe_table(TableName=created[name])["Table"]
        assert table["KeySchema"] == wanted["KeySchema"]
        assert {one["IndexName"] for one in table.get("GlobalSecondaryIndexes", ())} == {
            one["IndexName"] for one in wanted.get("GlobalSecondaryIndexes", ())
        }
        assert ("LatestStreamArn" in table) == ("StreamSpecification" in wanted)
        # moto ignores the expiry and the recovery of a table.
        expiry = client.describe_time_to_live(TableName=created[name])["TimeToLiveDescription"]
        assert expiry["TimeToLiveStatus"] == "DISABLED"


def test_moto_connects_the_queues_and_the_functions(created: dict[str, str]) -> None:
    sqs, functions = boto3.client("sqs"), boto3.client("lambda")
    attributes = sqs.get_queue_attributes(QueueUrl=created["WorkQueue"], AttributeNames=["All"])
    queue = attributes["Attributes"]
    wanted = RESOURCES["WorkQueue"]["Properties"]
    assert int(queue["VisibilityTimeout"]) == wanted["VisibilityTimeout"]
    dead = created["WorkDeadLetterQueue"].rpartition("/")[2]
    assert json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{dead}")
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    assert {one["FunctionArn"].rpartition(":")[2]: one["BatchSize"] for one in mappings} == {
        created["ProcessWork"]: 5,
        created["PublishEvents"]: 100,
    }
    options = ("FunctionResponseTypes", "ScalingConfig", "FilterCriteria")
    for name in ("ProcessWorkQueue", "PublishEventsChanges"):
        [found] = [one for one in mappings if one["UUID"] == created[name]]
        wanted = RESOURCES[name]["Properties"]
        assert [found.get(one) for one in options] == [wanted.get(one) for one in options]
