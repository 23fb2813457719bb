"""The bundle: the only thing that leaves the lab, one folder, checked whole before it speaks.

::

    BUNDLE/
      bundle.json       labels, preprocessing, calibrator, thresholds, provenance, hashes; sealed
      model.onnx        outputs `logits` and `heatmaps`
      golden.npz        the self-test: drawn films and the answers they must get
      evaluation.json   its numbers on test, if it was evaluated
      rule_out.json     its rule-out rule, if it has one
      watch_reference.json  what films and scores were, to hold later ones against, if it has one
      CARD.md           the same, for people
"""

from hilum.bundle.bundle import Bundle, Explanation, Prediction
from hilum.bundle.manifest import Calibration, Manifest

__all__ = [
    "Bundle",
    "Calibration",
    "Explanation",
    "Manifest",
    "Prediction",
]
