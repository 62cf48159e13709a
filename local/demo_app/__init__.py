"""Acme Benefits, the demo application: its page with the Connections element, and its event feed."""
