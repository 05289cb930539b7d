"""``report.html``: everything a run has found, in one file without any outside address."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwprune.detect.heads import METRICS
from hwprune.errors import UserError
from hwprune.files import write_text
from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import MARKER, RunFolder, StageRecord
from hwprune.flow.stage import kind
from hwprune.flow.summary import metric_of, of_last_round, summarise
from hwprune.recipe import load_recipe
from hwprune.report import contents

FILE = "report.html"


def render_report(run_folder: str | Path) -> Path:
    """Draw the report of a run, as far as it has come.

    Parameters
    ----------
    run_folder
        Where `hwprune.flow.runner.Runner` works or has worked. What its finished stages have not measured is named as
        missing, with the command that measures it.

    Returns
    -------
    Path
        ``report.html`` in that folder, written whole. The same run gives the same bytes.

    Raises
    ------
    UserError
        If this is no run folder, or its recipe cannot be read.
    """
    root = Path(run_folder)
    if not (root / MARKER).is_file():
        raise UserError(f"{root}: is no run folder; give one that `hwprune run` or one of its stages has written")
    recipe_file = root / "recipe.yaml"
    recipe = load_recipe(recipe_file)
    folder = RunFolder(root)
    *names, _ = (stage.name for stage in stages(recipe.prune.rounds, board=recipe.build is not None))
    # all but the report
    every = folder.records(names)
    records, summary = of_last_round(every), summarise(every, recipe.seed)
    level, pictures = contents.pictures({name: folder.stage(record.stage) for name, record in records.items()},
                                        recipe.report)  # fmt: skip
    page = _template().render(
        name=recipe.name,
        summary=summary,
        metric=METRICS[metric_of([summary])],
        cards=contents.cards(summary),
        missing=[name for name in names if name not in every],
        figures=_figures(summary, records, every),
        equivalence=_results(records, "simulate").get("equivalence"),
        csim=_results(records, "simulate").get("csim"),
        layers=_results(records, "compile").get("layers"),
        stalls=_stalls(folder.stage("simulate")) if "simulate" in records else None,
        advice=_results(records, "simulate").get("advice"),
        records=every.values(),
        level=level,
        pictures=pictures,
        confidence=recipe.report.confidence,
        recipe=recipe_file.read_text(encoding="utf-8"),
    )
    write_text(root / FILE, page)
    return root / FILE


def _figures(
    summary: Mapping[str, Any], records: Mapping[str, StageRecord], every: Mapping[str, StageRecord]
) -> dict[str, str | None]:
    """Charts as SVG by name, None for those whose figures are not known."""
    from hwprune.report import figures

    drawn = dict.fromkeys(("scores", "widths", "cycles", "seconds"))
    metric = metric_of([summary])
    scores = {level: value for level, value in summary[metric].items() if value is not None}
    if scores:
        drawn["scores"] = figures.bars_of_shares(list(scores), list(scores.values()), axis=METRICS[metric].name)
    prunings = [record.results.get("widths") or {} for name, record in every.items() if kind(name) == "prune"]
    if prunings and prunings[-1]:
        layers = list(prunings[-1])
        before, after = [prunings[0][layer][0] for layer in layers], [prunings[-1][layer][1] for layer in layers]
        drawn["widths"] = figures.before_after(layers, before, after, axis="channels")
    if layers := _results(records, "compile").get("layers"):
        names, cycles = [layer["name"] for layer in layers], [layer["cycles"] for layer in layers]
        drawn["cycles"] = figures.lying_bars(names, cycles, axis="cycles a frame")
    if every:
        seconds = [record.seconds for record in every.values()]
        drawn["seconds"] = figures.lying_bars(list(every), seconds, axis="seconds")
    return drawn


def _stalls(folder: Path) -> str | None:
    """The stall chart, if the level `cycle` drew one."""
    path = folder / "stalls.svg"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def _results(records: Mapping[str, StageRecord], stage: str) -> dict[str, Any]:
    return records[stage].results if stage in records else {}


def _template():
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from hwprune.flow.runner import duration

    environment = Environment(
        loader=PackageLoader("hwprune.report", "templates"),
        autoescape=True,  # names of classes and layers come from the user's files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "count": contents.count, "number": _number, "score": _score}
    return environment.get_template("report.html.j2")


def _score(value: float | None) -> str:
    """A share with three digits; a dash for None."""
    return "\N{EN DASH}" if value is None else f"{value:.3f}"


def _number(value: Any) -> str:
    """A number with thousands set apart, below a hundred with one digit after the point; a dash for None."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, float) and not value.is_integer() and abs(value) < 100:
        return f"{value:,.1f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
