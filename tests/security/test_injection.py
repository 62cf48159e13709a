"""Attacks by what a request is made of: header, path, query, cookie and body (RFC 9700 section 4.11)."""

import json
import string
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.examples import examples
from tests.support.deployed import Reply
from tests.support.in_process import RETURN_URLS, InProcess
from tests.support.person import Person, connection_path

# What API Gateway has decoded, hostile bits more often than anything else.
HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\r\n\t\0 #?&=;,:/\\@%<>\"'[]{}"),
        st.sampled_from(string.ascii_letters + string.digits),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)


def assert_sound(reply: Reply) -> None:
    """Every header could be sent, and none was added by the request."""
    sent = [*reply.headers.items(), *(("set-cookie", one) for one in reply.set_cookies)]
    for name, value in sent:
        assert all(" " <= char <= "~" for char in name + value), (name, value)
    assert reply.headers.keys() <= {
        "cache-control",
        "content-security-policy",
        "content-type",
        "location",
        "referrer-policy",
        "strict-transport-security",
        "x-content-type-options",
    }
    for cookie in reply.set_cookies:
        name, _, attributes = cookie.partition("; ")
        assert name.startswith("__Host-finch-connect-")
        assert attributes.startswith("Path=/; Max-Age=")
        assert attributes.endswith("; Secure; HttpOnly; SameSite=Lax")


def assert_at_home(reply: Reply) -> None:
    """A browser that was sent anywhere was sent to a page of the application."""
    assert_sound(reply)
    assert reply.status == 302, reply
    page = urlsplit(reply.headers["location"])
    assert (page.scheme, page.netloc) == ("https", "app.example.com")
    assert f"https://app.example.com{page.path}" in {url.partition("?")[0] for url in RETURN_URLS}


# The query, the path and the cookies


@examples(50)
@given(
    st.dictionaries(
        st.sampled_from(
            ["code", "state", "error", "error_description", "return_to", "customer_id"]
        ),
        HOSTILE,
    ),
    st.lists(st.tuples(HOSTILE, HOSTILE), max_size=3),
)
def test_no_query_and_no_cookie_leads_a_browser_away_or_writes_a_header(
    in_process: InProcess, query: dict[str, str], cookies: list[tuple[str, str]]
) -> None:
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    sent = "; ".join(f"{name}={value}" for name, value in cookies)
    headers = {"cookie": sent} if sent else {}
    assert_at_home(in_process.api.send("GET", f"/callback?{asked}", headers=headers))
    assert not in_process.finch.requests.count("POST", "/auth/token")


@examples(50)
@given(HOSTILE.filter(bool), st.sampled_from(["code", "error", "error_description"]))
def test_what_comes_beside_a_true_state_is_never_repeated(
    in_process: InProcess, hostile: str, name: str
) -> None:
    in_process.reset()
    acme = Person(in_process, "acme")
    state = acme.click(acme.link()).state
    reply = acme.browser.navigate(f"/callback?state={state}&{name}={quote(hostile, safe='')}")
    assert_at_home(reply)
    told = urlsplit(reply.headers["location"]).query.split("&")[-1]
    assert told in {"error=code_rejected", "error=finch_refused", "error=invalid_request"}


@examples(50)
@given(HOSTILE.filter(bool), st.sampled_from(["GET", "POST"]))
def test_no_handle_of_a_link_leads_a_browser_away(
    in_process: InProcess, handle: str, method: str
) -> None:
    reply = in_process.api.send(method, f"/connect/{quote(handle, safe='')}")
    if method == "GET":
        assert_at_home(reply)
    else:
        assert_sound(reply)
        assert reply.code == "route_not_found"


@examples(50)
@given(st.sampled_from(["GET", "DELETE", "POST"]), HOSTILE.filter(bool), HOSTILE.filter(bool))
def test_no_path_reaches_anything_that_is_not_there(
    in_process: InProcess, method: str, provider_id: str, company_id: str
) -> None:
    acme = Person(in_process, "acme")
    path = connection_path(provider_id, company_id)
    if method == "POST":
        reply = acme.call(method, path + "/reauthenticate", {"return_to": RETURN_URLS[0]})
    else:
        reply = acme.call(method, path)
    assert_sound(reply)
    assert (reply.status, reply.code) == (404, "connection_not_found")


# Where a browser comes back to


def _bent(url: str) -> list[str]:
    """URLs that some reader or other takes for the configured one, or for its host."""
    parts = urlsplit(url)
    host, path = parts.netloc, parts.path
    return [
        f"https://{host}@evil.example.com{path}",
        f"https://evil.example.com\\@{host}{path}",
        f"https://evil.example.com#@{host}{path}",
        f"https://user:pass@{host}{path}",
        f"https:/{host}{path}",
        f"https:\\\\{host}{path}",
        f"https:{host}{path}",
        f"//{host}{path}",
        f"https://{host}:443{path}",
        f"https://{host}.{path}",
        f"https://{host}.evil.example.com{path}",
        f"https://{host.upper()}{path}",
        f"https://{host.replace('a', 'а')}{path}",
        f"https://{host}{path}/",
        f"https://{host}{path}/..{path}",
        f"https://{host}{path}%00",
        f"https://{host}{path}#x",
        f"https://{host}{path};x",
        f"https://{host}{path}\r\nlocation: https://evil.example.com",
        f" {url}",
        f"{url} ",
        f"{url}\n",
        f"\t{url}",
        f"http://{host}{path}",
        f"data:text/html,{url}",
        f"{url},{url}",
        url.replace("/", "／"),
    ]


@pytest.mark.parametrize("return_to", [bent for url in RETURN_URLS for bent in _bent(url)])
def test_a_page_that_only_looks_like_a_configured_one_is_refused(
    in_process: InProcess, return_to: str
) -> None:
    refused = Person(in_process, "acme").start(return_to=return_to)
    assert (refused.status, refused.code) == (400, "return_to_not_allowed")


@examples(50)
@given(st.one_of(HOSTILE, st.builds("".join, st.permutations(list(RETURN_URLS[0])))))
def test_a_page_is_allowed_letter_by_letter_or_not_at_all(
    in_process: InProcess, return_to: str
) -> None:
    reply = Person(in_process, "acme").start(return_to=return_to)
    assert (reply.status == 201) == (return_to in RETURN_URLS)


# The body


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "path", ["/connect-sessions", "/callback", "/connections/gusto/company-1/reauthenticate"]
)
@pytest.mark.parametrize("name", ["x" * 7_000_000, "canary-4711", "<script>", "a\r\nb: c", "é", ""])
def test_a_field_that_no_route_has_is_not_repeated_whatever_it_is_called(
    in_process: InProcess, path: str, name: str
) -> None:
    """An answer of more than 6 MB would be a failure of ours, in API Gateway's shape."""
    refused = Person(in_process, "acme").call("POST", path, _json({name: 1}))
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert len(refused.text) < 1000
    assert not name or name not in refused.text


def test_a_field_that_is_misspelt_is_named(in_process: InProcess) -> None:
    refused = Person(in_process, "acme").start(custmer_name="Acme")
    assert "custmer_name" in refused.json["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"products": ["company"], "products": ["payroll"]}',
        b'{"products": NaN}',
        b'{"products": [NaN]}',
        b'{"products": Infinity}',
        b'{"products": 1e999}',
        b'{"products": ' + b"9" * 100_000 + b"}",
        b'{"products": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
        b'{"products": ["company"], "customer_name": "\\ud800"}',
        b'{"products": ["company"], "customer_name": "' + b"x" * 1_000_000 + b'"}',
        b'{"products": [' + b'"company",' * 500_000 + b'"company"]}',
        b'{"products": ["company\\u0000"]}',
        b'{"products": ["company"], "__proto__": {}}',
        b'{"products": ["company"], "provider_id": "gusto\\n"}',
        b"\xef\xbb\xbf{}",
        '{"products": ["company"]}'.encode("utf-16"),
        b"\x80",
        b"\0",
        b"--boundary",
        b"products=company",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_json_that_two_readers_could_understand_in_two_ways_begins_nothing(
    deployed: InProcess, body: bytes
) -> None:
    refused = Person(deployed, "acme").call("POST", "/connect-sessions", body)
    assert_sound(refused)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert len(refused.text) < 2000
    assert deployed.tables.all_sessions() == []


# A Finch that lies


@pytest.mark.parametrize(
    "connect_url",
    [
        "https://finch.example.com\r\nset-cookie: a=b/authorize?session=1",
        "https://connect.tryfinch.com@evil.example.com/authorize?session=1",
        "https://evil.example.com\\@connect.tryfinch.com/authorize?session=1",
        "http://connect.tryfinch.com/authorize?session=1",
        "https://[",
        "https://ü.example.com/authorize",
        "https://finch.example.com/a b",
        "https://finch.example.com/" + "x" * 3000,
        "javascript:alert(1)",
        "",
        None,
        7,
    ],
)
def test_a_browser_goes_nowhere_that_is_no_address_for_a_browser(
    deployed: InProcess, connect_url: object
) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    deployed.finch.faults.add(
        "POST", "/connect/sessions", edit={"set": {"connect_url": connect_url}}
    )
    landing = acme.come_back(link)
    assert landing.outcome == {"error": "finch_unavailable"}
    assert acme.browser.navigate(link).status == 302


@pytest.mark.parametrize("lost", [7, True, None, {"a": 1}, ["x"], "", "a#b", "x" * 300])
def test_a_connection_that_finch_names_in_nonsense_is_not_recovered(
    deployed: InProcess, lost: object
) -> None:
    exists = {
        "code": 400,
        "name": "bad_request",
        "finch_code": "connection_already_exists",
        "message": "",
        "context": {"connection_id": lost},
    }
    deployed.finch.faults.add("POST", "/connect/sessions", status=400, body=exists)
    assert Person(deployed, "acme").start(mode="embedded").status == 201
    assert not deployed.finch.requests.count("POST", "/connect/sessions/reauthenticate")
