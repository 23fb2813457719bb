"""Is this an upright, positive, frontal, adult chest film? By header, gray levels and picture.

The evidence: the header and the gray levels (`screen`), `picture` (text and the reduced film),
and `network` (a small model that sees the full picture). `rules` has every threshold.
"""

from hilum.imaging.gate.rules import GateRules
from hilum.imaging.gate.screen import screen, screened

__all__ = ["GateRules", "screen", "screened"]
