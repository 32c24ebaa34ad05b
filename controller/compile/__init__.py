"""Policies made ready to judge: patterns, keys and requirements parsed once, when a policy changes and never per request."""

from controller.compile.policy import compile_one
from controller.compile.roots import Roots, check_root
from controller.compile.snapshot import compile_policies

__all__ = ["Roots", "check_root", "compile_one", "compile_policies"]
