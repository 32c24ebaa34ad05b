"""Label selectors as Kubernetes evaluates them (apimachinery, LabelSelector): all parts must hold."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expression:
    """One of matchExpressions. `operator` is In, NotIn, Exists or DoesNotExist; `values` is empty for the last two."""

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy it; NotIn holds for an absent label, as in Kubernetes."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """A compiled LabelSelector; the empty one matches everything."""

    expressions: tuple[Expression, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether every expression holds."""
        return all(expression.matches(labels) for expression in self.expressions)

    @property
    def keys(self) -> frozenset[str]:
        """The labels it looks at."""
        return frozenset(expression.key for expression in self.expressions)
