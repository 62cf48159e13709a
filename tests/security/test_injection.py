"""Injection attacks through header, path, query, cookie and body (RFC 9700 section 4.11)."""

import json
import re
import string
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.examples import examples
from tests.support.deployed import Reply
from tests.support.in_process import RETURN_URLS, InProcess
from tests.support.person import Person, connection_path, path_segment

# Text as API Gateway decodes it. Dangerous characters occur most often.
HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\r\n\t\0 #?&=;,:/\\@%<>\"'[]{}"),
        st.sampled_from(string.ascii_letters + string.digits),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)


def assert_headers_valid(reply: Reply) -> None:
    """Fails if a header is invalid, or if the request could add a header."""
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


def assert_redirects_to_the_application(reply: Reply) -> None:
    """Fails if the response does not redirect to a page of the application."""
    assert_headers_valid(reply)
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
def test_queries_and_cookies_cannot_redirect_elsewhere_or_add_headers(
    in_process: InProcess, query: dict[str, str], cookies: list[tuple[str, str]]
) -> None:
    encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    sent = "; ".join(f"{name}={value}" for name, value in cookies)
    headers = {"cookie": sent} if sent else {}
    assert_redirects_to_the_application(
        in_process.api.send("GET", f"/callback?{encoded}", headers=headers)
    )
    assert not in_process.finch.requests.count("POST", "/auth/token")


@examples(50)
@given(HOSTILE.filter(bool), st.sampled_from(["code", "error", "error_description"]))
def test_other_parameters_of_a_valid_callback_are_never_echoed(
    in_process: InProcess, hostile: str, name: str
) -> None:
    in_process.reset()
    acme = Person(in_process, "acme")
    state = acme.click(acme.link()).state
    reply = acme.browser.navigate(f"/callback?state={state}&{name}={quote(hostile, safe='')}")
    assert_redirects_to_the_application(reply)
    *_, error, reference = urlsplit(reply.headers["location"]).query.split("&")
    assert error in {"error=code_rejected", "error=finch_refused", "error=invalid_request"}
    assert re.fullmatch("reference=[0-9a-f]{12}", reference)


@examples(50)
@given(HOSTILE.filter(bool), st.sampled_from(["GET", "POST"]))
def test_an_invalid_link_redirects_only_to_the_application(
    in_process: InProcess, handle: str, method: str
) -> None:
    reply = in_process.api.send(method, f"/connect/{path_segment(handle)}")
    if method == "GET":
        assert_redirects_to_the_application(reply)
    else:
        assert_headers_valid(reply)
        assert reply.code == "route_not_found"


@examples(50)
@given(st.sampled_from(["GET", "DELETE", "POST"]), HOSTILE.filter(bool), HOSTILE.filter(bool))
def test_paths_with_any_characters_answer_not_found(
    in_process: InProcess, method: str, provider_id: str, company_id: str
) -> None:
    acme = Person(in_process, "acme")
    path = connection_path(provider_id, company_id)
    if method == "POST":
        reply = acme.call(method, path + "/reauthenticate", {"return_to": RETURN_URLS[0]})
    else:
        reply = acme.call(method, path)
    assert_headers_valid(reply)
    assert (reply.status, reply.code) == (404, "connection_not_found")


# The return page


def _similar(url: str) -> list[str]:
    """URLs that a parser could mistake for the configured URL or for its host."""
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


@pytest.mark.parametrize("return_to", [similar for url in RETURN_URLS for similar in _similar(url)])
def test_a_return_url_similar_to_a_configured_url_is_refused(
    in_process: InProcess, return_to: str
) -> None:
    refused = Person(in_process, "acme").start(return_to=return_to)
    assert (refused.status, refused.code) == (400, "return_to_not_allowed")


@examples(50)
@given(st.one_of(HOSTILE, st.builds("".join, st.permutations(list(RETURN_URLS[0])))))
def test_a_return_url_must_equal_a_configured_url_exactly(
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
def test_an_unusual_name_of_an_unknown_field_is_not_echoed(
    in_process: InProcess, path: str, name: str
) -> None:
    """A response of more than 6 MB would be a server error in API Gateway's shape."""
    refused = Person(in_process, "acme").call("POST", path, _json({name: 1}))
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert len(refused.text) < 1000
    assert not name or name not in refused.text


def test_a_misspelled_field_is_named_in_the_error(in_process: InProcess) -> None:
    refused = Person(in_process, "acme").start(custmer_name="Acme")
    assert "custmer_name" in refused.json["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"products": ["company"], "products": ["pay-roll"]}',
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
def test_ambiguous_or_oversized_json_starts_no_session(deployed: InProcess, body: bytes) -> None:
    refused = Person(deployed, "acme").call("POST", "/connect-sessions", body)
    assert_headers_valid(refused)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert len(refused.text) < 2000
    assert deployed.tables.all_sessions() == []


# Wrong responses of Finch


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
def test_an_unsafe_connect_url_of_finch_is_not_followed(
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


@pytest.mark.parametrize("lost", [7, True, None, {"a": 1}, ["x"], "", "a\nb", "x" * 300])
def test_a_connection_with_an_invalid_id_is_not_recovered(
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
