"""A decoder's warnings: told by module and class, believed only as short lists of names."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.confined.frames import Frame
from hilum.imaging.read import MOST_WARNINGS, decoder_warnings, quiet
from hilum.reading.requests import warnings_of


@pytest.mark.parametrize(
    "lie",
    [
        [["a", "b"]] * (MOST_WARNINGS + 1),
        [["pydicom", "Doe^Jane"]],
        [["a b", "UserWarning"]],
        [["\x1b[31m", "UserWarning"]],
        [["x" * 101, "UserWarning"]],
        [["a\nb", "UserWarning"]],
        [["pydicom"]],
        [[1, 2]],
        "pydicom",
        {"a": "b"},
        7,
    ],
)
def test_an_answer_that_is_no_short_list_of_names_is_not_believed(lie: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        warnings_of(Frame({"warned": lie}))


@given(st.lists(st.text("aZ09_.", max_size=100), max_size=MOST_WARNINGS))
def test_names_come_as_they_are(names: list[str]) -> None:
    pairs = [[name, "UserWarning"] for name in names]
    answer = Frame({"warned": pairs, "sha256": "x"})
    assert warnings_of(answer) == tuple(map(tuple, pairs))
    assert answer.head == {"sha256": "x"}
    assert warnings_of(answer) == ()


def test_warnings_are_kept_for_the_thread_that_reads_and_bounded() -> None:
    decoder_warnings()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quiet():
            for number in range(3 * MOST_WARNINGS):
                warnings.warn_explicit("Doe", UserWarning, "f.py", number, module=f"lib{number}")
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(one.message) for one in heard] == ["mine"]
    assert decoder_warnings() == tuple((f"lib{n}", "UserWarning") for n in range(MOST_WARNINGS))
    assert decoder_warnings() == ()
