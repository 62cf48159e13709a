"""Runs each acceptance test in two worlds: in this process, and deployed in the local world.

`pytest tests/acceptance -k in_process` or `-k deployed` selects a world.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.local.conftest import deploy_nothing_in, world
from tests.support.deployed import Deployed
from tests.support.in_process import deploy

__all__ = ["world"]


@pytest.fixture(scope="module", params=["in_process", "deployed"])
def empty_product(request: pytest.FixtureRequest) -> Iterator[Callable[[], Deployed]]:
    """Empties the product and returns it: moto in this process, or over HTTP in the local world.

    The local world starts only when a selected test needs it. By then the simulated time of
    the other world has ended.
    """
    if request.param == "deployed":
        yield partial(deploy_nothing_in, request.getfixturevalue("world"))
    else:
        with deploy() as product:

            def emptied() -> Deployed:
                product.reset()
                return product

            yield emptied


@pytest.fixture
def deployed(empty_product: Callable[[], Deployed]) -> Deployed:
    """The product with no data."""
    return empty_product()
