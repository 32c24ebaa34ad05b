"""From facts to a verdict: requirements, quorum, combination, and the report that explains them. No I/O."""
