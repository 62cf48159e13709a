"""The code of Finch Connections that all functions share as a Lambda layer."""
