"""The number of generated examples. It is equal in every test run; `make fuzz` makes many new examples."""

import os

from hypothesis import HealthCheck, settings

# The factor by which `make fuzz` multiplies the number of examples.
FUZZ = int(os.environ.get("FUZZ", "1"))


def examples(count: int) -> settings:
    """The settings of a property test, whose examples share one deployed product."""
    return settings(
        max_examples=count * FUZZ,
        derandomize=FUZZ == 1,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
