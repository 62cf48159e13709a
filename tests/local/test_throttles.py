"""The throttles of the API: strangers at ten times their limit do not disturb customers."""

from local.world import World
from tests.load.strangers import besiege
from tests.support.deployed import Deployed


def test_strangers_at_ten_times_their_limit_leave_customers_unharmed(
    world: World, deployed: Deployed
) -> None:
    siege = besiege(world, deployed, seconds=1)
    assert siege.faults == []
    # Every customer's request succeeded, and most of the strangers' were refused.
    assert set(siege.customers) == {200, 201}
    assert siege.strangers[429] > siege.strangers.total() / 2
    assert set(siege.strangers) == {302, 401, 404, 429}
