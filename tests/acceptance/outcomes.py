"""Results that the acceptance tests compare with: the usual outcome, and counts at the fake Finch."""

import pytest

from local.fake_finch.seed_world import HARBOR_LANE
from tests.support.deployed import Deployed

# For a test whose subject is a field that old or sparse answers do not have, or a shape of its own.
current_answers = pytest.mark.parametrize(
    "empty_product", ["in_process", "deployed"], indirect=True, scope="module"
)


def connected(deployed: Deployed) -> dict[str, str]:
    """The outcome of a user who has connected the company that users of the tests choose."""
    company_id = deployed.shown_company_id("gusto", HARBOR_LANE.id)
    return {"status": "connected", "provider_id": "gusto", "company_id": company_id}


def exchange_count(deployed: Deployed) -> int:
    """The number of codes that the product has sent to Finch."""
    return deployed.finch.requests.count("POST", "/auth/token")


def live_token_count(deployed: Deployed) -> int:
    """The number of access tokens that are valid at Finch."""
    return len(deployed.finch.live_tokens())
