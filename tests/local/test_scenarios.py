"""The stories, over HTTP against the deployed template."""

from tests.scenarios import *  # noqa: F403
