"""report: draws the run."""

from hwprune.flow.stage import Outcome, Stage, StageContext


def run(context: StageContext) -> Outcome:
    """Draw ``report.html``, which lies beside the stages' folders, where people look for it."""
    from hwprune.report.render import render_report

    return Outcome((render_report(context.folder.parent),))


def stage(reads: tuple[str, ...]) -> Stage:
    """The stage, for a run of these other stages: it reads them all."""
    return Stage(
        name="report",
        about="draws the report",
        makes="../report.html",
        reads=reads,
        sections=("name", "report"),
        run=run,
    )
