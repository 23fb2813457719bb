"""Is this an upright, positive, frontal, adult chest film? By header, grey levels and picture.

One file is one kind of evidence: `stated` (header), `levels` (grey levels), `lettering` (text),
`network` (a small model that sees the whole `picture`). `rules` has every threshold.
"""

from hilum.imaging.gate.rules import GateRules
from hilum.imaging.gate.screen import screen, screened

__all__ = ["GateRules", "screen", "screened"]
