"""Trusted roots: whom to believe about certificates, logs and time.

Two instances are built in; others come as trusted root JSON. Nothing here is asked over the network while a request waits.
"""

from controller.roots.builtin import BUILT_IN, builtin
from controller.roots.reading import parse
from controller.roots.trusted import Authority, Log, TrustedRoot

__all__ = ["BUILT_IN", "Authority", "Log", "TrustedRoot", "builtin", "parse"]
