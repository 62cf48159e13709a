"""The stories, over HTTP against the deployed template."""

from tests.acceptance.scenarios import *  # noqa: F403
