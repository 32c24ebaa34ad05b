"""The judges: evidence in, `Verified` out. Pure, small, each check with its clause. The only place that makes a fact."""
