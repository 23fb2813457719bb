"""Facts of a run: what belongs to the network, where it came from, and which films it has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from hilum import Bundle
from hilum.bundle.bundle import locate
from hilum.domain.errors import BundleError, HilumError, UsageError
from hilum.files.sealed import read_seal, seal, write_sealed
from hilum.runs.facts import Imported, RunFacts, Trained
from hilum.runs.folder import RunFolder

OLD = Path(__file__).parent / "old"
"""run.json of schema 2 and its config.yaml, as hilum 0.1.0 wrote them on drawn films."""

IMPORTED = Imported(file="net.pth", sha256="ab" * 32, format="pytorch", profile="published-14")


@pytest.fixture
def old(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(OLD, tmp_path / "old")))


@pytest.fixture
def imported(toy: Path, tmp_path: Path) -> RunFolder:
    """An imported network that no dataset was named for."""
    run = RunFolder(tmp_path / "imported")
    run.root.mkdir()
    shutil.copyfile(toy / "run" / "model.onnx", run.model)
    facts = RunFolder(toy / "run").facts()
    run.write_facts(RunFacts(network=facts.network, origin=IMPORTED))
    return run


def refused(kind: type[HilumError], message: str, call: object) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# older files


def test_a_run_of_schema_2_is_read_whole(old: RunFolder) -> None:
    tree = json.loads((OLD / "run.json").read_text())
    assert tree["schema_version"] == 2
    facts, config = old.facts(), old.config()
    assert facts.schema_version == 3
    parts = (facts.network, old.trained(), old.films())
    read = {key: value for part in parts for key, value in part.model_dump(mode="json").items()}
    flat = {key: value for key, value in tree.items() if key not in ("schema_version", "seal")}
    assert {key: read[key] for key in flat} == flat
    # what only the configuration had
    assert (facts.network.name, old.trained().seed) == (config.name, config.seed)
    assert facts.network.preprocessing == config.preprocessing
    assert facts.network.architecture == config.model.in_words()
    assert old.films().policy == config.labels


def test_a_run_of_schema_2_is_written_in_the_present_shape(old: RunFolder) -> None:
    facts = old.facts()
    old.write_facts(facts)
    assert json.loads((old.root / "run.json").read_text())["schema_version"] == 3
    (old.root / "config.yaml").unlink()
    assert old.facts() == facts


def test_a_run_of_schema_2_needs_the_configuration_it_was_trained_with(old: RunFolder) -> None:
    path = old.root / "config.yaml"
    path.write_text(path.read_text().replace("batch_size: 16", "batch_size: 8"))
    refused(BundleError, "config.yaml must be what the run was trained with", old.facts)
    path.unlink()
    refused(BundleError, r"a run folder must have config\.yaml", old.facts)


def test_an_unknown_key_of_an_old_run_is_refused(old: RunFolder) -> None:
    path = old.root / "run.json"
    tree = json.loads(path.read_text()) | {"extra": 1}
    path.write_text(json.dumps(tree | {"seal": seal(tree)}))
    refused(BundleError, "extra: Extra inputs are not permitted", old.facts)


def test_an_old_bundle_keeps_its_id_and_is_read_whole() -> None:
    path = locate("starter") / "bundle.json"
    tree = json.loads(path.read_text())
    bundle = Bundle.load("starter")
    assert bundle.id == tree["seal"][:12] == "ba9fa04a5b5e"
    facts, training = bundle.manifest.facts, tree["training"]
    assert isinstance(facts.origin, Trained)
    assert facts.films is not None
    parts = (facts.network, facts.origin, facts.films)
    read = {key: value for part in parts for key, value in part.model_dump(mode="json").items()}
    flat = {key: value for key, value in training.items() if key != "schema_version"}
    assert {key: read[key] for key in flat} == flat
    for name in ("name", "label_set", "preprocessing"):
        assert read[name] == tree[name]
    assert list(bundle.manifest.labels) == tree["labels"]
    # it does not have them, and nothing is made up
    assert (facts.origin.seed, facts.films.policy, facts.network.architecture) == (None, None, "")


def test_an_old_bundle_without_labels_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(locate("starter"), tmp_path / "bundle"))
    tree = json.loads((copy / "bundle.json").read_text())
    tree["labels"] = tree["labels"][::-1]
    (copy / "bundle.json").write_text(json.dumps(tree | {"seal": seal(tree)}))
    refused(BundleError, "label order must be the one", lambda: Bundle.load(copy))


def test_the_seal_is_read_only_where_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_sealed(IMPORTED, path)
    assert read_seal(path) == seal(IMPORTED.model_dump(mode="json"))
    path.write_text(path.read_text().replace("net.pth", "other.pth"))
    refused(BundleError, "was edited since", lambda: read_seal(path))
    path.unlink()
    refused(BundleError, "must be there", lambda: read_seal(path))


# origin


def test_an_origin_is_told_by_its_kind(toy: Path, imported: RunFolder) -> None:
    assert RunFolder(toy / "run").facts().origin.kind == "trained"
    assert imported.facts().origin == IMPORTED
    tree = imported.facts().model_dump(mode="json")
    tree["origin"]["kind"] = "found"
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        RunFacts.model_validate(tree)


def test_a_trained_run_has_films(toy: Path) -> None:
    tree = RunFolder(toy / "run").facts().model_dump(mode="json")
    with pytest.raises(ValidationError, match="must say which films it was trained on"):
        RunFacts.model_validate(tree | {"films": None})


def test_an_imported_run_has_no_films_and_no_configuration(imported: RunFolder) -> None:
    imported.refuse_edited_config()
    refused(UsageError, "Name the dataset with --data: hilum calibrate .* --data", imported.films)
    refused(BundleError, r"was imported from net\.pth\. Name a run of", imported.config)


def test_the_dataset_s_folder_stays_in_the_lab(toy: Path) -> None:
    facts = RunFolder(toy / "run").facts()
    films = facts.for_bundle().films
    assert films is not None
    assert films.data == ""
    assert facts.for_bundle().network == facts.network


# what a bundle loads


def test_bundles_load_nothing_of_training() -> None:
    code = (
        "import hilum.bundle, sys; found = [m for m in sys.modules "
        "if m.startswith('hilum.training') or m == 'torch']; assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
