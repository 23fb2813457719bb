"""`make bench`: every quick bench, or those named: `python -m bench intervals`.

One that is named alone takes options: `python -m bench predict --help`. What counts is the ratio
of two contenders of one run. Run it on a quiet machine.
"""

from __future__ import annotations

import sys
from importlib import import_module

BENCHES = ("intervals", "loader", "network", "training", "predict", "coldstart")
LONG = ("memory", "serve", "load", "viewer", "importing", "node", "drift")
"""Minutes each: only when named."""


def main() -> None:
    """Run the benches named on the command line, or all quick ones."""
    words = sys.argv[1:]
    first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = words[:first], words[first:]
    known = (*BENCHES, *LONG)
    if set(names) - set(known) or (options and len(names) != 1):
        sys.exit(f"usage: python -m bench [{' | '.join(known)}] ...; options for one alone")
    for name in names or BENCHES:
        bench = import_module(f"bench.{name}").main
        if options:
            bench(options)
        else:
            bench()


if __name__ == "__main__":
    main()
