"""The products that the attacks run against.

`deployed` is the product in this process, `over_http` the product in the local world.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from local.world import World
from tests.integration.conftest import deployed, in_process, log
from tests.local.conftest import deploy_nothing_in, world
from tests.security.exercises import PreparedWorld, prepare_world
from tests.security.recording_api import RecordingApi
from tests.support.deployed import Deployed

__all__ = ["deployed", "in_process", "log", "over_http", "prepared", "recording_api", "world"]


@pytest.fixture
def over_http(world: World) -> Deployed:
    """The product in the local world, with empty tables."""
    return deploy_nothing_in(world)


@pytest.fixture(scope="session")
def recording_api(world: World) -> RecordingApi:
    """The recording API that `prepared` uses."""
    return RecordingApi(deploy_nothing_in(world).api)


@pytest.fixture(scope="session")
def prepared(world: World, recording_api: RecordingApi) -> PreparedWorld:
    """The local world with work for every function: prepared once, and restored before each exercise."""
    product = replace(deploy_nothing_in(world), api=recording_api)
    return prepare_world(product, lambda: _old_key(world))


@contextmanager
def _old_key(world: World) -> Iterator[str]:
    """Makes a key that `reencrypt_tokens` has as the old key, and with which it may decrypt."""
    iam, functions = world.aws.client("iam"), world.aws.client("lambda")
    arn: str = world.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    role = {"RoleName": world.physical_id("ReencryptTokensRole"), "PolicyName": "old-key"}
    function = world.physical_id("ReencryptTokens")
    before = functions.get_function_configuration(FunctionName=function)["Environment"]
    variables = before["Variables"] | {"OLD_TOKEN_KEY_ARN": arn}
    decrypts = {"Effect": "Allow", "Action": "kms:ReEncryptFrom", "Resource": arn}
    iam.put_role_policy(**role, PolicyDocument=json.dumps({"Statement": [decrypts]}))

    alias = {"FunctionName": function, "Name": "live"}
    deployed = functions.get_alias(**alias)["FunctionVersion"]
    functions.update_function_configuration(
        FunctionName=function, Environment={"Variables": variables}
    )
    version = functions.publish_version(FunctionName=function)["Version"]
    functions.update_alias(**alias, FunctionVersion=version)
    try:
        yield arn
    finally:
        functions.update_function_configuration(FunctionName=function, Environment=before)
        functions.update_alias(**alias, FunctionVersion=deployed)
        # Other tests look at the versions of the stack.
        functions.delete_function(FunctionName=function, Qualifier=version)
        iam.delete_role_policy(**role)
