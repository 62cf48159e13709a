"""Runs each acceptance test in this process and deployed in the local world.

In this process it runs four times: Finch answers as it does today, as in its first reference (`old`),
or with the required fields only (`sparse`); or the ids of Finch and of the customers have characters
that separate, escape or end something elsewhere (`hostile`). `pytest tests/acceptance -k in_process`,
`-k old`, `-k sparse`, `-k hostile` or `-k deployed` selects a world.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from tests.local.conftest import deploy_nothing_in, world
from tests.support.deployed import Deployed
from tests.support.in_process import deploy

__all__ = ["world"]

_HOSTILE = " /../|#?&=%2F~2'\"\\<ü日😀"
# The first has the longest length that the product accepts. Finch gets the second without a hash.
HOSTILE_CUSTOMERS = {
    "auth0|acme": f"auth0|acme{_HOSTILE}".ljust(256, "😀"),
    "ada@globex.example": f"ada@globex.example{_HOSTILE}",
}


@pytest.fixture(scope="module", params=["in_process", "old", "sparse", "hostile", "deployed"])
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
                if request.param == "hostile":
                    product.finch.reset(ids="hostile")
                    return replace(product, customer_ids=HOSTILE_CUSTOMERS)
                if request.param != "in_process":
                    product.finch.change_switches(answers=request.param)
                return product

            yield emptied


@pytest.fixture
def deployed(empty_product: Callable[[], Deployed]) -> Deployed:
    """The product with no data."""
    return empty_product()
