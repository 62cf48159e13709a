"""Versions and the alias: when CloudFormation publishes a version of a function, and who uses it."""

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

import pytest

from tests.support.deployed import TEMPLATE
from tests.support.translated import Evaluation, translated

FUNCTIONS = [
    name
    for name, one in TEMPLATE["Resources"].items()
    if one["Type"] == "AWS::Serverless::Function"
]
# A user waits for them.
FAST = {"StartConnect", "FinishConnect", "ListConnections", "Disconnect"}
# For each parameter, a value that differs from its value in `translated` and has an effect.
OTHERS = {
    "AlarmEmail": "operator@example.com",
    "ApiUrl": "https://api.example.com/payroll",
    "AttemptsPerCustomer": "61",
    "Architecture": "x86_64",
    "CallFinchReads": "/employer/company",
    "CallFinchWrites": "/employer/benefits",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "ChecksPerMinute": "101",
    "ConnectModes": "embedded",
    "CustomerClaim": "account",
    "DeploymentPreference": "Linear10PercentEvery1Minute",
    "DomainName": "api.example.com",
    "FinchApiUrl": "https://finch.example.com",
    "FinchSandbox": "finch",
    "FrontendOrigins": "https://other.example.com",
    "HostedZoneId": "Z1",
    "IdleConnections": "1",
    "IdleDays": "31",
    "JwtAudience": "others",
    "JwtIssuer": "https://other.example.com/",
    "LogRetentionDays": "7",
    "MaxConnections": "1",
    "OldTokenKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/old",
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "Production": "true",
    "ProvisionedConcurrency": "1",
    # The longest value, whose last character decides.
    "ReturnUrls": "https://app.example.com/" + "x" * 1375 + "y",
    "SnapStart": "true",
    "StrangersConcurrency": "50",
    "TokenKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/new",
    "WaitingConnections": "1",
    "WithExample": "true",
    "WorkConcurrency": "2",
}
BEFORE = {"ReturnUrls": OTHERS["ReturnUrls"][:-1] + "z", "WithExample": "false"}
REACH_ALL = {
    *("ApiUrl", "Architecture", "AttemptsPerCustomer", "ChecksPerMinute", "ConnectModes"),
    *("CustomerClaim", "DomainName", "FinchApiUrl", "FinchSandbox", "IdleDays", "MaxConnections"),
    *("OldTokenKeyArn", "ReturnUrls", "TokenKeyArn"),
}
REACHED = {name: set(FUNCTIONS) for name in REACH_ALL} | {
    "SnapStart": FAST,
    "CallFinchReads": {"CallFinch"},
    "CallFinchWrites": {"CallFinch"},
}
# Lambda keeps these for the function, and not in its versions ("Managing Lambda function versions").
NOT_IN_VERSIONS = {"ReservedConcurrentExecutions", "Tags"}


def version_of(template: dict[str, Any], function: str) -> str:
    """The logical id of a function's version, which its alias names."""
    alias = template["Resources"][f"{function}Aliaslive"]["Properties"]
    name: str = alias["FunctionVersion"]["Fn::GetAtt"][0]
    return name


def versions(template: dict[str, Any], **parameters: str) -> dict[str, tuple[str, str]]:
    """For each function its version's logical id and description, which CloudFormation compares."""
    evaluation, found = Evaluation(template, **parameters), {}
    for function in FUNCTIONS:
        name = version_of(template, function)
        properties = template["Resources"][name]["Properties"]
        assert properties.keys() == {"Description", "FunctionName"}
        found[function] = (name, evaluation.value(properties["Description"]))
    return found


def configurations(template: dict[str, Any], **parameters: str) -> dict[str, Any]:
    """For each function the configuration that a version of it would have."""
    evaluation = Evaluation(template, **parameters)
    return {
        function: evaluation.value(
            {
                name: one
                for name, one in template["Resources"][function]["Properties"].items()
                if name not in NOT_IN_VERSIONS
            }
        )
        for function in FUNCTIONS
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {function for function in FUNCTIONS if before[function] != after[function]}


@pytest.mark.parametrize("parameter", TEMPLATE["Parameters"])
def test_parameter_publishes_a_version_of_exactly_the_functions_that_it_reaches(
    parameter: str,
) -> None:
    """Lambda would serve the old value without a new version, and refuses one without a change.

    "PublishVersion" in the Lambda API Reference.
    """
    template, other = translated(), {**BEFORE, parameter: OTHERS[parameter]}
    reached = changed(configurations(template, **BEFORE), configurations(template, **other))
    assert reached == REACHED.get(parameter, set())
    assert changed(versions(template, **BEFORE), versions(template, **other)) == reached


def test_translation_depends_on_no_parameter_except_the_deployment_preference() -> None:
    """So the tests above see the same template as CloudFormation does after each change."""
    others = {name: one for name, one in OTHERS.items() if name != "DeploymentPreference"}
    assert translated(**others)["Resources"] == translated()["Resources"]


def test_settings_are_exactly_the_values_that_reach_every_function() -> None:
    """Also a table or queue that CloudFormation replaces changes a variable."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"].values()
    # A stack keeps its name.
    fixed: list[Any] = [{"Ref": "AWS::StackName"}]
    reaching = [one for one in variables if isinstance(one, dict) and one not in fixed]
    content = TEMPLATE["Resources"]["Settings"]["Properties"]["Content"]["Fn::Join"][1]
    assert content == [{"Ref": "Architecture"}, *reaching]


@pytest.mark.parametrize(
    ("code", "reached"),
    [
        ("SharedLayer", set(FUNCTIONS)),
        ("AwsLayer", set(FUNCTIONS) - {"ReadDirectory"}),
        ("VendToken", {"VendToken"}),
    ],
)
def test_changed_code_publishes_a_version_of_the_functions_that_have_it(
    code: str, reached: set[str]
) -> None:
    assert changed(versions(translated()), versions(translated(code))) == reached


def test_longest_description_fits_and_nothing_keeps_an_old_version() -> None:
    """ "AWS::Lambda::Version" in CloudFormation's reference: 256 characters."""
    resources = translated()["Resources"]
    longest = "/employer/" + "x" * 65
    parameters = {"CallFinchReads": longest, "CallFinchWrites": longest}
    for name, description in versions(translated(), SnapStart="false", **parameters).values():
        more = f", SnapStart false|, reads {longest}, writes {longest}"
        assert re.fullmatch(rf"settings \w{{8}}({more})?", description)
        assert len(description) <= 256
        version = resources[name]
        assert version["DeletionPolicy"] == "Delete"
        assert "UpdateReplacePolicy" not in version


# The callers


def references(part: Any) -> Iterator[str]:
    """The logical ids that a part of a template refers to."""
    if isinstance(part, list):
        for one in part:
            yield from references(one)
    if not isinstance(part, dict):
        return
    for function, argument in part.items():
        if function == "Ref":
            yield argument
        elif function == "Fn::GetAtt":
            yield argument[0]
        elif function == "Fn::Sub":
            text = argument if isinstance(argument, str) else argument[0]
            yield from (name.partition(".")[0] for name in re.findall(r"\$\{([\w.]+)\}", text))
        yield from references(argument)


def test_everything_that_calls_a_function_names_its_alias() -> None:
    """Except metrics: the dimension `FunctionName` alone counts all versions and aliases."""
    about_a_function = {
        *("AWS::Lambda::Alias", "AWS::Lambda::Version", "AWS::CloudWatch::Alarm"),
    }
    callers = {
        name: set(references(one)) & set(FUNCTIONS)
        for name, one in translated()["Resources"].items()
        if one["Type"] not in about_a_function
    }
    # CodeDeploy moves the aliases.
    assert callers.pop("DeploymentRole") == GRADUAL
    assert not any(callers.values())
    assert not set(references(translated()["Outputs"])) & set(FUNCTIONS)
    aliases = {one for one in references(translated()) if one.endswith("Aliaslive")}
    # The operator's program finds the others by their logical ids.
    by_name = {"EraseCustomer", "ReencryptTokens", "RestoreBackup"}
    assert aliases == {f"{name}Aliaslive" for name in set(FUNCTIONS) - by_name}


# SnapStart and provisioned concurrency


@pytest.mark.parametrize(
    ("snapshots", "provisioned", "accepted"),
    [("false", "0", True), ("true", "0", True), ("false", "1", True), ("true", "1", False)],
)
def test_snapstart_and_provisioned_concurrency_exclude_each_other(
    snapshots: str, provisioned: str, accepted: bool
) -> None:
    chosen = {"SnapStart": snapshots, "ProvisionedConcurrency": provisioned}
    evaluation = Evaluation(translated(), **chosen)
    rule = translated()["Rules"]["SnapStartOrProvisionedConcurrency"]
    [assertion] = rule["Assertions"]
    refused = evaluation.value(rule["RuleCondition"]) and not evaluation.value(assertion["Assert"])
    assert refused is not accepted


def test_provisioned_concurrency_is_on_the_aliases_that_a_user_waits_for() -> None:
    resources = translated()["Resources"]
    for number, expected in (("0", set[str]()), ("3", FAST)):
        evaluation = Evaluation(translated(), ProvisionedConcurrency=number)
        aliases = {
            name: evaluation.value(resources[f"{name}Aliaslive"]["Properties"])
            for name in FUNCTIONS
        }
        config = {"ProvisionedConcurrentExecutions": number}
        provisioned = {
            name: one["ProvisionedConcurrencyConfig"]
            for name, one in aliases.items()
            if "ProvisionedConcurrencyConfig" in one
        }
        assert provisioned == dict.fromkeys(expected, config)


# Gradual deployments


# CodeDeploy cannot know the functions that need VendToken's alias.
GRADUAL = set(FUNCTIONS) - {"ListEmployees", "ReadDirectory"}
CANARY = {"DeploymentPreference": "Canary10Percent5Minutes"}


def test_every_preference_is_known_to_codedeploy_and_only_the_default_is_at_once() -> None:
    from samtranslator.model.preferences.deployment_preference_collection import (
        CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST,
    )

    parameter = TEMPLATE["Parameters"]["DeploymentPreference"]
    mapping = TEMPLATE["Mappings"]["DeploymentPreferences"]
    assert set(parameter["AllowedValues"]) == set(CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST)
    assert mapping == {
        name: {"Gradual": "false" if name == parameter["Default"] else "true"}
        for name in parameter["AllowedValues"]
    }


def test_deployment_at_once_needs_nothing_of_codedeploy() -> None:
    template = translated()
    assert not [one for one in template["Resources"].values() if "CodeDeploy" in one["Type"]]
    assert not Evaluation(template).holds("IsGradual")
    assert not any("UpdatePolicy" in one for one in template["Resources"].values())


def test_gradual_deployment_of_each_function_is_rolled_back_by_our_alarms() -> None:
    template = translated(**CANARY)
    resources = template["Resources"]
    evaluation = Evaluation(template, **CANARY)
    assert evaluation.holds("IsGradual")
    for backend in ("ListEmployees", "ReadDirectory"):
        assert "UpdatePolicy" not in resources[f"{backend}Aliaslive"]
    for function in GRADUAL:
        policy = resources[f"{function}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{function}DeploymentGroup"}
        properties = resources[f"{function}DeploymentGroup"]["Properties"]
        alarms = [one["Name"]["Ref"] for one in properties["AlarmConfiguration"]["Alarms"]]
        # "CodeDeploy quotas" in its guide: ten alarms.
        assert len(alarms) <= 10
        for alarm in alarms:
            stated = TEMPLATE["Resources"][alarm]["Properties"]
            periods = [one["MetricStat"]["Period"] for one in stated.get("Metrics", [])[1:]]
            # Five minutes, the shortest canary.
            assert max(periods or [stated["Period"]]) * stated["EvaluationPeriods"] <= 300
        rollback = properties["AutoRollbackConfiguration"]
        assert rollback["Enabled"]
        assert "DEPLOYMENT_STOP_ON_ALARM" in rollback["Events"]
        assert evaluation.value(properties["ServiceRoleArn"]) == "DeploymentRole.Arn"
    roles = {name for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    assert "CodeDeployServiceRole" not in roles


def test_gradual_deployment_makes_no_circle_of_resources() -> None:
    """CloudFormation refuses a circle: the alarm of the API would need the API, which needs aliases."""
    resources = translated(**CANARY)["Resources"]
    TopologicalSorter(
        {name: set(references(one)) & resources.keys() for name, one in resources.items()}
    ).prepare()


def test_deployment_role_may_only_move_the_aliases_and_watch_the_alarms() -> None:
    role = TEMPLATE["Resources"]["DeploymentRole"]["Properties"]
    [policy] = role["Policies"]
    move, wait, watch = policy["PolicyDocument"]["Statement"]
    assert move["Action"] == ["lambda:GetAlias", "lambda:UpdateAlias"]
    assert move["Resource"] == [
        {"Fn::GetAtt": [name, "Arn"]} for name in FUNCTIONS if name in GRADUAL
    ]
    assert wait["Action"] == "lambda:GetProvisionedConcurrencyConfig"
    assert wait["Resource"] == [
        {"Fn::Sub": f"${{{name}.Arn}}:live"} for name in FUNCTIONS if name in FAST
    ]
    assert watch["Action"] == "cloudwatch:DescribeAlarms"
    assert watch["Resource"]["Fn::Sub"].endswith(":alarm:*")
