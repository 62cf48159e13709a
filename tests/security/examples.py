"""How much is tried: the same examples every day, and with `make fuzz` many new ones."""

import os

from hypothesis import HealthCheck, settings

# How many times as many examples as every day.
FUZZ = int(os.environ.get("FUZZ", "1"))


def examples(every_day: int) -> settings:
    """The settings of a property: one world serves for all of its examples."""
    return settings(
        max_examples=every_day * FUZZ,
        derandomize=FUZZ == 1,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
