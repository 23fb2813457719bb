"""The tables of a run, read back by pandas, and the environment it names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.domain.findings import LabelSet
from hilum.domain.record import prevalences
from hilum.runs.recipe_parts import ComputeConfig
from hilum.training.environment import environment, write_environment
from hilum.training.tables import RateTable, write_prevalence, write_rows

LABELS = LabelSet("two", ("Mass", "Edema"))


def filled(path: Path, until: tuple[int, int] = (3, 4)) -> RateTable:
    table = RateTable(path)
    table.forget_after(0, 0)
    for epoch in (1, 2, 3):
        for step in (1, 2, 3, 4):
            if (epoch, step) <= until:
                phase = "head" if epoch == 1 else "all"
                table.add(epoch, step, phase, {"head": 1e-3 / step, "backbone": 1e-5 * epoch})
        table.flush()
    return table


def test_every_step_s_rates_are_there_to_the_last_bit(tmp_path: Path) -> None:
    filled(tmp_path / "rates.csv")
    table = pd.read_csv(tmp_path / "rates.csv")
    assert list(table) == ["epoch", "step", "phase", "part", "rate"]
    assert len(table) == 3 * 4 * 2
    third = table[(table.epoch == 2) & (table.step == 3)].set_index("part")
    assert third.rate.to_dict() == {"head": 1e-3 / 3, "backbone": 1e-5 * 2}
    assert table.phase.tolist() == ["head"] * 8 + ["all"] * 16


@pytest.mark.parametrize("torn", ["", "2,3,al", "2,3,all,head,0.0"])
def test_a_resumed_table_is_that_of_a_run_without_a_stop(tmp_path: Path, torn: str) -> None:
    filled(tmp_path / "whole.csv")
    path = tmp_path / "stopped.csv"
    filled(path, until=(2, 2))
    path.write_text(path.read_text() + torn)  # killed in the middle of a row
    table = RateTable(path)
    table.forget_after(1, 4)
    for epoch in (2, 3):
        for step in (1, 2, 3, 4):
            table.add(epoch, step, "all", {"head": 1e-3 / step, "backbone": 1e-5 * epoch})
    table.flush()
    assert path.read_text() == (tmp_path / "whole.csv").read_text()


def test_what_waits_is_forgotten_too(tmp_path: Path) -> None:
    table = RateTable(tmp_path / "rates.csv")
    table.add(1, 1, "all", {"all": 1.0})
    table.forget_after(0, 0)
    table.flush()
    assert table.path.read_text() == "epoch,step,phase,part,rate\n"


def test_prevalence_counts_each_state_of_each_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    states = {
        "train": rng.integers(-2, 2, (50, 2)).astype(np.int8),
        "tune": np.array([[1, -2], [0, -1], [0, -2]], np.int8),
    }
    write_prevalence(tmp_path / "prevalence.csv", LABELS, states)
    table = pd.read_csv(tmp_path / "prevalence.csv").set_index(["split", "finding"])
    counted = ["positives", "negatives", "uncertain", "unlabelled"]
    assert (table[counted].sum(axis=1) == table.films).all()
    for split, own in states.items():
        for column, finding in enumerate(LABELS):
            said = table.loc[(split, finding)]
            now = [(own[:, column] == state).sum() for state in (1, 0, -1, -2)]
            assert said[counted].tolist() == now
    shares = prevalences(LABELS, states["train"])
    assert table.loc["train"].prevalence.to_dict() == pytest.approx(shares, abs=1e-6)
    assert np.isnan(table.loc[("tune", "Edema")].prevalence)  # unknown is blank, not 0


@dataclass(frozen=True)
class Weighed:
    finding: str
    weight: float


def test_rows_become_columns_named_as_their_fields(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [Weighed("Mass, large", 1 / 3), Weighed("Edema", 2.0)])
    table = pd.read_csv(tmp_path / "rows.csv")
    assert table.to_dict("list") == {"finding": ["Mass, large", "Edema"], "weight": [1 / 3, 2.0]}


def test_the_environment_names_packages_hardware_and_commit(tmp_path: Path) -> None:
    config = ComputeConfig(threads=3, deterministic=False)
    write_environment(tmp_path / "environment.json", config, "cpu", "bfloat16", processes=2)
    told = json.loads((tmp_path / "environment.json").read_text())
    assert told == environment(config, "cpu", "bfloat16", processes=2)
    assert told["packages"]["numpy"] == version("numpy") == np.__version__
    assert told["packages"]["torch"] == version("torch")
    assert (told["device"], told["precision"], told["gpu"]) == ("cpu", "bfloat16", None)
    assert (told["threads"], told["processes"], told["deterministic"]) == (3, 2, False)
    assert told["cpu"]
    assert told["git_commit"] is None or len(told["git_commit"]) == 40


def test_the_commit_is_read_as_git_keeps_it(tmp_path: Path) -> None:
    from hilum.training.environment import _commit

    git, commit = tmp_path / ".git", "0123456789abcdef" * 2 + "01234567"
    assert _commit(tmp_path) is None
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"{commit}\n")
    assert _commit(tmp_path) == commit
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert _commit(tmp_path) is None
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/main\n")
    assert _commit(tmp_path) == commit
    (git / "refs" / "heads" / "main").write_text(f"{commit[::-1]}\n")
    assert _commit(tmp_path) == commit[::-1]
