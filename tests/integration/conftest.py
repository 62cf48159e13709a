"""The product in this process, deployed once for each test module."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest

import finch_tokens
from finch_connections.log import logger
from tests.support.in_process import InProcess, deploy
from tests.support.person import Person


@pytest.fixture(scope="module")
def in_process() -> Iterator[InProcess]:
    """The product, deployed once for a module: making AWS clients takes most of the time."""
    with deploy() as deployed:
        yield deployed


@pytest.fixture
def deployed(in_process: InProcess) -> InProcess:
    """The product with no data."""
    in_process.reset()
    return in_process


@pytest.fixture
def acme(deployed: InProcess) -> Person:
    """A customer with one healthy connection and nothing left to do."""
    person = Person(deployed, "acme")
    assert person.connect().outcome["status"] == "connected"
    deployed.queue.drain()
    return person


@pytest.fixture
def log() -> Iterator[StringIO]:
    """The log lines of the functions, as CloudWatch would get them."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    # A logger has the name of the service, which depends on the environment at its import.
    names = {logger.name, finch_tokens.logger.name, "finch-connections"}
    loggers = [logging.getLogger(name) for name in names]
    for function_logger in loggers:
        function_logger.addHandler(handler)
    yield lines
    for function_logger in loggers:
        function_logger.removeHandler(handler)
