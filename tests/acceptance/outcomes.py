"""Results that the acceptance tests compare with: the usual outcome, and counts at the fake Finch."""

from local.fake_finch.seed_world import HARBOR_LANE
from tests.support.deployed import Deployed

CONNECTED = {"status": "connected", "provider_id": "gusto", "company_id": HARBOR_LANE.id}


def exchange_count(deployed: Deployed) -> int:
    """The number of codes that the product has sent to Finch."""
    return deployed.finch.requests.count("POST", "/auth/token")


def live_token_count(deployed: Deployed) -> int:
    """The number of access tokens that are valid at Finch."""
    return len(deployed.finch.live_tokens())
