"""The demo room: an embedded OCI 1.1 registry and a signer, to see the product work without cluster or network.

Tests build on the same registry and add faults. Nothing else in the product imports it, except the command that shows it.
"""
