"""Sigward in a real cluster: the API server, its admission chain, its watches and its RBAC are the real ones."""
