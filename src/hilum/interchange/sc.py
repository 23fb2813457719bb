"""Secondary capture: film and heatmap side by side, for viewers that show nothing else.

The picture is drawn where films are read; here it is filed with its study.
"""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEGBaseline8Bit,
    JPEGLSLossless,
    SecondaryCaptureImageStorage,
)

from hilum.interchange import FilmResults, ObjectKind, Sheet
from hilum.interchange.parts.codes import SOURCE_IMAGE, item_of
from hilum.interchange.parts.modules import (
    RESEARCH,
    add_body_part,
    add_orientation,
    describe,
    moment,
    new_file,
    source_item,
)

__all__ = ["build"]


def build(film: FilmResults) -> FileDataset | None:
    """Return the picture as an object; None where none could be drawn."""
    sheet = film.sheet
    if sheet is None:
        return None
    picture = new_file()
    describe(picture, film, "sc", "OT")
    add_body_part(picture, film.header)
    add_orientation(picture, film.header)
    picture.SOPClassUID = SecondaryCaptureImageStorage
    picture.ConversionType = "WSD"
    picture.ImageType = ["DERIVED", "SECONDARY"]
    picture.ContentDate, picture.ContentTime = moment(film)
    picture.BurnedInAnnotation = "YES"
    picture.DerivationDescription = (
        f"Film and heatmap by {film.algorithm.name} {film.algorithm.id}; {RESEARCH}"
    )
    source = source_item(film.header)
    source.PurposeOfReferenceCodeSequence = Sequence([item_of(SOURCE_IMAGE)])
    picture.SourceImageSequence = Sequence([source])
    _add_pixels(picture, sheet)
    return picture


def _add_pixels(picture: FileDataset, sheet: Sheet) -> None:
    picture.SamplesPerPixel, picture.PlanarConfiguration = 3, 0
    picture.Rows, picture.Columns = sheet.rows, sheet.columns
    picture.BitsAllocated, picture.BitsStored, picture.HighBit = 8, 8, 7
    picture.PixelRepresentation = 0
    picture.PhotometricInterpretation = "YBR_FULL_422" if sheet.jpeg else "RGB"
    if not sheet.jpeg:
        picture.PixelData = sheet.data
        picture.compress(JPEGLSLossless, generate_instance_uid=False)
        return
    picture.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    picture.PixelData = encapsulate([sheet.data])
    picture["PixelData"].is_undefined_length = True
    _say_lossy(picture, sheet)


def _say_lossy(picture: Dataset, sheet: Sheet) -> None:
    """Say that the picture was compressed with loss, and by how much."""
    picture.LossyImageCompression = "01"
    ratio = 3 * sheet.rows * sheet.columns / len(sheet.data)
    picture.LossyImageCompressionRatio = f"{ratio:.2f}"
    picture.LossyImageCompressionMethod = "ISO_10918_1"


OBJECT: ObjectKind = ObjectKind(build, series=9003)
