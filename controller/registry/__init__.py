"""Everything that asks a registry."""
