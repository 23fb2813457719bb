"""DICOM to a film: data set, header, compressed pictures, and the way to gray."""
