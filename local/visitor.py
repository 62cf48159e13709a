"""A visitor with a browser who connects a company at the fake Finch: `python -m local.visitor LINK`.

Prints the address of the application's page where the browser ends, which has the outcome.
"""

import argparse
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import httpx

from local.fake_finch.seed_world import HARBOR_LANE, MAYA


def visit(link: str, provider: str, username: str, company: str, **granted: Sequence[str]) -> str:
    """Goes from a connect link through Finch Connect and the callback; returns the last address.

    `product` and `entity` name what the visitor grants.
    """
    with httpx.Client(timeout=60) as browser:
        finch = httpx.URL(_redirect(browser.get(link)))
        # The page accepts all answers together; see fake_finch/connect_page.py.
        answers = {
            **dict(parse_qsl(urlsplit(str(finch)).query)),
            "provider": provider,
            "username": username,
            "password": "any",
            "company": company,
            "product": ["company", "directory"],
            "decision": "allow",
            **granted,
        }
        callback = _redirect(browser.post(finch.copy_with(query=None), data=answers))
        return _redirect(browser.get(callback))


def _redirect(answer: httpx.Response) -> str:
    """The address of a redirect."""
    if answer.status_code != 302:
        raise SystemExit(f"{answer.url.path} answers {answer.status_code} without a redirect.")
    return answer.headers["location"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.visitor", description=__doc__)
    parser.add_argument("link")
    parser.add_argument("--provider", default="gusto")
    parser.add_argument("--username", default=MAYA)
    parser.add_argument("--company", default=HARBOR_LANE.id)
    stated = parser.parse_args()
    print(visit(stated.link, stated.provider, stated.username, stated.company))


if __name__ == "__main__":
    main()
