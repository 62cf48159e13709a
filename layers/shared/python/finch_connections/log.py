"""The logger. We log each outcome in one line with fields, without secrets or personal data."""

from aws_lambda_powertools import Logger

logger = Logger()
