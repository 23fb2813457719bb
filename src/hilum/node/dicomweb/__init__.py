"""DICOMweb: parts of a message, and other servers by QIDO-RS, WADO-RS and STOW-RS."""
