"""Label selectors as written -> as evaluated."""

from controller.policy.model import LabelSelector
from controller.policy.selectors import Expression, Selector


def selector(written: LabelSelector | None) -> Selector | None:
    """None, which selects nothing out, for an absent selector; matchLabels become In expressions (apimachinery)."""
    if written is None:
        return None
    labels = (Expression(key, "In", frozenset({value})) for key, value in sorted(written.match_labels.items()))
    others = (Expression(item.key, item.operator.value, frozenset(item.values)) for item in written.match_expressions)
    return Selector((*labels, *others))
