"""What verified statements say: rules over predicates, made ready once and judged without I/O."""
