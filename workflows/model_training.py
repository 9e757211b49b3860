"""Train a reader of handwritten digits: cross-validated sweep, refit with checkpoints, evaluation, report.

The data are the 1,797 images of 8 x 8 pixels that scikit-learn ships (UCI, optical recognition of handwritten
digits). Each fit of the sweep is a task of its own; the refit saves its state as it goes, so that a killed
attempt is resumed and not repeated. Every score depends only on `seed`, however often and wherever it ran.

    headway run workflows/model_training.py
    headway run workflows/model_training.py --folds 3 --out /tmp/digits
    python workflows/model_training.py            # the same in this process, without a service
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import math
import os
import pickle
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from headway import checkpoint, progress, task, workflow

DIGITS = 10
#: What the sweep tries, the quick ones first. `rounds` are epochs of a network, growth steps of an ensemble;
#: `shifted` adds to each training image the same image moved by a pixel up, down, left, right.
CANDIDATES: tuple[dict[str, Any], ...] = (
    {"family": "extra trees", "shifted": False, "rounds": 30},
    {"family": "network", "hidden": [64], "alpha": 0.001, "shifted": False, "rounds": 60},
    {"family": "network", "hidden": [256], "alpha": 0.01, "shifted": False, "rounds": 60},
    {"family": "extra trees", "shifted": True, "rounds": 30},
    {"family": "network", "hidden": [128], "alpha": 0.1, "shifted": True, "rounds": 25},
    {"family": "random forest", "shifted": True, "rounds": 30},
    {"family": "network", "hidden": [512], "alpha": 0.01, "shifted": True, "rounds": 16},
    {"family": "boosting", "shifted": True, "rounds": 8},
)
#: Trees (or boosting iterations) that one round adds.
STEP = {"extra trees": 4, "random forest": 4, "boosting": 4}
#: Rounds between two checkpoints of the refit: a killed attempt repeats fewer than these.
SAVE_EVERY = 5

Data = Mapping[str, Any]
Candidate = Mapping[str, Any]


@workflow
def model_training(
    folds: int = 5, candidates: int = len(CANDIDATES), seed: int = 7, out: str = "model_training_report"
) -> dict[str, Any]:
    """Sweep, pick, refit, evaluate and report.

    Args:
        folds: Parts of the cross-validation; candidates times folds are the tasks of the sweep. At least 2.
        candidates: How many of the candidates to try, from the quick ones on.
        seed: Decides the split, the folds and all starting weights.
        out: Folder for `model.pkl.gz` and `report.html`, relative to where the run is started.
    """
    if folds < 2:
        raise ValueError(f"folds={folds}: cross-validation needs at least 2 folds")
    if not 1 <= candidates <= len(CANDIDATES):
        raise ValueError(
            f"candidates={candidates}: there are {len(CANDIDATES)}, so choose 1 to {len(CANDIDATES)}"
        )
    folder = str(Path(out).resolve())  # the workers have another working directory
    fits = [{**candidate, "fold": fold} for candidate in CANDIDATES[:candidates] for fold in range(folds)]
    data = load_data(seed)
    scores = cross_validate.map(fits, data=data, folds=folds, seed=seed)
    sweep = rank(scores)
    trained = refit(sweep[0], data=data, seed=seed)
    verdict = evaluate(trained["model"], data=data)
    model = save_model(trained["model"], folder=folder)
    report = write_report(sweep, trained["curve"], verdict, folder=folder, seed=seed, folds=folds)
    return summary(sweep, verdict, model=model, report=report)


# -------------------------------------------------------------------------------------------------- the tasks


@task(estimate="1s")
def load_data(seed: int) -> dict[str, Any]:
    """The images in three parts: for training, for the learning curve, and held out until the very end."""
    from sklearn.datasets import load_digits  # in the worker, so that tracing the graph stays quick
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    rest, test, rest_label, test_label = train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=seed
    )
    train, valid, train_label, valid_label = train_test_split(
        rest, rest_label, test_size=180, stratify=rest_label, random_state=seed
    )
    return {"train": (train, train_label), "valid": (valid, valid_label), "test": (test, test_label)}


@task(cpu=1, retries=1, estimate="1s")
def cross_validate(fit: Candidate, data: Data, folds: int, seed: int) -> dict[str, Any]:
    """Train one candidate without one fold, and score it on that fold."""
    from sklearn.model_selection import StratifiedKFold

    images, labels = data["train"]
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(images, labels)
    inside, outside = list(splits)[fit["fold"]]
    started = time.perf_counter()
    model = new_model(fit, seed)
    x, y = training_set(images[inside], labels[inside], shifted=fit["shifted"])
    for done in range(fit["rounds"]):
        advance(model, fit, x, y, done, seed)
        progress((done + 1) / fit["rounds"])
    right = int((model.predict(flat(images[outside])) == labels[outside]).sum())
    return {**fit, "accuracy": right / len(outside), "seconds": time.perf_counter() - started}


@task(cpu=1)
def rank(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Candidates with their fold scores, best mean first; among equals the cheaper one."""
    by_candidate: dict[str, dict[str, Any]] = {}
    for score in scores:
        setting = {key: value for key, value in score.items() if key not in ("fold", "accuracy", "seconds")}
        entry = by_candidate.setdefault(label(setting), {**setting, "folds": [], "seconds": 0.0})
        entry["folds"].append(score["accuracy"])
        entry["seconds"] += score["seconds"]
    # The rounded mean, then the size of the work: never the measured seconds, which differ from run to run.
    return sorted(
        by_candidate.values(), key=lambda c: (-round(statistics.mean(c["folds"]), 6), work(c), label(c))
    )


@task(cpu=1, retries=2, estimate="4s")
def refit(best: Candidate, data: Data, seed: int) -> dict[str, Any]:
    """Train the winner on all training images; a resumed attempt goes on from the last saved round."""
    curve: list[dict[str, float]]
    model, curve = checkpoint() or (new_model(best, seed), [])
    images, labels = data["train"]
    x, y = training_set(images, labels, shifted=best["shifted"])
    for done in range(len(curve), best["rounds"]):
        advance(model, best, x, y, done, seed)
        curve.append({part: accuracy(model, *data[part]) for part in ("train", "valid")})
        progress((done + 1) / best["rounds"])
        if (done + 1) % SAVE_EVERY == 0:
            checkpoint((model, curve))
    return {"model": model, "curve": curve}


@task(cpu=1)
def evaluate(model: Any, data: Data) -> dict[str, Any]:
    """How the model does on images that nothing has seen before: confusion matrix and what it got wrong."""
    images, labels = data["test"]
    chances = model.predict_proba(flat(images))
    guesses = chances.argmax(axis=1)
    confusion = np.zeros((DIGITS, DIGITS), dtype=int)
    np.add.at(confusion, (labels, guesses), 1)
    wrong = np.flatnonzero(guesses != labels)
    wrong = wrong[np.argsort(-chances[wrong, guesses[wrong]], kind="stable")]
    mistakes = [
        {"image": images[i], "is": int(labels[i]), "read": int(guesses[i]), "sure": float(chances[i].max())}
        for i in wrong
    ]
    return {
        "confusion": confusion.tolist(),
        "mistakes": mistakes,
        "right": int(confusion.trace()),
        "of": len(labels),
    }


@task(cpu=1)
def save_model(model: Any, folder: str) -> str:
    """Write `model.pkl.gz`; the path. `pickle.load(gzip.open(path))` gives the estimator back."""
    return write_file(
        Path(folder) / "model.pkl.gz", gzip.compress(pickle.dumps(model), compresslevel=1, mtime=0)
    )


@task(cpu=1)
def summary(
    sweep: Sequence[Candidate], verdict: Mapping[str, Any], model: str, report: str
) -> dict[str, Any]:
    """What the run returns."""
    return {
        "accuracy": round(verdict["right"] / verdict["of"], 4),
        "right": f"{verdict['right']} of {verdict['of']} held-out images",
        "winner": label(sweep[0]),
        "cross_validated": round(statistics.mean(sweep[0]["folds"]), 4),
        "fits": sum(len(candidate["folds"]) for candidate in sweep),
        "model": model,
        "report": report,
    }


# ----------------------------------------------------------------------------------------------- the training


def new_model(candidate: Candidate, seed: int) -> Any:
    """An untrained estimator that can be trained a round at a time."""
    match candidate["family"]:
        case "network":
            from sklearn.neural_network import MLPClassifier

            return MLPClassifier(
                tuple(candidate["hidden"]), alpha=candidate["alpha"], batch_size=64, random_state=seed
            )
        case "extra trees":
            from sklearn.ensemble import ExtraTreesClassifier

            return ExtraTreesClassifier(warm_start=True, random_state=seed)
        case "random forest":
            from sklearn.ensemble import RandomForestClassifier

            return RandomForestClassifier(warm_start=True, random_state=seed)
        case "boosting":
            from sklearn.ensemble import HistGradientBoostingClassifier

            return HistGradientBoostingClassifier(warm_start=True, early_stopping=False, random_state=seed)
        case other:
            raise ValueError(f"no such model family: {other!r}")


def advance(model: Any, candidate: Candidate, x: Any, y: Any, done: int, seed: int) -> None:
    """Train one round more: an epoch of a network, `STEP` trees of an ensemble. `done` rounds lie behind."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the task holds one core
        if candidate["family"] == "network":
            order = np.random.default_rng((seed, done)).permutation(len(x))
            model.partial_fit(x[order], y[order], classes=np.arange(DIGITS))
        else:
            size = "max_iter" if candidate["family"] == "boosting" else "n_estimators"
            model.set_params(**{size: (done + 1) * STEP[candidate["family"]]}).fit(x, y)


def training_set(images: Any, labels: Any, *, shifted: bool) -> tuple[Any, Any]:
    """Rows of pixels; with `shifted` each image also moved by a pixel up, down, left, right."""
    if not shifted:
        return flat(images), labels
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    moves = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    side = images.shape[1]
    moved = [padded[:, row : row + side, column : column + side] for row, column in moves]
    return flat(np.concatenate(moved)), np.tile(labels, len(moves))


def flat(images: Any) -> Any:
    """One row of pixels per image."""
    return images.reshape(len(images), -1)


def accuracy(model: Any, images: Any, labels: Any) -> float:
    """Share of the images that the model reads rightly."""
    return float((model.predict(flat(images)) == labels).mean())


def work(candidate: Candidate) -> int:
    """A stable measure of what a candidate costs: rounds times what one round does."""
    size = sum(candidate["hidden"]) if "hidden" in candidate else STEP[candidate["family"]]
    return int(candidate["rounds"] * size * (5 if candidate["shifted"] else 1))


def label(candidate: Candidate) -> str:
    """A candidate's name for people."""
    if candidate["family"] == "network":
        shape = "-".join(map(str, candidate["hidden"]))
        name = f"network {shape}, alpha {candidate['alpha']:g}"
    else:
        name = f"{candidate['family']}, {candidate['rounds'] * STEP[candidate['family']]}"
    return name + (", shifted images" if candidate["shifted"] else "")


# ------------------------------------------------------------------------------------------------- the report


@task(cpu=1)
def write_report(
    sweep: Sequence[Candidate],
    curve: Sequence[Mapping[str, float]],
    verdict: Mapping[str, Any],
    folder: str,
    seed: int,
    folds: int,
) -> str:
    """Write `report.html`, one file without any other, readable on a phone; the path."""
    right, of = verdict["right"], verdict["of"]
    low, high = wilson(right, of)
    fits = sum(len(candidate["folds"]) for candidate in sweep)
    page = Template(PAGE).substitute(
        accuracy=f"{100 * right / of:.1f}",
        interval=f"{100 * low:.1f} to {100 * high:.1f} %",
        right=right,
        of=of,
        wrong=of - right,
        winner=html.escape(label(sweep[0])),
        fits=fits,
        candidates=len(sweep),
        folds=folds,
        seconds=f"{sum(candidate['seconds'] for candidate in sweep):.0f}",
        sweep=sweep_rows(sweep),
        curve=curve_picture(curve),
        rounds=len(curve),
        valid=f"{100 * curve[-1]['valid']:.1f}",
        confusion=confusion_table(verdict["confusion"]),
        mistakes=mistake_figures(verdict["mistakes"]),
        seed=seed,
        versions=versions(),
    )
    return write_file(Path(folder) / "report.html", page.encode())


def sweep_rows(sweep: Sequence[Candidate]) -> str:
    """One row a candidate: its folds as dots, its mean as a bar, on one scale."""
    low = min(min(candidate["folds"]) for candidate in sweep)
    low = math.floor(low * 100 - 0.5) / 100

    def place(value: float) -> str:
        return f"{2 + 96 * (value - low) / (1 - low):.2f}%"

    rows = []
    for position, candidate in enumerate(sweep):
        mean = statistics.mean(candidate["folds"])
        dots = "".join(f'<i style="left:{place(value)}"></i>' for value in candidate["folds"])
        rows.append(
            f"<li{' class=best' if position == 0 else ''}><span>{html.escape(label(candidate))}</span>"
            f"<strong>{100 * mean:.2f}&thinsp;%</strong>"
            f'<div class=track>{dots}<b style="left:{place(mean)}"></b></div></li>'
        )
    scale = f"<p class=scale><span>{100 * low:.0f} %</span><span>100 %</span></p>"
    return f"<ol class=sweep>{''.join(rows)}</ol>{scale}"


def curve_picture(curve: Sequence[Mapping[str, float]]) -> str:
    """Accuracy by round on training and validation images, as an SVG in the page's own colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.9), layout="constrained")
    axes = figure.add_subplot()
    rounds = range(1, len(curve) + 1)
    for part, colour, name in (("train", "#8a94a6", "training"), ("valid", "#0f766e", "validation")):
        values = [100 * point[part] for point in curve]
        axes.plot(rounds, values, color=colour, linewidth=1.8, marker="o" if len(curve) == 1 else "")
        axes.annotate(name, (len(curve), values[-1]), (4, -3 if part == "train" else -11), color=colour,
                      textcoords="offset points", ha="right", va="top", fontsize=9)  # fmt: skip
    axes.set_xlabel("round")
    axes.set_ylabel("accuracy, %")
    axes.grid(axis="y", color="#8a94a6", alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace("#000000", "currentColor").replace("#0f766e", "rgb(var(--good))")


def confusion_table(confusion: Sequence[Sequence[int]]) -> str:
    """Rows are what the digit is, columns what it was read as; mistakes stand out, zeros recede."""
    head = "".join(f"<th scope=col>{digit}</th>" for digit in range(DIGITS))
    most = max(max(row) for row in confusion)
    body = []
    for truth, row in enumerate(confusion):
        cells = []
        for read, count in enumerate(row):
            kind = "hit" if truth == read else "miss"
            strength = (
                f"{0.15 + 0.85 * count / most:.2f}"
                if kind == "hit"
                else f"{min(1.0, 0.35 + 0.2 * count):.2f}"
            )
            cells.append(f'<td class={kind} style="--s:{strength}">{count}</td>' if count else "<td></td>")
        body.append(f"<tr><th scope=row>{truth}</th>{''.join(cells)}</tr>")
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def mistake_figures(mistakes: Sequence[Mapping[str, Any]], limit: int = 24) -> str:
    """The wrongly read images, surest first."""
    if not mistakes:
        return "<p>None: every held-out image was read rightly.</p>"
    figures = []
    for mistake in mistakes[:limit]:
        words = f"{mistake['is']} read as {mistake['read']}"
        figures.append(
            f'<figure><img alt="{words}" src="data:image/png;base64,{png(mistake["image"])}">'
            f"<figcaption>{mistake['is']} &rarr; <em>{mistake['read']}</em>"
            f"<small>{100 * mistake['sure']:.0f} % sure</small></figcaption></figure>"
        )
    rest = f"<p>And {len(mistakes) - limit} more.</p>" if len(mistakes) > limit else ""
    return f"<div class=mistakes>{''.join(figures)}</div>{rest}"


def png(image: Any) -> str:
    """A small grey picture, base64; the page scales it up without smoothing."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, 1 - image, cmap="gray", vmin=0, vmax=1, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which stays inside 0 to 1 for shares near 1."""
    share = right / of
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - spread) / (1 + z * z / of), (middle + spread) / (1 + z * z / of)


def versions() -> str:
    """What the numbers were made with."""
    import sklearn

    return f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}"


def write_file(path: Path, content: bytes) -> str:
    """Replace the file in one step: a killed attempt leaves the old file or the new, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
    return str(path)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Digits: $accuracy % of held-out images</title>
<style>
:root { color-scheme: light dark; --ink: #16202e; --soft: #5b6778; --line: #dfe4ea; --paper: #fff; --good:
  15 118 110;
  --bad: 190 50 30 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b6; --line: #2b3543; --paper:
  #10161f;
  --good: 45 170 155; --bad: 235 105 80 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.6rem 1.1rem 3rem; max-width: 44rem; background: var(--paper); color:
  var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
header p { margin: 0; color: var(--soft) }
h1 { font-size: 1rem; font-weight: 600; margin: 0 0 .8rem }
.big { font-size: clamp(3.2rem, 17vw, 5.2rem); line-height: 1; font-weight: 700; letter-spacing: -.03em;
  color: var(--ink); margin: 0 0 .4rem }
.big small { font-size: .45em; font-weight: 600; color: var(--soft) }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; padding-top: 1.2rem; border-top: 1px solid var(--line) }
h2 + p { margin: 0 0 1rem; color: var(--soft) }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1rem; margin: 1.6rem
  0 0 }
dt { color: var(--soft); font-size: .85rem } dd { margin: 0; font-weight: 600 }
.sweep { list-style: none; margin: 0; padding: 0 }
.sweep li { display: grid; grid-template-columns: 1fr auto; gap: 0 .8rem; padding: .45rem 0; font-size:
  .92rem }
.sweep strong { font-variant-numeric: tabular-nums; font-weight: 600 }
.track { grid-column: 1 / -1; position: relative; height: .8rem; margin-top: .15rem; border-radius: .4rem;
  background: var(--line) }
.track i, .track b { position: absolute; top: 50%; transform: translate(-50%, -50%) }
.track i { width: .5rem; height: .5rem; border-radius: 50%; background: var(--soft); opacity: .65 }
.track b { width: .2rem; height: 1.1rem; border-radius: .1rem; background: var(--ink) }
.best span, .best strong { color: rgb(var(--good)); font-weight: 700 } .best .track b { background:
  rgb(var(--good)) }
.scale { display: flex; justify-content: space-between; margin: 0; color: var(--soft); font-size: .8rem }
svg { display: block; width: 100%; height: auto; fill: currentColor }
table { border-collapse: separate; border-spacing: 2px; width: 100%; table-layout: fixed; max-width: 34rem;
  font-variant-numeric: tabular-nums; font-size: clamp(.72rem, 3.2vw, .95rem) }
th { font-weight: 500; color: var(--soft) } td { text-align: center; padding: 0; aspect-ratio: 1;
  border-radius: 3px;
  background: color-mix(in srgb, var(--line) 45%, transparent) }
.hit { background: rgb(var(--good) / calc(var(--s) * .8)); color: #fff }
.miss { background: rgb(var(--bad) / var(--s)); color: #fff; font-weight: 700 }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.6rem, 1fr)); gap: .9rem }
figure { margin: 0 } img { width: 100%; image-rendering: pixelated; border: 1px solid var(--line);
  border-radius: 6px;
  display: block }
figcaption { font-size: .92rem; margin-top: .25rem } em { font-style: normal; font-weight: 700; color:
  rgb(var(--bad)) }
small { display: block; color: var(--soft) } .big small { display: inline }
footer { margin-top: 2.6rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .85rem }
</style></head><body>
<header><h1>Handwritten digits</h1>
<p class="big">$accuracy<small>&thinsp;%</small></p>
<p>of the held-out images were read rightly: $right of $of. The true share lies between $interval (95 %
interval).</p>
<dl><div><dt>Winner</dt><dd>$winner</dd></div><div><dt>Sweep</dt><dd>$candidates candidates, $fits
fits</dd></div>
<div><dt>Training time of the sweep</dt><dd>$seconds s of one core</dd></div></dl></header>
<h2>Sweep</h2><p>Accuracy over $folds folds. A dot is a fold, the bar their mean.</p>
$sweep
<h2>Learning curve</h2><p>The winner, trained anew on all training images for $rounds rounds: $valid % of
the validation
images at the end.</p>
$curve
<h2>Confusion matrix</h2><p>A row is what the digit is, a column what it was read as.</p>
$confusion
<h2>Misread</h2><p>All $wrong mistakes, surest first: what it is, and what it was read as.</p>
$mistakes
<footer>Data: optical recognition of handwritten digits (UCI), 8 x 8 pixels, as shipped with scikit-learn.
Seed $seed;
$versions. Made by <code>workflows/model_training.py</code>.</footer>
</body></html>
"""


if __name__ == "__main__":
    for name, value in model_training().items():
        print(f"{name:>16}  {value}")
