"""`make bench`: every bench, or those named: `python -m bench intervals`.

What counts is the ratio of two contenders of one run. Run it on a quiet machine.
"""

from __future__ import annotations

import sys
from importlib import import_module

BENCHES = ("intervals", "loader", "network", "training")


def main() -> None:
    """Run the benches named on the command line, or all."""
    for name in sys.argv[1:] or BENCHES:
        import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
