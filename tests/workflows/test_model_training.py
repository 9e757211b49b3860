"""The training workflow as a person meets it: it trains, resumes when killed, and its report stands alone."""

from __future__ import annotations

import gzip
import importlib.util
import pickle
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="the demo extra is not installed")
ROOT = Path(__file__).resolve().parents[2]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("model_training", ROOT / "workflows" / "model_training.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_training"] = module
    spec.loader.exec_module(module)
    return module


training = load()


@pytest.fixture(scope="module")
def data() -> Any:
    return training.load_data(3)


class Store:
    """Keeps checkpoints like a worker, and can be told to die after some rounds."""

    def __init__(self, die_after: int | None = None, kept: bytes | None = None) -> None:
        self.kept, self.rounds, self.die_after = kept, 0, die_after

    def checkpoint(self, *value: Any) -> Any:
        if not value:
            return pickle.loads(self.kept) if self.kept else None
        self.kept = pickle.dumps(value[0])
        return None

    def progress(self, fraction: float) -> None:
        assert 0 < fraction <= 1
        self.rounds += 1
        if self.rounds == self.die_after:
            raise KeyboardInterrupt


def test_a_small_run_trains_writes_and_tells(tmp_path: Path) -> None:
    result = training.model_training(folds=2, candidates=2, seed=3, out=str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.pkl.gz", "report.html"]
    assert result["fits"] == 4
    assert result["accuracy"] > 0.93
    model = pickle.loads(gzip.decompress(Path(result["model"]).read_bytes()))
    images, labels = training.load_data(3)["test"]
    assert round(training.accuracy(model, images, labels), 4) == result["accuracy"]
    page = Path(result["report"]).read_text()
    assert f"{100 * result['accuracy']:.1f}" in page
    assert_stands_alone(page)


def assert_stands_alone(page: str) -> None:
    """No placeholder is left, and nothing is fetched: no script, style sheet or picture from elsewhere."""
    assert not re.search(r"\$[a-z]+\b", page)
    assert "<script" not in page
    assert "<link" not in page
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]+)"', page))
    assert "<svg" in page
    assert page.count("<table>") == 1
    assert 'name="viewport"' in page


@pytest.mark.parametrize("candidate", [0, 1], ids=lambda index: training.CANDIDATES[index]["family"])
def test_a_killed_refit_goes_on_from_its_checkpoint_to_the_same_model(
    candidate: int, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise of a checkpoint: what comes out does not tell how often it was interrupted."""
    best = training.CANDIDATES[candidate] | {"rounds": 12}

    def attempt(store: Store) -> Any:
        monkeypatch.setattr(training, "checkpoint", store.checkpoint)
        monkeypatch.setattr(training, "progress", store.progress)
        return training.refit(best, data=data, seed=3)

    whole = attempt(Store())
    killed = Store(die_after=8)
    with pytest.raises(KeyboardInterrupt):
        attempt(killed)
    second = Store(kept=killed.kept)
    resumed = attempt(second)
    assert second.rounds == 12 - training.SAVE_EVERY  # rounds 6 to 8 were lost, 1 to 5 were not repeated
    assert resumed["curve"] == whole["curve"]
    rows = training.flat(data["test"][0])
    assert (resumed["model"].predict_proba(rows) == whole["model"].predict_proba(rows)).all()


@pytest.mark.parametrize("candidate", training.CANDIDATES, ids=training.label)
def test_every_candidate_can_be_trained_a_round_at_a_time(candidate: dict[str, Any], data: Any) -> None:
    fit = {**candidate, "fold": 1, "rounds": 2}
    first, second = (training.cross_validate(fit, data=data, folds=3, seed=3) for _ in range(2))
    assert first["accuracy"] == second["accuracy"] > 0.2  # guessing gives 0.1


def test_the_ranking_does_not_depend_on_the_order_of_arrival() -> None:
    scores = [
        {**candidate, "fold": fold, "accuracy": 0.9 + 0.001 * (number % 4), "seconds": random.random()}
        for number, candidate in enumerate(training.CANDIDATES)
        for fold in range(3)
    ]
    ranked = training.rank(scores)
    assert len(ranked) == len(training.CANDIDATES)
    random.Random(1).shuffle(scores)
    assert [training.label(c) for c in training.rank(scores)] == [training.label(c) for c in ranked]


def test_a_perfect_model_has_no_mistakes_to_show(tmp_path: Path) -> None:
    diagonal = [[36 * (i == j) for j in range(10)] for i in range(10)]
    verdict = {"confusion": diagonal, "mistakes": [], "right": 360, "of": 360}
    sweep = [{**training.CANDIDATES[0], "folds": [1.0, 1.0], "seconds": 1.0}]
    curve = [{"train": 1.0, "valid": 1.0}]
    path = training.write_report(sweep, curve, verdict, folder=str(tmp_path), seed=1, folds=2)
    page = Path(path).read_text()
    assert "100.0" in page
    assert "every held-out image was read rightly" in page
    assert_stands_alone(page)


def test_shifted_images_are_the_image_and_its_four_neighbours(data: Any) -> None:
    images, labels = data["train"][0][:1], data["train"][1][:1]
    rows, names = training.training_set(images, labels, shifted=True)
    moved = rows.reshape(5, 8, 8)
    assert (moved[0] == images[0]).all()
    assert (moved[1][1:] == images[0][:-1]).all()
    assert (moved[2][:-1] == images[0][1:]).all()
    assert (moved[3][:, 1:] == images[0][:, :-1]).all()
    assert (moved[4][:, :-1] == images[0][:, 1:]).all()
    assert list(names) == [labels[0]] * 5


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"folds": 1}, "folds=1"), ({"candidates": 0}, "candidates=0"), ({"candidates": 99}, "candidates=99")],
)
def test_a_wrong_parameter_is_named(wrong: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        training.model_training(**wrong)


@given(st.integers(1, 5000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_holds_the_share_and_stays_a_share(counts: tuple[int, int]) -> None:
    right, of = counts
    low, high = training.wilson(right, of)
    assert -1e-12 <= low <= right / of + 1e-12
    assert right / of - 1e-12 <= high <= 1 + 1e-12
