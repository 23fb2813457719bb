"""Names from outside, made harmless to look at: a file name is hostile until shown otherwise."""

from __future__ import annotations

import unicodedata

__all__ = ["shown"]

# Invisible characters that turn text around or join it (Unicode category Cf); the joiners that
# ordinary scripts need, U+200C and U+200D, are left alone.
_BIDI = frozenset("\u061c\u200b\u200e\u200f\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str) -> str:
    r"""The text on one line, with whatever cannot be seen written out.

    Line ends and control characters, text-direction controls (which can make `gpj.exe` read
    `exe.jpg`) and line separators become escapes; bytes of a file name that were not UTF-8 (kept
    by Python as surrogates) become `\xff`. Everything else stays, in its own normal form, so an
    ordinary name comes back unchanged and can be matched again.

    >>> shown("00000013_004.png"), shown("胸部.png")
    ('00000013_004.png', '胸部.png')
    >>> print(shown("a\n\u202eb\udcff.png"))
    a\n\u202eb\xff.png
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # one undecodable byte, as `os.fsdecode` keeps it
        return f"\\x{code - 0xDC00:02x}"
    if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character
