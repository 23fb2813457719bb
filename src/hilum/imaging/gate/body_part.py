"""Body Part Examined in words: a chest word anywhere, unless a different part is named too.

The terms are DICOM's (PS3.16 Annex L and CID 4, with the SNOMED meanings), what hospitals type in
their place, and the names of the chest in the languages of the sites that export films.
"""

from __future__ import annotations

import re

from hilum.domain.radiograph import words_of

__all__ = ["shows_chest"]

_CHEST_TERMS = {
    "DICOM PS3.16 Annex L and CID 4": "CHEST THORAX LUNG LUNGS HEART MEDIASTINUM RIB RIBS RIBCAGE "
    "TRUNK TORSO",
    "SNOMED CT 51185008, 43799004, 39607008": "THORACIC PULMONARY PULMO PULMONES",
    "abbreviations of procedure names": "CXR PCXR CXRAY CHXR CHST CHT THX THRX TRX",
    "Spanish, Portuguese, Italian, Romanian": "TORAX TORACE TORACICO TORACICA PECHO PEITO PETTO "
    "PULMON PULMOES PULMAO POLMONE POLMONI",
    "French": "POITRINE POUMON POUMONS THORACIQUE",
    "German, Dutch, Danish, Swedish, Finnish": "BRUSTKORB LUNGE LUNGEN BORSTKAS LONGEN BRYSTKASSE "
    "BROSTKORG LUNGA LUNGOR RINTAKEHA",
    "Polish, Czech, Hungarian, Turkish, Indonesian": "PIERSIOWA PLUCA HRUDNIK PLICE MELLKAS TUDO "
    "TORAKS AKCIGER GOGUS DADA",
}
"""Words for the chest, without accents, by where they are from."""
_CHEST = frozenset(word for terms in _CHEST_TERMS.values() for word in terms.split())
_CHEST_STEM = re.compile("CHEST|THORA[CX]|TORA[CX]|CXR|\u80f8")
"""Parts of words written as one, such as XRCHEST and THORAXAUFNAHME; the last is Chinese and
Japanese for chest."""

# A different part beside the chest: its film is not a chest film, or shows more than one part.
_OTHER_PART = re.compile(
    r".*(?:ABD|PELV|SPINE|SPINAL|VERTEB|COLUMNA|COLUNA|COLONNA|RACHIS|WIRBEL|WERVEL|SKULL|CRAN"
    r"|SHOULDER|CLAVIC|SCAPUL|STERN(?:UM|AL)|HUMER|ELBOW|FOREARM|WRIST|FEMUR|KNEE|ANKLE|FINGER"
    r"|BREAST|MAMM|EXTREMIT|WHOLEBODY|STOMACH|BOWEL|BLADDER|KIDNEY|LIVER|BABYGRAM).*"
    r"|NECK|HEAD|[CTL]SP|[CTL]SPN|HIPS?|ARMS?|HANDS?|LEGS?|FOOT|FEET|TOES?|THUMB|JAW|KUB"
    r"|WHOLE|AIRWAY|LARYNX|OESOPHAGUS|ESOPHAGUS|HALS|HOOFD|KOPF|BAUCH|BUIK|BECKEN|BEKKEN"
    r"|NECKCHEST.*|HEADNECK.*"
)
_IN_PLACE_OF_A_PART = (
    *("UNKNOWN UNSPECIFIED OTHER NONE NA NULL", "XR XRAY XRAYS X RAY RAYS CR DX DR DDR RX RG"),
    *("PORT PORTABLE MOBILE BED BEDSIDE ICU ER ED", "ROUTINE ADULT GENERAL VIEW VIEWS"),
    *("PA AP LAT LATERAL FRONTAL", "ERECT SUPINE UPRIGHT STANDING SITTING"),
)
"""What is typed in place of a part: nothing, the machine, the room, the view, the posture."""
_NO_PART = frozenset(word for terms in _IN_PLACE_OF_A_PART for word in terms.split())


def shows_chest(stated: str, more: tuple[str, ...] = ()) -> bool | None:
    r"""Return whether Body Part Examined names the chest and no different part.

    Args:
        stated: the words, in any case and order, with accents or without.
        more: further words for the chest.

    Returns:
        None where no part of the body is named.

    Example:
        >>> [shows_chest(words) for words in ("PORT CHEST", "TORAX", "T\xf3rax PA", "XRCHEST")]
        [True, True, True, True]
        >>> [shows_chest(words) for words in ("KNEE", "THORACIC SPINE", "CHEST ABDOMEN")]
        [False, False, False]
        >>> shows_chest("PORTABLE") is None
        True
    """
    words = words_of(stated)
    if all(word in _NO_PART for word in words):
        return None
    chest = _CHEST.union(more)
    if any(_OTHER_PART.fullmatch(word) for word in words if word not in more):
        return False
    return any(word in chest or _CHEST_STEM.search(word) for word in words)
