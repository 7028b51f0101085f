"""``panda jobs``: the trainings that the page and `panda sweep` have started, seen and led from a terminal."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.table import Table

from panda_core.cli.console import ERR, OUT, json_option, print_json
from panda_core.cli.estimating import duration
from panda_core.cli.results import run_document
from panda_core.jobs import Jobs
from panda_core.runs import RunDir

NONE_YET = """No training in the background yet. Start one in the page, or a grid of them: panda sweep FOLDER --out DIR --grid FIELD=V1,V2
What panda train --run RUN trains is not listed here: it stays in its own terminal, and its model appears in RUN/model."""
training_argument = click.argument("training")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def jobs(context: click.Context, as_json: bool) -> None:
    """List the trainings in the background, newest first, or control one of them.

    They are started by the page or by `panda sweep`, are processes of their own, and go on when whoever started them ends. TRAINING is
    an id from the list, or its number alone. A training that you started with `panda train --run DIR` is controlled from its own terminal.

    \b
    Example:  panda jobs
              panda jobs stop 7
              panda jobs resume 7
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@jobs.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The same as `panda jobs`: every training with its state and how far it is."""
    _list(as_json)


@jobs.command()
@training_argument
@json_option
def show(training: str, as_json: bool) -> None:
    """Say how one TRAINING stands: progress, time left, last losses, warnings, and where its files are.

    \b
    Example:  panda jobs show 7
    """
    run = _find(Jobs(), training)
    latest = _latest(run)
    if as_json:
        print_json(run_document(run) | latest)
        return
    table = Table("what", "value", title=run.name)
    for name, value in (run_document(run) | latest).items():
        if value not in (None, "", [], {}):
            table.add_row(name, _worded(name, value))
    OUT.print(table)


@jobs.command()
@training_argument
@json_option
def stop(training: str, as_json: bool) -> None:
    """Stop a TRAINING with a checkpoint, or at its last one where that takes too long: panda jobs resume goes on from it.

    Too long is more than four seconds and two of its steps, half a minute at most.

    \b
    Example:  panda jobs stop 7
    """
    places = Jobs()
    run = _find(places, training)
    watch = places.cancel(run.path.name)
    if watch:
        watch.join()
    _tell(run, as_json)


@jobs.command()
@training_argument
@json_option
def resume(training: str, as_json: bool) -> None:
    """Go on with a TRAINING that was stopped, interrupted or failed, in the background, from its last checkpoint.

    \b
    Example:  panda jobs resume 7
    """
    places = Jobs()
    _tell(places.resume(_find(places, training).path.name), as_json)


@jobs.command()
@training_argument
@json_option
def discard(training: str, as_json: bool) -> None:
    """Take a TRAINING that is over out of the list, with its model if nobody has kept that. It can be restored for 30 days.

    \b
    Example:  panda jobs discard 7
    """
    places = Jobs()
    id = _find(places, training).path.name
    places.discard(id)
    if as_json:
        print_json({"discarded": id})
    else:
        ERR.print(f"Discarded. To bring it back: panda jobs restore {id}")


@jobs.command()
@click.argument("training", required=False)
@json_option
def restore(training: str | None, as_json: bool) -> None:
    """Bring a discarded TRAINING back. Without TRAINING, list what can be restored.

    \b
    Example:  panda jobs restore 7
    """
    places = Jobs()
    known = places.shelf.discarded()
    if training is not None:
        _tell(places.restore(_id(training, known)), as_json)
    elif as_json:
        print_json(list(known))
    else:
        OUT.print("\n".join(known) or "Nothing that was discarded is left.")


def _list(as_json: bool) -> None:
    runs = Jobs().list()
    if as_json:
        print_json([run_document(run) for run in runs])
        return
    table = Table("id", "state", "progress", "left", "data")
    for run in map(run_document, runs):
        done = f"{run['step']} of {run['total']}" if run.get("total") else ""
        table.add_row(
            run["id"], run["state"], done, duration(run["remaining"]) if run.get("remaining") else "", run.get("data", run["detail"])
        )
    OUT.print(table if runs else NONE_YET)


def _id(training: str, known: Any) -> str:
    """The id that a person means: as it is, or by its number."""
    if not training.isdigit():
        return training
    return next((id for id in known if id.startswith(f"{int(training):04d}-")), training)


def _find(places: Jobs, training: str) -> RunDir:
    return places.find(_id(training, [path.name for path in places.shelf.folders()]))


def _tell(run: RunDir, as_json: bool) -> None:
    document = run_document(run)
    if as_json:
        print_json(document)
    else:
        ERR.print(f"{document['id']}: {document['state']}. {document['detail']}".strip())


def _latest(run: RunDir) -> dict[str, Any]:
    """The last losses, the last load of the machine and the warnings of a run."""
    events = run.events()
    found: dict[str, Any] = {
        "losses": {},
        "load": {},
        "warnings": [str(one["message"]) for one in events if one.get("event") == "warning"][-5:],
    }
    for event in events:
        if event.get("event") == "step":
            found["losses"] = {name: value for name, value in event.items() if "." in name}
        elif event.get("event") == "resources":
            found["load"] = {name: event[name] for name in ("cpu", "memory", "memory_total", "gpu") if name in event}
    return found


def _worded(name: str, value: Any) -> str:
    if name in ("created", "updated"):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    if name == "remaining":
        return duration(value)
    if isinstance(value, dict):
        return "\n".join(f"{key} {inner:.4g}" if isinstance(inner, float) else f"{key} {inner}" for key, inner in value.items())
    return "\n".join(value) if isinstance(value, list) else str(value)
