"""The stories, in process."""

from tests.acceptance.scenarios import *  # noqa: F403
