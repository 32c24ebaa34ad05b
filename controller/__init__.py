"""Sigward: admits a workload only when its images carry the signatures and attestations the policies demand."""

__version__ = "0.1.0"
