"""Results that the acceptance tests compare with: the usual outcome, and counts at the fake Finch."""

import pytest

from local.fake_finch.seed_world import HARBOR_LANE
from tests.support.deployed import Deployed

# For a test whose subject is a field that old or sparse answers do not have, or a shape of its own.
current_answers = pytest.mark.parametrize(
    "empty_product", ["in_process", "hostile", "deployed"], indirect=True, scope="module"
)

# For a test that has unusual ids of its own.
usual_ids = pytest.mark.parametrize(
    "empty_product", ["in_process", "old", "sparse", "deployed"], indirect=True, scope="module"
)


def connected(deployed: Deployed, provider_id: str = "gusto") -> dict[str, str]:
    """The outcome of a user who has connected the company that users of the tests choose."""
    company_id = deployed.shown_company_id(provider_id, HARBOR_LANE.id)
    return {
        "status": "connected",
        "provider_id": deployed.finch_id(provider_id),
        "company_id": company_id,
    }


def exchange_count(deployed: Deployed) -> int:
    """The number of codes that the product has sent to Finch."""
    return deployed.finch.requests.count("POST", "/auth/token")


def live_token_count(deployed: Deployed) -> int:
    """The number of access tokens that are valid at Finch."""
    return len(deployed.finch.live_tokens())
