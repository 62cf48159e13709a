"""The promises hold after any sequence of events."""

import io
import logging
import os
import random
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import redirect_stdout
from uuid import UUID

import pytest
from botocore.useragent import UserAgentString
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from finch_connections.log import logger
from tests.stateful.machine import Model
from tests.support.in_process import deploy

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "25"))
PHASES = [one for one in Phase if one.name not in os.environ.get("MODEL_WITHOUT", "").split()]
STEPS = int(os.environ.get("MODEL_STEPS", "40"))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The product of the model: sleeping only moves the clock, and random numbers repeat."""
    numbers, written = random.Random(0), io.StringIO()  # noqa: S311
    with deploy(ticks=False) as deployed:
        monkeypatch.setattr(time, "sleep", deployed.clock.sleep)
        # botocore builds the user agent for each request, and no test needs it.
        monkeypatch.setattr(UserAgentString, "to_string", lambda _: "model")
        monkeypatch.setattr(secrets, "token_bytes", numbers.randbytes)
        monkeypatch.setattr(secrets, "token_hex", lambda n: numbers.randbytes(n).hex())
        monkeypatch.setattr(
            secrets,
            "token_urlsafe",
            lambda n: urlsafe_b64encode(numbers.randbytes(n)).rstrip(b"=").decode(),
        )
        monkeypatch.setattr(secrets, "randbelow", numbers.randrange)
        deployed.finch._new_id = lambda: str(UUID(int=numbers.getrandbits(128), version=4))
        monkeypatch.setattr(logging.getLogger(logger.name), "disabled", True)
        Model.world = deployed

        def seed() -> None:
            numbers.seed(0)
            written.seek(0)
            written.truncate()

        Model.seed = seed
        with redirect_stdout(written):
            yield written
    print(
        f"{Model.steps} steps, {Model.examples} examples:",
        ", ".join(f"{n} {name}" for name, n in Model.ran.most_common()),
    )


def _sequences() -> None:
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # A long run tries new sequences each time; the default run always tries the same.
            derandomize="MODEL_EXAMPLES" not in os.environ,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
            phases=PHASES,
        ),
    )


# Python keeps its frames in chunks of 16 KB, and maps and unmaps memory at each call that crosses the
# end of one: a quarter of the model's time. A frame that needs more gets a larger chunk.
_sequences.__code__ = _sequences.__code__.replace(co_stacksize=100_000)


def test_promises_hold_after_any_sequence_of_events(log: io.StringIO) -> None:
    _sequences()
