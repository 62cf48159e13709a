"""The addresses that a browser is redirected to."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

from finch_connections.domain.secret import SecretText

# Stands before our parameters. The page's own parameters can have the same names.
_MARK = {"finch": "return"}


def return_url(
    return_to: str | None,
    allowed_return_urls: Sequence[str],
    outcome: Mapping[str, str],
    completion: SecretText | None = None,
) -> str:
    """The application's page with the outcome in its query, and the completion code in its fragment.

    In the query, the outcome is all that follows `finch=return`. A browser never sends the fragment to
    a server. The page is the first configured page if the session is not known, or if its own page is no
    longer configured.
    """
    page = return_to if return_to in allowed_return_urls else None
    url = with_query(page or allowed_return_urls[0], {**_MARK, **outcome})
    return f"{url}#{urlencode({'completion': completion.reveal()})}" if completion else url


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with these parameters after its own."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(parameters)]))
    return urlunsplit(parts._replace(query=query))
