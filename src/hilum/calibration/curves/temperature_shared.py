"""One temperature for all findings: the fewest numbers that can be fitted to a network."""

from __future__ import annotations

from typing import ClassVar

from hilum.calibration.curves import Curve
from hilum.calibration.curves.temperature import Temperature

__all__ = ["CURVE", "TemperatureShared"]


class TemperatureShared(Temperature):
    """`p = sigmoid(z / T)` with the same T for every finding.

    T has the least log loss over the labeled films of all findings together, so frequent findings
    decide it. A rare finding borrows their T, which says nothing of whether it suits.

    Attributes:
        temperature: T; above 1 the network was too sure.

    Source: Guo et al. 2017.
    """

    shared: ClassVar[bool] = True


CURVE: type[Curve] = TemperatureShared
