"""`headway demo`: a real training run on a real service that is killed twice on the way, under a live view."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the model and its report go.")
    ] = Path("headway-demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the state folder, to look into it.")] = False,
    folds: Annotated[
        int, typer.Option("--folds", min=2, help="Parts of the cross-validation: more is longer.")
    ] = 5,
) -> None:
    """Train a model through the real service, kill it in mid-run, see it resume.

    Starts a service on a state folder of its own, submits workflows/model_training.py (a sweep over models for handwritten digits,
    refit, evaluation, report), kills the service and later everything with SIGKILL, and shows that nothing was lost or recorded twice.

    Examples:

        headway demo

        headway demo --folds 3 --out /tmp/digits
    """
    from headway.cli.demo_run import Demo
    from headway.cli.demo_view import View

    state = Path(tempfile.mkdtemp(prefix="headway-demo-"))
    show = Demo(state, out.resolve(), folds)
    try:
        with View() as view:
            show.play(view)
        show.summary(view)
    finally:
        show.end()
        if keep:
            print(f"The state folder is kept: {state}", flush=True)
        else:
            shutil.rmtree(state, ignore_errors=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Service")(demo)
