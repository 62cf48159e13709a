"""`grants`: what each backend with an alias of its own may read."""

import argparse
import json
from datetime import datetime

from finch_connections.aws.grant_table import Change, GrantTable
from finch_connections.domain.grant import Grant
from operations.stack import CannotOperate, ExitCode, Say, Stack, table

# An item of DynamoDB has at most 400 KB, and each request of the backend reads it.
MOST_CUSTOMERS = 100


def grants(options: argparse.Namespace, stack: Stack, now: datetime, say: Say) -> ExitCode:
    """Carries out one action of the command."""
    grants_table = of_stack(stack)
    if options.action == "list":
        _list(list(grants_table.changes()), _backends(stack), say, as_json=options.json)
        return ExitCode.DONE
    grant = Grant(options.backend)
    if options.action == "set":
        if options.backend not in _backends(stack):
            raise CannotOperate(
                f"{options.backend} has no alias. Name it in a parameter such as Backend1, and deploy."
            )
        if len(options.customers) > MOST_CUSTOMERS:
            raise CannotOperate(
                f"A grant has at most {MOST_CUSTOMERS} customers. Grant every customer with '*'."
            )
        grant = Grant(
            options.backend,
            frozenset(options.products),
            frozenset(options.reads),
            frozenset(options.writes),
            frozenset(options.customers),
        )
    by = stack.client("sts").get_caller_identity()["Arn"]
    change = Change(grant, now, by)
    # An empty grant stays, because it says when and by whom it was removed.
    grants_table.write(change)
    _list([change], [], say, as_json=False)
    return ExitCode.DONE


def of_stack(stack: Stack) -> GrantTable:
    """The table of a stack."""
    return GrantTable(stack.client("dynamodb"), stack.outputs["GrantsTableName"])


def _backends(stack: Stack) -> list[str]:
    places = [f"Backend{place}" for place in range(1, 6)]
    return [stack.parameters[place] for place in places if stack.parameters[place]]


def _list(changes: list[Change], backends: list[str], say: Say, *, as_json: bool) -> None:
    """Shows grants, and the backends that never had one."""
    shown = [
        {
            "backend": grant.backend,
            "products": sorted(grant.products),
            "reads": sorted(grant.reads),
            "writes": sorted(grant.writes),
            "customers": sorted(grant.customers),
            "changed_at": at.isoformat(),
            "changed_by": by,
        }
        for grant, at, by in sorted(changes, key=lambda one: one.grant.backend)
    ]
    known = {one["backend"] for one in shown}
    without = [name for name in backends if name not in known]
    if as_json:
        say(json.dumps({"grants": shown, "without_grant": without}, indent=2))
        return
    rows = [
        [
            ", ".join(value) or "-" if isinstance(value, list) else str(value)
            for value in one.values()
        ]
        for one in shown
    ]
    heads = ("BACKEND", "PRODUCTS", "READS", "WRITES", "CUSTOMERS", "CHANGED", "BY")
    for line in table(heads, rows) if rows else ():
        say(line)
    for name in without:
        say(f"{name} has no grant, so every request through its alias is refused.")
    if not rows and not without:
        say("No backend has an alias of its own. Name one in the parameter Backend1.")
