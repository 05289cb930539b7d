"""The command line: one command a stage, and no logic of its own.

Nothing heavy is imported before a command runs, so that ``--help`` is quick.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwprune import __version__
from hwprune.errors import UserError
from hwprune.flow.pipeline import STAGES, stages
from hwprune.flow.stage import Stage

if TYPE_CHECKING:
    from rich.console import Console

    from hwprune.flow.run_folder import RunFolder
    from hwprune.recipe import Recipe

# Threads that wait for each other by spinning make an epoch four times as long as soon as the machine does anything
# else. GNU OpenMP reads this once, before torch is imported; a short spin keeps what two free processors gain.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

BAD_INPUT, INTERRUPTED = 2, 130
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Commands(click.Group):
    """Commands in the order of a run; what the user can mend ends in a message, never in a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except UserError as error:
            text = str(error)
            click.echo(f"Errors:\n{text}" if "\n" in text else f"Error: {text}", err=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"Error: {where}{error.strerror or error}", err=True)
        except KeyboardInterrupt as error:
            click.echo(f"\n{_kept(ctx, error)}", err=True)
            ctx.exit(INTERRUPTED)
        ctx.exit(BAD_INPUT)


def _kept(ctx: click.Context, error: KeyboardInterrupt) -> str:
    stage = getattr(error, "stage", None)
    again = f"go on with: {ctx.command_path} {shlex.join(sys.argv[1:])}"
    if stage is None:
        return f"Interrupted; all finished stages are kept; {again}"
    return f"Interrupted in stage {stage}; finished stages and what {stage} has done so far are kept; {again}"


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(__version__, "--version", prog_name="hwprune", message="%(prog)s %(version)s")
def main() -> None:
    """Prune a network until it fits an FPGA, compile it, and prove that the hardware computes what the network does.

    A RECIPE is one YAML file with every setting of a run. Each stage writes its own folder in the run folder; a
    finished stage is kept as long as nothing it depends on has changed.

    \b
    hwprune run                     the quickstart recipe, from images to the report
    hwprune recipe bccd > my.yaml   a ready recipe to start from
    hwprune run my.yaml             all stages of a recipe, into runs/my
    hwprune prune my.yaml           up to one stage only
    hwprune build my.yaml           up to a bitstream, for the board that the recipe names
    hwprune doctor                  what is installed, and what is missing
    """


_recipe = click.argument("recipe", required=False, type=click.Path(path_type=Path))
_out = click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder [default: runs/NAME].")


_levels = click.option(
    "--level",
    type=click.Choice(["csim", "cycle", "rtl"]),
    multiple=True,
    help="Run this level only, in place of simulate.levels; may be given again. `cycle` takes seconds: latency, frames "
    "a second, what limits them.",
)


@main.command(short_help="All stages, from images to the report.")
@_recipe
@_out
def run(recipe: Path | None, out: Path | None) -> None:
    """Run all stages of RECIPE (without it, the quickstart recipe), from images to the report.

    A bitstream is made only if the recipe asks for one:

    \b
        compile: {board: pynq-z2}     names the board
        build: {}                     runs the stages build and deploy before the report

    Finished stages that nothing has changed for are kept, an interrupted one goes on where it stopped: to resume a run,
    give the same command again.

    \b
    Example:
        hwprune run my.yaml --out runs/first
    """
    _run(recipe, out, None)


def _stage_command(stage: Stage) -> click.Command:
    """The command that runs one stage, after those before it that are missing."""

    def command(recipe: Path | None, out: Path | None, level: tuple[str, ...] = ()) -> None:
        _run(recipe, out, stage.name, level)

    reads = ", ".join(f"{name}/" for name in stage.reads) or "the images"
    text = f"""{stage.about[0].upper()}{stage.about[1:]}.

    \b
    Reads:    {reads}
    Makes:    {stage.name}/{stage.makes}
    Settings: {", ".join(stage.sections)} in RECIPE (without it, the quickstart recipe)

    Stages it reads that are missing or out of date are run first.

    \b
    Example:
        hwprune {stage.name} my.yaml --out runs/first
    """
    short = f"{stage.about[0].upper()}{stage.about[1:]}."
    if stage.name == "simulate":
        command = _levels(command)
    return click.command(stage.name, help=text, short_help=short)(_recipe(_out(command)))


for _stage in STAGES:
    if _stage.name != "report":  # which needs no recipe, and draws what there is
        main.add_command(_stage_command(_stage))


_jobs = click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Processes that work at once."
)


@main.command(short_help="What each layer's channels are worth: score against channels removed.")
@_recipe
@_out
@click.option(
    "--after",
    type=click.Choice(["train", "sparsify"]),
    default="sparsify",
    show_default=True,
    help="Measure the network that this stage has left.",
)
@_jobs
def sensitivity(recipe: Path | None, out: Path | None, after: str, jobs: int) -> None:
    """Take 10, 20, ... 90 % of the channels of one layer at a time, the least important first by the recipe's method,
    and measure the score without training: a layer whose curve stays up can be pruned hard.

    \b
    Makes:    sensitivity/sensitivity.json, sensitivity/sensitivity.svg in the run folder
    Settings: data, prune in RECIPE (without it, the quickstart recipe)

    Stages that are missing are run first. Each point is kept: to go on after a stop, give the same command again.

    \b
    Example:
        hwprune sensitivity my.yaml --out runs/first --jobs 4
    """
    from hwprune.flow.sensitivity import sensitivity as measure

    click.echo(measure(*_what(recipe, out), after=after, jobs=jobs))


@main.command(short_help="Score against parameters, operations and fps, as the pruned share grows.")
@_recipe
@_out
@click.option("--shares", metavar="0.2,0.4,...", help="Shares of channels to remove [default: 0.1,0.2,...,0.9].")
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="Let Optuna choose N shares, for a high score at few operations, in place of --shares.",
)
@click.option(
    "--storage",
    metavar="URL|FILE",
    help="Where Optuna keeps the trials: a data base (sqlite:///sweep.db, postgresql://...) or a journal file; "
    "machines that name the same one share the work, each in its own --out. [default: a journal in the run folder]",
)
@_jobs
def sweep(
    recipe: Path | None, out: Path | None, shares: str | None, trials: int | None, storage: str | None, jobs: int
) -> None:
    """Prune and fine-tune RECIPE with one share after the other, for the curve of the score against parameters,
    operations and estimated frames a second. Train and sparsify run once, for all of them.

    \b
    Makes:    sweep/sweep.json, sweep/sweep.svg, sweep/share-*/ (a run folder each)
    Settings: as for finetune, and compile for the estimate

    Finished trials are kept, and those of processes that died are begun again: to go on after a stop, give the same
    command again.

    \b
    Examples:
        hwprune sweep my.yaml --out runs/first --shares 0.3,0.5,0.7
        hwprune sweep my.yaml --trials 20 --jobs 4 --storage postgresql://me@host/sweeps
    """
    from hwprune.flow.sweep import parse_shares
    from hwprune.flow.sweep import sweep as run_sweep

    chosen = None if shares is None else parse_shares(shares)
    click.echo(run_sweep(*_what(recipe, out), shares=chosen, trials=trials, storage=storage, jobs=jobs))


@main.command(short_help="Draw report.html of a run folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Draw DIR/report.html from the stages of the run folder DIR that are finished.

    \b
    Example:
        hwprune report runs/quickstart
    """
    from hwprune.report.render import render_report

    click.echo(render_report(folder))


@main.command(short_help="List the ready recipes, or print one.")
@click.argument("name", required=False)
def recipe(name: str | None) -> None:
    """Print the ready recipe NAME, to start your own from; without NAME, list them.

    \b
    Example:
        hwprune recipe bccd > my.yaml
    """
    from hwprune.recipes import ready_recipe, ready_recipes

    if name is None:
        for ready in ready_recipes():
            click.echo(f"{ready.stem:14} {ready.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}")
    else:
        click.echo(ready_recipe(name).read_text(encoding="utf-8"), nl=False)


@main.command(short_help="What is installed, what is missing, and how to get it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look for every tool, and say what it is for and how to get what is missing.

    Ends with status 1 when something is missing that `hwprune run` needs.
    """
    import json

    from rich.console import Console

    from hwprune import doctor as checks

    findings = checks.examine()
    if as_json:
        click.echo(json.dumps(checks.as_json(findings), indent=2))
    else:
        checks.report(findings, Console())
    ctx.exit(0 if checks.runnable(findings) else 1)


def _run(path: Path | None, out: Path | None, last: str | None, levels: tuple[str, ...] = ()) -> None:
    from hwprune.flow.runner import Runner
    from hwprune.recipe import with_build, with_levels

    recipe, folder, console = _what(path, out)
    if levels:
        recipe = with_levels(recipe, levels)
    if last in ("build", "deploy"):
        recipe = with_build(recipe)
    Runner(recipe, folder, stages(recipe.prune.rounds, board=recipe.build is not None), console).run(last)
    click.echo(folder.root)


def _what(path: Path | None, out: Path | None) -> "tuple[Recipe, RunFolder, Console]":
    """The recipe, its run folder, and where stages say what they do."""
    from rich.console import Console

    from hwprune.flow.run_folder import RunFolder
    from hwprune.recipe import load_recipe
    from hwprune.recipes import ready_recipe

    recipe = load_recipe(ready_recipe("quickstart") if path is None else path)
    return recipe, RunFolder(out or Path("runs") / recipe.name), Console()


if __name__ == "__main__":
    main()
