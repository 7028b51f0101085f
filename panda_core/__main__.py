"""The command line: ``panda COMMAND``. Commands are imported when called, so that ``panda --help`` is instant.

Exit codes: 0 done; 2 bad usage or input; 1 anything else.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from panda_core.errors import BrokenOffError, PandaError

COMMANDS = {
    "inspect": ("panda_core.cli.inspecting", "inspect", "Inspect an image or a folder of images with a model."),
    "check": ("panda_core.cli.checking", "check", "Look through a folder before training on it."),
    "train": ("panda_core.cli.training", "train", "Train a model on a folder of normal images, or resume a training."),
    "estimate": ("panda_core.cli.estimating", "estimate", "Say how long a training would take here, from a few real steps."),
    "sweep": ("panda_core.cli.sweeping", "sweep", "Train every combination of a few fields' values; name the best."),
    "calibrate": ("panda_core.cli.calibrating", "calibrate", "Give a model a new boundary from your own images."),
    "pretext": ("panda_core.cli.training", "pretext", "Pre-train the specific perceptual network on normal images."),
    "evaluate": ("panda_core.cli.evaluating", "evaluate", "Measure models on a labelled folder: AUROC, boundary, time."),
    "reproduce": ("panda_core.cli.reproducing", "reproduce", "Measure and write the tables and figures of the paper."),
    "jobs": ("panda_core.cli.jobs", "jobs", "List the trainings in the background; stop, resume, discard them."),
    "models": ("panda_core.cli.models", "models", "List the models on this machine; rename, copy, delete, export, import them."),
    "datasets": ("panda_core.cli.datasets", "datasets", "List public data sets, and bring one into the layout used here."),
    "examples": ("panda_core.cli.drawing", "examples", "Draw a data set of procedural leaves or X-rays."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and short helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, from the short helps above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, _, short) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.version_option(package_name="panda-inspector", prog_name="panda")
def panda(debug: bool) -> None:
    """Find visual anomalies after seeing only normal images (PANDA-GAN, arXiv 2104.13702).

    \b
    panda inspect photo.jpg --model leaf        what does the shipped model say of this photo?
    panda train good_parts/ --run runs/first    learn what normal looks like from a folder
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(arguments, debug=debug))


def run(arguments: list[str] | None = None, *, debug: bool = False) -> int:
    """Run the command line; returns the exit code. A person's mistake is a sentence on stderr, never a traceback."""
    try:
        result: Any = panda.main(args=arguments, standalone_mode=False, prog_name="panda")
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return 1
    except PandaError as error:
        click.echo(f"Error: {error}", err=True)
        return 1 if isinstance(error, BrokenOffError) else 2
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.filename is not None:
            hint = "Look at the path, its permissions and the free space; `panda --debug ...` shows where it was needed."
            click.echo(f"Error: {error.filename}: {error.strerror}. {hint}", err=True)
            return 2
        click.echo(f"Unexpected {type(error).__name__}: {error}. Run with `panda --debug ...` for the traceback.", err=True)
        return 1


if __name__ == "__main__":
    main()
