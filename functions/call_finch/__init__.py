"""Loaded before the handler."""

from finch_connections import cold_start

cold_start.begin()
