"""The metrics in the log of a function, as CloudWatch extracts them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One value of one metric; name and dimensions together identify the metric."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float

    def is_of(self, namespace: str, name: str, dimensions: Mapping[str, str]) -> bool:
        """Whether this is a value of that metric."""
        mine = (self.namespace, self.name, dict(self.dimensions))
        return mine == (namespace, name, dict(dimensions))


def points(text: str) -> Iterator[Point]:
    """Every value in these lines ("Specification: Embedded metric format" in CloudWatch's guide)."""
    for line in text.splitlines():
        if '"_aws"' not in line:
            continue
        entry = json.loads(line)
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: entry[name] for name in names}
                for metric in directive["Metrics"]:
                    values = entry[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        yield Point(directive["Namespace"], metric["Name"], dimensions, value)


def outcomes(text: str, route: str) -> list[str]:
    """The outcomes of a route, or of a function without routes, in their order."""
    return [
        one.dimensions["outcome"]
        for one in points(text)
        if one.name == "Outcomes" and one.dimensions.get("route") == route
    ]
