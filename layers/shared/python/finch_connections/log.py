"""The log: one line for each outcome, in fields, without secrets or personal data."""

from aws_lambda_powertools import Logger

logger = Logger()
