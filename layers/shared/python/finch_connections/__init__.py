"""The rules, flows and outside things of Finch Connections, shared by all functions as a layer."""
