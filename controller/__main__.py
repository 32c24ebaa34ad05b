"""`python -m controller` and the command `sigward`."""

import sys

from controller.commands import main

if __name__ == "__main__":
    sys.exit(main())
