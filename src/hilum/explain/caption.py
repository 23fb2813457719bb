"""Words beside every heatmap: finding, probability, threshold, and what the map is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from hilum.domain.notice import NOT_A_DEVICE
from hilum.explain.ramp import Style

if TYPE_CHECKING:  # a reader draws captions that it is sent, and loads no document
    from hilum.domain.documents.results import FindingResult

__all__ = ["Caption", "token_words"]

_EVIDENCE = "Supporting evidence, not the location of disease."
_EMPTY = "Empty heatmap: no region raised the score."
_MOST = {
    Style.PLASMA: "Violet to yellow",
    Style.HOT: "Yellow to red",
    Style.JET: "Green to red",
    Style.TRIPTYCH: "Violet to yellow",
}


@dataclass(frozen=True)
class Caption:
    """The words of one picture.

    Attributes:
        finding: its name.
        probability: of the finding on the film, in [0, 1]; None where none was made.
        threshold: the finding's operating point; None where it has none.
        calibrated: False where the probability is the plain sigmoid of the logit.
        note: what else stands below a panel, such as the bundle.
        token_share: share of the logit that the network's class token decided, in [0, 1], which
            the map does not show; None for a network without one.

    >>> caption = Caption("Pleural_Thickening", 0.731, 0.41)
    >>> caption.title, caption.decision
    ('Pleural Thickening 0.73', 'at or above its threshold of 0.41')
    """

    finding: str
    probability: float | None = None
    threshold: float | None = None
    calibrated: bool = True
    note: str = ""
    token_share: float | None = None

    @classmethod
    def of(
        cls,
        finding: str,
        result: FindingResult,
        note: str = "",
        token_share: float | None = None,
    ) -> Self:
        """Return the words for one finding of a film that was scored."""
        known = (result.probability, result.threshold, result.calibrated)
        return cls(finding, *known, note, token_share)

    @property
    def title(self) -> str:
        """Finding and probability."""
        name = self.finding.replace("_", " ")
        return name if self.probability is None else f"{name} {_shown(self.probability)}"

    @property
    def decision(self) -> str:
        """On which side of its threshold the probability is; empty without a probability."""
        if self.probability is None:
            return ""
        text = "no threshold"
        if self.threshold is not None:
            side = "at or above" if self.probability >= self.threshold else "below"
            text = f"{side} its threshold of {_shown(self.threshold)}"
        return text if self.calibrated else f"{text}; not calibrated"

    def short(self, empty: bool) -> str:
        """Return one line, for a picture that is all film."""
        map_is = f"{_EMPTY} " if empty else ""
        words = f"{map_is}{self._share}{_EVIDENCE}"
        return f"{self.title}. {words} Research software, not a medical device."

    def long(self, style: Style, empty: bool) -> tuple[str, str]:
        """Return the meaning of the colors, and what the software is."""
        text = _EMPTY if empty else f"{_MOST[style]}: regions that raised the score."
        return f"{text} {self._share}{_EVIDENCE}", f"{NOT_A_DEVICE} {self.note}".strip()

    @property
    def _share(self) -> str:
        if self.token_share is None:
            return ""
        return f"{token_words(self.token_share)} "


def token_words(share: float) -> str:
    """Return what a class token decided of a logit, in a sentence.

    >>> token_words(0.431)
    'The class token decided 43 % of the logit, which no map shows.'
    """
    return f"The class token decided {round(100 * share)} % of the logit, which no map shows."


def _shown(share: float) -> str:
    """Two decimals, and never a certainty that was not there.

    >>> _shown(0.7349), _shown(0.001), _shown(0.999), _shown(1.0)
    ('0.73', '<0.01', '>0.99', '1.00')
    """
    if 0.0 < share < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= share < 1.0 else f"{share:.2f}"
