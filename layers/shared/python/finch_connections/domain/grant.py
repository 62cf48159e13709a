"""A grant: what a backend that has an alias of its own may read."""

from dataclasses import dataclass

# Every product, or every customer.
EVERY = "*"


@dataclass(frozen=True)
class Grant:
    """The products, the paths of Finch to read and to change, and the customers. Empty, it grants nothing.

    For a path whose product Finch's reference does not name, `products` has the path's `area`.
    """

    backend: str
    products: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()

    def covers(self, customer_id: str) -> bool:
        """Whether the backend may read data of this customer."""
        return not self.customers.isdisjoint({customer_id, EVERY})

    def within(self, products: frozenset[str]) -> frozenset[str]:
        """Those of the products that are granted."""
        return products if EVERY in self.products else products & self.products
