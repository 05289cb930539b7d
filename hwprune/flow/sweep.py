"""How the score falls as a larger share is pruned: trials of one recipe with other shares, by Optuna.

The stages before the first pruning are run once, in the run folder. Each trial has a run folder of its own in
``sweep/``, which begins with those stages' artefacts and goes on to the last fine-tuning; its figures go into Optuna's
storage. So a sweep that was stopped goes on where it was, several processes share the work, and so do several machines
whose storage is the same: each has its own run folder.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hwprune.errors import UserError
from hwprune.files import atomic_folder, write_json, write_text
from hwprune.flow.bars import bar
from hwprune.flow.pipeline import stages
from hwprune.flow.run_folder import RECORD, RunFolder, json_hash
from hwprune.flow.runner import HOW, Runner
from hwprune.flow.stage import Stage
from hwprune.flow.studies import SHARE, check_storage, fill_queue, open_study, share_of, take_trials
from hwprune.flow.workers import share_processors, spawned
from hwprune.recipe import Recipe

if TYPE_CHECKING:
    import optuna
    from rich.console import Console

FOLDER, CURVE, CHART, JOURNAL = "sweep", "sweep.json", "sweep.svg", "trials.journal"
SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
FIGURES = ("params", "macs", "sam_ops", "fps_estimate", "fps_unknown", "resources", "widths")
"""Of a point of the curve, beside its share and its score."""


@dataclass(frozen=True)
class Plan:
    """What is swept.

    Attributes
    ----------
    recipe, root
        The run.
    shares
        To try; None where Optuna chooses.
    trials
        How many Optuna chooses; None where there are shares.
    storage
        As `hwprune.flow.studies.open_study` takes it.
    jobs
        Processes.
    """

    recipe: Recipe
    root: Path
    shares: tuple[float, ...] | None
    trials: int | None
    storage: str
    jobs: int

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Of a whole run."""
        return stages(self.recipe.prune.rounds)

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the stages that all trials have in common."""
        names = [stage.name for stage in self.stages]
        return tuple(names[: names.index("prune")])

    @property
    def out(self) -> Path:
        """Where results go."""
        return self.root / FOLDER

    @property
    def study(self) -> str:
        """The name of the study: equal for equal sweeps, wherever they run."""
        content = self.recipe.model_dump(mode="json")
        sections = {name for stage in self.stages if stage.kind in ("train", "sparsify", "prune", "finetune")
                    for name in stage.sections}  # fmt: skip
        settings = {name: {k: v for k, v in content[name].items() if k not in HOW} for name in sorted(sections)}
        settings["prune"].pop(_field(self.recipe))
        return f"{self.recipe.name}-{json_hash([settings, self.recipe.seed, self.shares is None])[:12]}"


def sweep(
    recipe: Recipe,
    folder: RunFolder,
    console: "Console",
    *,
    shares: Sequence[float] | None = None,
    trials: int | None = None,
    storage: str | None = None,
    jobs: int = 1,
) -> Path:
    """Run the trials that are missing, and write ``sweep/`` in the run folder: JSON and a chart.

    Parameters
    ----------
    recipe, folder
        The run.
    console
        Says what stages do, and each trial's score.
    shares
        Of channels to remove, 0 to less than 1; by default tenths.
    trials
        In place of ``shares``: how many Optuna's TPE chooses, for a high score at few operations.
    storage
        URL of a data base, or a journal file; by default a journal in ``sweep/``.
    jobs
        Processes.

    Returns
    -------
    Path
        Of the JSON.

    Raises
    ------
    UserError
        For whatever the user can mend.
    """
    _field(recipe)
    if shares is not None and trials is not None:
        raise UserError("give shares or a number of trials, not both")
    if trials is None:
        shares = _checked(SHARES if shares is None else shares)
    for share in shares or ():
        _with_share(recipe, share)
    if storage is not None:
        check_storage(storage)
    plan = Plan(recipe, folder.root, shares, trials, storage or str(folder.root / FOLDER / JOURNAL), jobs)
    Runner(recipe, folder, plan.stages, console).run_stages(set(plan.shared))
    with folder.lock():
        plan.out.mkdir(exist_ok=True)
        study = open_study(plan.storage, plan.study, recipe.seed)
        if shares is not None:
            fill_queue(study, shares)
        _run(plan, study, console)
        return _write(plan, study, folder)


def _field(recipe: Recipe) -> str:
    """The setting that is the share, or 1 less it."""
    fields = type(recipe.prune).model_fields
    if getattr(recipe.prune, "budget", None) is not None:
        raise UserError("prune.budget: decides how much goes, so there is no share to sweep; leave it out")
    found = next((name for name in ("fraction", "width") if name in fields), None)
    if found is None:
        raise UserError(
            f"prune.method: {recipe.prune.method} finds by itself how much goes, so there is no share to sweep; take "
            "slimming, l1_norm, random or uniform"
        )
    return found


def parse_shares(text: str) -> tuple[float, ...]:
    """Shares in a list such as ``0.2,0.4``.

    Raises
    ------
    UserError
        If one is no number from 0 to less than 1.
    """
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            raise UserError(f"--shares {text}: {part.strip()!r} is no number; give some like 0.2,0.4,0.6") from None
    return _checked(found)


def _checked(shares: Sequence[float]) -> tuple[float, ...]:
    for share in shares:
        if not 0 <= share < 1:
            raise UserError(f"share {share:g}: would empty the layers; a share is from 0 to less than 1")
    if not shares:
        raise UserError("no shares are given; give some, such as 0.2,0.4,0.6")
    return tuple(sorted({round(float(share), 6) for share in shares}))


def _with_share(recipe: Recipe, share: float) -> Recipe:
    field = _field(recipe)
    content = recipe.model_dump()
    content["prune"][field] = share if field == "fraction" else round(1 - share, 6)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise UserError(f"share {share:g}: {error.errors()[0]['msg']}") from None


# ---- trials ----


def _run(plan: Plan, study: "optuna.Study", console: "Console") -> None:
    """Keep ``plan.jobs`` processes at work until no trial is left, and say what comes of them."""
    told = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()}
    failures: list[str] = []
    total = plan.trials or len(plan.shares)
    with spawned(plan.jobs, _worker, (plan,)) as processes, bar("sweep", total) as to:
        while True:
            at_work = any(process.is_alive() for process in processes)
            for trial in study.get_trials(deepcopy=False):
                if trial.state.is_finished() and trial.number not in told:
                    told.add(trial.number)
                    if "error" in trial.user_attrs:
                        failures.append(f"share {trial.params.get(SHARE, '?')}: {trial.user_attrs['error']}")
                    elif trial.values:
                        console.print(f"share {trial.params[SHARE]:g}: {trial.user_attrs['metric']} "
                                      f"{trial.values[0]:.3f}", highlight=False)  # fmt: skip
            to(len(_points(study)))
            if not at_work:
                break
            time.sleep(0.5)
    broken = [process for process in processes if process.exitcode]
    if failures or broken:
        logs = ", ".join(str(_log(plan, number)) for number in range(plan.jobs))
        raise UserError("\n".join(failures) or f"a process of the sweep has failed; what it said is in {logs}")


def _log(plan: Plan, number: int) -> Path:
    return plan.out / f"process-{number + 1}.log"


def _worker(number: int, plan: Plan) -> None:
    """Run trials until none is left; what they print goes to a log."""
    log = os.open(_log(plan, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    share_processors(plan.jobs)
    study = open_study(plan.storage, plan.study, plan.recipe.seed + number)
    take_trials(study, plan.trials, lambda share: _trial(plan, share))


def _trial(plan: Plan, share: float) -> dict[str, Any]:
    """The figures of one share, from a run folder of its own, where they are kept."""
    from rich.console import Console

    recipe = _with_share(plan.recipe, share)
    folder = RunFolder(plan.out / f"share-{share:g}")
    with folder.lock():
        for name in plan.shared:
            _link(plan.root / name, folder.stage(name))
    Runner(recipe, folder, plan.stages, Console()).run("finetune")
    last = next(stage.name for stage in reversed(plan.stages) if stage.kind == "finetune")
    return _figures(recipe, folder, last)


def _link(source: Path, target: Path) -> None:
    """Have ``target`` hold the finished stage ``source``, by links where the file system has them."""
    record = (source / RECORD).read_bytes()
    if (target / RECORD).is_file() and (target / RECORD).read_bytes() == record:
        return
    with atomic_folder(target) as new:
        shutil.copytree(source, new, copy_function=_link_or_copy, dirs_exist_ok=True)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _figures(recipe: Recipe, folder: RunFolder, stage: str) -> dict[str, Any]:
    """Score, size and estimated speed of what a stage has left."""
    from hwprune.flow.estimate import estimate
    from hwprune.flow.stages import common

    record = folder.record(stage)
    network, head = common.load_checkpoint(folder.stage(stage))
    metric = common.metric(head)
    channels = network.architecture.channels()
    widths = {layer.name: channels[layer.name] for layer in network.architecture.layers if layer.op == "conv"}
    figures = {key: record.results[key] for key in ("params", "macs", "sam_ops")}
    return {"metric": metric, "score": record.results[metric], **figures, "widths": widths,
            "operations": figures["macs"] + figures["sam_ops"],
            **estimate(recipe, network.architecture, head.image_size)}  # fmt: skip


# ---- results ----


def _points(study: "optuna.Study") -> dict[float, Mapping[str, Any]]:
    """What is measured, by share."""
    return {
        share_of(trial): trial.user_attrs
        for trial in study.get_trials(deepcopy=False)
        if trial.values and "score" in trial.user_attrs
    }


def _write(plan: Plan, study: "optuna.Study", folder: RunFolder) -> Path:
    from hwprune.report.figures import panels

    before = _figures(plan.recipe, folder, plan.shared[-1])
    points = [{"share": share, **_told(figures)} for share, figures in sorted(_points(study).items())]
    left = sum(not trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    path = plan.out / CURVE
    write_json(
        path,
        {
            "recipe": plan.recipe.name,
            "method": plan.recipe.prune.method,
            "metric": before["metric"],
            "study": study.study_name,
            "before": _told(before),
            "points": points,
            "under_way": left,
        },
    )
    curve = [{"share": 0.0, **_told(before)}, *(point for point in points if point["share"])]
    axes: dict[str, Callable] = {
        "parameters": lambda p: p["params"],
        "multiply-accumulates" if not before["sam_ops"] else "operations": lambda p: p["macs"] + p["sam_ops"],
    }
    if all("fps_estimate" in point for point in curve):
        axes["frames a second, estimated"] = lambda p: p["fps_estimate"]
    chart = {axis: [(figure(point), point["score"]) for point in curve] for axis, figure in axes.items()}
    labels = [f"{100 * point['share']:g} %" for point in curve]
    write_text(plan.out / CHART, panels(chart, labels, upward=before["metric"]))
    return path


def _told(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {key: figures[key] for key in ("score", *FIGURES) if key in figures}
