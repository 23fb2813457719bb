"""The notice that everything hilum writes carries."""

__all__ = ["NOT_A_DEVICE"]

NOT_A_DEVICE = (
    "hilum is research software, not a medical device. "
    "Not for diagnosis; it does not replace the reading of a radiologist."
)
"""The notice, whole: nothing that hilum writes is without it."""
