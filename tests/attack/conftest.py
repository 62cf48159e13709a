"""Where attacks run: the product in this process, and the world that other tests run it in.

`deployed` is the product in process; what asks for `over_http` gets it in the local world.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO

import pytest

from finch_connections.log import logger
from local.world import World
from tests.attack.ear import Ear
from tests.attack.exercises import Stage, set_stage
from tests.deployed import Deployed
from tests.in_process import InProcess, deploy
from tests.local.conftest import deploy_nothing_in, running_world


@pytest.fixture(scope="module")
def in_process() -> Iterator[InProcess]:
    """The product, deployed once for a module."""
    with deploy() as deployed:
        yield deployed


@pytest.fixture
def deployed(in_process: InProcess) -> InProcess:
    """The product with nothing in it."""
    in_process.reset()
    return in_process


@pytest.fixture
def log() -> Iterator[StringIO]:
    """The lines that the functions write, as CloudWatch would get them."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    written_to = logging.getLogger(logger.name)
    written_to.addHandler(handler)
    yield lines
    written_to.removeHandler(handler)


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The local world of this session."""
    return running_world(request.session, tmp_path_factory)


@pytest.fixture
def over_http(world: World) -> Deployed:
    """The product in the local world, with nothing in it."""
    return deploy_nothing_in(world)


@pytest.fixture(scope="session")
def ear(world: World) -> Ear:
    """Who has heard all that the stage was set with."""
    return Ear(deploy_nothing_in(world).api)


@pytest.fixture(scope="session")
def stage(world: World, ear: Ear) -> Stage:
    """Every function of the local world with something to do; set once, and brought back."""
    product = replace(deploy_nothing_in(world), api=ear)
    return set_stage(product, lambda: _old_key(world))


@contextmanager
def _old_key(world: World) -> Iterator[str]:
    """A key that the function that reseals knows as the one before, and may open."""
    iam, functions = world.aws.client("iam"), world.aws.client("lambda")
    arn: str = world.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    role = {"RoleName": world.physical_id("ResealTokensRole"), "PolicyName": "old-key"}
    function = world.physical_id("ResealTokens")
    there = functions.get_function_configuration(FunctionName=function)["Environment"]
    variables = there["Variables"] | {"OLD_TOKEN_KEY_ARN": arn}
    opens = {"Effect": "Allow", "Action": "kms:ReEncryptFrom", "Resource": arn}
    iam.put_role_policy(**role, PolicyDocument=json.dumps({"Statement": [opens]}))
    functions.update_function_configuration(
        FunctionName=function, Environment={"Variables": variables}
    )
    try:
        yield arn
    finally:
        functions.update_function_configuration(FunctionName=function, Environment=there)
        iam.delete_role_policy(**role)
