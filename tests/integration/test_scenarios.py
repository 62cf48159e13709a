"""The stories, in process."""

from tests.scenarios import *  # noqa: F403
