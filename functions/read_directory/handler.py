"""An example of another backend: counts a company's employees with a token from VendToken."""

from typing import Any

import httpx
from aws_lambda_powertools import Logger

from finch_tokens import TokenRefused, token_for

from . import directory

logger = Logger()
_REASONS = {401: "unauthorized", 429: "rate_limited"}


def read_directory(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns `count` and `individual_ids` without names, or the `reason` to try again later."""
    logger.append_keys(request_id=context.aws_request_id)
    try:
        with (
            token_for(
                customer_id=event["customer_id"],
                provider_id=event["provider_id"],
                company_id=event["company_id"],
                products=["directory"],
                purpose="example: count the employees",
            ) as token,
            directory.from_settings() as finch,
        ):
            ids = directory.individual_ids(token, finch)
    except TokenRefused as refused:
        missing = list(refused.missing)
        return {"reason": refused.reason, "status": refused.status, "missing": missing}
    except directory.NotReady:
        return {"reason": "not_ready"}
    except httpx.HTTPStatusError as error:
        return {"reason": _REASONS.get(error.response.status_code, "finch_refused")}
    except httpx.TransportError:
        return {"reason": "finch_unavailable"}
    logger.info("directory read", customer_id=event["customer_id"], count=len(ids))
    return {"count": len(ids), "individual_ids": ids, "left_out_entity_ids": list(token.left_out)}
