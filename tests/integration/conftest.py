"""The product in this process, deployed once for each test module."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from finch_connections.log import logger
from tests.support.in_process import InProcess, deploy


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
def log() -> Iterator[StringIO]:
    """The log lines of the functions, as CloudWatch would get them."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    loggers = [logging.getLogger(name) for name in (logger.name, "read_directory")]
    for function_logger in loggers:
        function_logger.addHandler(handler)
    yield lines
    for function_logger in loggers:
        function_logger.removeHandler(handler)
