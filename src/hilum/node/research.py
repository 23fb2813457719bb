"""What a destination gets in place of the patient: the file that `deidentify` names."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from hilum.batch.deidentify import options_of
from hilum.batch.patients import read_key
from hilum.domain.errors import UsageError
from hilum.interchange.deidentify.pseudonyms import KeyedSecrets
from hilum.node.tls import BesideConfig
from hilum.reading.deidentified import ExportOptions
from hilum.runs.recipe import Source, describe
from hilum.runs.recipe_parts import Part

__all__ = ["ResearchSettings", "load_research"]

_LONGEST = 64 * 1024


class ResearchSettings(Part):
    """How results are de-identified for a destination; the words are those of `hilum deidentify`.

    Results fit to films that `hilum deidentify` exported with the same key and options.
    """

    key: BesideConfig
    """Key file of the pseudonyms, made where it is missing."""
    keep: tuple[str, ...] = ()
    """Options of the standard: dates-shifted, dates, characteristics, device, institution, uids."""
    clean_pixels: bool = Field(default=False)
    """Send secondary captures, with text blacked out, which are otherwise blocked."""

    def options(self) -> ExportOptions:
        """Return what is kept and cleaned.

        Raises:
            UsageError: for an unknown word.
        """
        return options_of(self.keep, self.clean_pixels)

    def secrets(self, spool: Path) -> KeyedSecrets:
        """Return the hash of the pseudonyms.

        Raises:
            UsageError: for a key that cannot be used, or lies in the spool.
        """
        return KeyedSecrets(read_key(self.key, spool))


def load_research(path: Path) -> ResearchSettings:
    """Load the file that `deidentify` of a destination names.

    Raises:
        UsageError: for a file that is not one; the message names the line and the key.
    """
    try:
        if path.stat().st_size > _LONGEST:
            raise UsageError(
                f"a file of `deidentify` must be under {_LONGEST} bytes; {path} is not"
            )
        text = path.read_text("utf-8")
        tree = yaml.safe_load(text)
        source = Source.of(str(path), text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "not YAML in UTF-8"
        raise UsageError(f"a file of `deidentify` must be readable; {path}: {reason}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"a file of `deidentify` must be a mapping of keys; {path} is not")
    try:
        return ResearchSettings.model_validate(tree, context={"folder": path.parent})
    except ValidationError as error:
        raise UsageError(describe(error, ResearchSettings, source)) from None
