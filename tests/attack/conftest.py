"""Where attacks run: the product in this process, and the world that other tests run it in.

`deployed` is the product in process; what asks for `over_http` gets it in the local world.
"""

import logging
from collections.abc import Iterator
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
    return set_stage(replace(deploy_nothing_in(world), api=ear))
