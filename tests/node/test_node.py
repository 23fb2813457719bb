"""A film goes in by C-STORE, and its report comes out at a peer, once."""

from __future__ import annotations

import json
from typing import Any


def test_a_film_comes_back_as_a_report_with_the_numbers_of_its_row(
    kit: Any, node: Any, peer: Any, pixels: Any
) -> None:
    one, modality = node
    assert modality.send(kit.film(pixels, 1)) == [0x0000]
    kit.until(lambda: peer.of(1), "a report")
    (report,) = peer.datasets()
    assert report.StudyInstanceUID == f"{kit.ROOT}5.1"
    assert report.PatientID == "CANARY-8812"
    row = json.loads(one.books.database.one("SELECT line FROM film")[0])
    assert row["status"] in ("ok", "warn")
