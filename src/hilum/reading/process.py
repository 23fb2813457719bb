"""A reader as a batch sees it: a process, begun, asked, timed, and replaced when it dies."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from hilum.confined.child import Child, how_it_ended
from hilum.confined.frames import Buffer, Frame, FrameError
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.domain.provenance import SCORING, code_sha256
from hilum.domain.radiograph import DicomHeader, Sex, ViewPosition
from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.overlay import Style
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading import NOUN, start_reader

__all__ = ["FilmFacts", "Limits", "Picture", "ReaderProcess", "Reading", "Refusal"]

_NOT_BEGUN = f"{NOUN} did not begin"
_TO_BEGIN_S = 120.0
"""Imports from a slow disk, on a busy machine."""
_TO_ANSWER_S = 5.0
"""Beyond a film's own time: the processor's clock runs out first where it is the decoder."""


@dataclass(frozen=True)
class Limits:
    """What reading one film may take.

    Attributes:
        timeout_s: seconds, of the clock and of the processor, before it is given up.
        memory_bytes: of address space, beyond what the process has before it reads any film.
    """

    timeout_s: int = 30
    memory_bytes: int = 4 * 1024**3


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FilmFacts(BaseModel):
    """What a reader says of a film; checked, since it may have been taken over."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sha256: Sha256
    shape: tuple[PositiveInt, PositiveInt]
    view: ViewPosition
    codes: tuple[ReasonCode, ...]
    patient_id: str = ""
    """As in the header: nobody's to see before it is made a pseudonym."""
    sop_instance_uid: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    pixels_sha256: str = ""
    """Of the stored values, where there is a SOP instance UID."""
    header: DicomHeader | None = Field(default=None, repr=False)
    """The DICOM identity, where it was asked for."""


class Refusal(BaseModel):
    """Why a reader has no film to give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal[Status.REJECT, Status.ERROR, Status.SKIP]
    code: ReasonCode
    message: Annotated[str, Field(max_length=2000)]
    sha256: Sha256 | None
    """Of the file's bytes; None where there are none, or none that can be read."""
    settled: bool
    """Whether the file was afterwards as before: one that is still being copied can be cut short
    when it is read, and whole when it is hashed."""
    sop_instance_uid: str = ""
    pixels_sha256: str = ""
    """As in `Facts`, of a film that could be read and is not to be scored."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A film that was read and screened.

    Attributes:
        facts: about it.
        raster: (S, S) uint8, for the network.
        preview: a small JPEG, where it was asked for.
    """

    facts: FilmFacts
    raster: NDArray[np.uint8]
    preview: bytes | None


@dataclass(frozen=True)
class Picture:
    """A heatmap to be drawn on the film that was read last.

    Attributes:
        cells: (h, w) float32, over the network's square.
        caption, style, panel: as `hilum.explain.picture.render` takes them.
        stored: as which kind of file.
    """

    cells: NDArray[np.float32]
    caption: Caption
    style: Style
    panel: bool
    stored: PictureFormat


class ReaderProcess:
    """One process that reads films, begun when it is first asked, and anew after it died.

    Not for two threads at once: each asks a process of its own.

    Args:
        preprocessing: of the bundle that will score.
        gate: what the bundle takes for a film.
        limits: of each film.
        early: a process that was begun before all this was known, to be the first; ended with it.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        gate: GateRules,
        limits: Limits | None = None,
        early: Child | None = None,
    ) -> None:
        self._side = preprocessing.size
        self._limits = limits or Limits()
        self._begin = {
            "preprocessing": preprocessing.model_dump(mode="json"),
            "gate": gate.model_dump(mode="json"),
            "timeout_s": self._limits.timeout_s,
            "memory_bytes": self._limits.memory_bytes,
        }
        self._early = early
        self._child: Child | None = None
        self._closed = False

    def read(self, path: Path, with_preview: bool, with_header: bool = False) -> Reading | Refusal:
        """Read, screen and resize a film; or why not.

        Args:
            path: the film.
            with_preview: give a small JPEG too.
            with_header: give the DICOM identity too, which names the patient.

        Raises:
            FilmError: `DECODER_CRASHED` or `TIMEOUT` when it ended the process, or would not end.
        """
        said = self._asked(
            {"do": "read", "path": str(path), "preview": with_preview, "header": with_header}
        )
        try:
            if "refused" in said.head:
                return Refusal.model_validate(said.head["refused"])
            facts = FilmFacts.model_validate(said.head)
            raster = np.frombuffer(said.blobs[0], np.uint8).reshape(self._side, self._side)
            return Reading(facts, raster, said.blobs[1] if with_preview else None)
        except (ValidationError, ValueError, IndexError):
            raise self._not_believed() from None

    def draw(self, picture: Picture) -> bytes:
        """The file of a heatmap on the film that was read last.

        Raises:
            FilmError: `DECODER_CRASHED` or `TIMEOUT`.
        """
        wanted = {
            "do": "draw",
            "cells": picture.cells.shape,
            "caption": vars(picture.caption),
            "style": picture.style.value,
            "panel": picture.panel,
            "stored": picture.stored.value,
        }
        cells = np.ascontiguousarray(picture.cells, np.float32).data
        drawn = self._asked(wanted, [cells]).blobs
        if len(drawn) != 1:
            raise self._not_believed()
        return drawn[0]

    def sha256(self, path: Path) -> str | None:
        """The hash of a regular file's bytes; None where it is none, or cannot be read.

        Raises:
            FilmError: `TIMEOUT`, as when a network share does not answer.
        """
        found = self._asked({"do": "hash", "path": str(path)}).head.get("sha256")
        return found if isinstance(found, str) else None

    def stop(self) -> None:
        """End the process, for good; another thread that waits for its answer gets an error."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the process, for good. No other thread may be waiting for its answer."""
        self._closed = True
        self._end()
        early, self._early = self._early, None
        if early is not None:
            early.end()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, head: dict[str, Any], blobs: Sequence[Buffer] = ()) -> Frame:
        """The answer to one command; a process that does not give one is ended and named."""
        if self._child is not None and head["do"] != "draw" and self._child.has_more():
            self._end()  # it died, or speaks unasked: no fault of the film that comes now
        child = self._child or self._begun()
        try:
            return child.ask(head, blobs, self._limits.timeout_s + _TO_ANSWER_S)
        except TimeoutError:
            self._end()
            raise self._too_slow() from None
        except (EOFError, OSError):  # the process, or its pipes, are gone
            self._child = None
            code = child.ended()
            raise (self._too_slow() if code == -signal.SIGXCPU else _crashed(code)) from None
        except FrameError:
            raise self._not_believed() from None

    def _begun(self) -> Child:
        """A process that is ready.

        Raises:
            ChildProcessError: when the machine does not let one begin.
            RuntimeError: when it ends itself: something is missing, or it is a bug.
            UsageError: when hilum's own files are others than those of this process.
        """
        try:
            return self._begun_once()
        except ChildProcessError:  # short of memory for a moment?
            return self._begun_once()

    def _begun_once(self) -> Child:
        child = self._child = self._early or start_reader()
        self._early = None
        if self._closed:  # by another thread, which may have seen no process to end
            self._end()
            raise RuntimeError("a reader that was closed is not asked any more")
        try:
            theirs = child.ask(self._begin, (), _TO_BEGIN_S).head.get("code_sha256")
        except TimeoutError:
            self._end()
            raise ChildProcessError(f"{_NOT_BEGUN} within {_TO_BEGIN_S:.0f} s") from None
        except (EOFError, OSError, FrameError):
            self._child = None
            words = child.last_words()
            code = child.ended()
            said = f"{_NOT_BEGUN} ({how_it_ended(code)}): {words or 'it said nothing'}"
            raise (ChildProcessError(said) if code < 0 else RuntimeError(said)) from None
        if theirs != code_sha256(*SCORING):
            self._end()
            raise UsageError(
                "hilum must stay as it is while a batch runs; its files were changed meanwhile, "
                "and films would be read by other code than before. Run the batch again into "
                "another folder"
            )
        child.begun()
        return child

    def _too_slow(self) -> FilmError:
        return FilmError(
            Status.ERROR,
            ReasonCode.TIMEOUT,
            f"a film must be read within {self._limits.timeout_s} s; this one was given up",
        )

    def _not_believed(self) -> FilmError:
        self._end()
        return FilmError(
            Status.ERROR,
            ReasonCode.DECODER_CRASHED,
            "reading the film ended in an answer that makes no sense",
        )


def _crashed(code: int) -> FilmError:
    return FilmError(
        Status.ERROR,
        ReasonCode.DECODER_CRASHED,
        f"reading the film ended the process that read it ({how_it_ended(code)})",
    )
