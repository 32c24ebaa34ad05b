"""What an exit code says."""

from typing import Final

PASS: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
"""Also argparse's own."""
UNDECIDED: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""As a shell shows a program that SIGPIPE ended."""
