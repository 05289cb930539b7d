"""Optuna studies that several processes and machines share, and that outlive them.

A trial's process says every minute that it is alive; one that has not for five minutes, or whose process on this
machine is gone, is taken for dead, and its share goes back into the queue. (Optuna's own heartbeat does this for data
bases only.) A grid of shares goes through Optuna's queue: its sampler for grids may give two machines the same point.
"""

import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwprune.errors import UserError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

SHARE = "share"
BEAT, PATIENCE = 60.0, 300.0
"""Seconds from one sign of life to the next, and after which a process is taken for dead."""
IN_VAIN = 100
"""Shares that Optuna may choose in a row although they are done, before there is nothing left to be chosen."""
CHOICE = {"low": 0.05, "high": 0.95, "step": 0.01}
"""Shares that Optuna chooses from."""


def open_study(storage: str, name: str, seed: int) -> "optuna.Study":
    """The study of this name, made where it is missing; its goals are a high score and few operations.

    Parameters
    ----------
    storage
        URL of a data base, or the path of a journal file.
    name
        Of the study.
    seed
        Of Optuna's TPE, which chooses shares where the queue is empty.

    Raises
    ------
    UserError
        If the storage cannot be opened.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings(), _complaints(storage):
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=5, constant_liar=True)
        return optuna.create_study(
            storage=_storage(storage),
            sampler=sampler,
            study_name=name,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )


def check_storage(storage: str) -> None:
    """Open a storage, to be told early if that cannot be done; raises as `open_study`."""
    with _complaints(storage):
        _storage(storage)


def _storage(storage: str) -> "BaseStorage":
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" not in storage:
        if not Path(storage).absolute().parent.is_dir():
            raise UserError(f"{storage}: its folder does not exist; make it, or choose another --storage")
        _refuse_other_files(Path(storage))
        return JournalStorage(JournalFileBackend(storage))
    patience = {"connect_args": {"timeout": 60}} if storage.startswith("sqlite") else {}
    return RDBStorage(storage, engine_kwargs=patience)


def _refuse_other_files(path: Path) -> None:
    """Optuna would append to any file."""
    if path.exists():
        with path.open("rb") as file:
            first = file.readline()
        if first and not isinstance(json.loads(first).get("op_code"), int):
            raise ValueError("it is no journal of Optuna")


@contextmanager
def _complaints(storage: str) -> Iterator[None]:
    import optuna
    import sqlalchemy

    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        cause = f"{error.name} is not installed"
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, ValueError, KeyError, TypeError,
            AttributeError, RuntimeError) as error:  # fmt: skip
        cause = str(error).partition("\n")[0]
    else:
        return
    raise UserError(
        f"--storage {storage}: cannot be opened ({cause}); give a data base as SQLAlchemy names it "
        "(sqlite:///sweep.db, postgresql://user@host/base), or a journal that hwprune or Optuna has made, or a new file"
    )


def fill_queue(study: "optuna.Study", shares: Sequence[float]) -> None:
    """Put the shares into the queue that are neither done nor there nor under way."""
    bring_back_the_dead(study)
    there = {share_of(trial) for trial in study.get_trials(deepcopy=False) if trial.state.name != "FAIL"}
    for share in shares:
        if share not in there:
            study.enqueue_trial({SHARE: share})


def bring_back_the_dead(study: "optuna.Study") -> None:
    """End the trials whose process is dead, and put their shares into the queue again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if _is_dead(trial):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            if (share := share_of(trial)) is not None:
                study.enqueue_trial({SHARE: share})


def take_trials(study: "optuna.Study", count: int | None, run: Callable[[float], dict[str, Any]]) -> None:
    """Take one trial after the other, until none is left to be begun.

    Parameters
    ----------
    study
        From `open_study`.
    count
        Trials in all, those in the queue first; None takes the queue only.
    run
        From a share to figures, with ``score`` and ``operations`` among them; they become the trial's attributes. What
        it raises becomes the attribute ``error``; a UserError is not passed on.
    """
    from optuna.trial import TrialState

    in_vain = 0
    while in_vain < IN_VAIN:
        bring_back_the_dead(study)
        states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
        if "WAITING" not in states and (count is None or len(states) - states.count("FAIL") >= count):
            return
        trial = study.ask()
        try:
            with _sign_of_life(trial):
                queued = share_of(study.trials[trial.number])
                if queued is None and count is None:  # another process was faster
                    study.tell(trial, state=TrialState.FAIL)
                    return
                choice = CHOICE if count is not None else {"low": 0.0, "high": 1.0}
                share = round(trial.suggest_float(SHARE, **choice), 6)
                if _is_superfluous(study, trial.number, share, count):
                    study.tell(trial, state=TrialState.FAIL)
                    in_vain += 1
                    continue
                in_vain = 0
                figures = run(share)
                for key, value in figures.items():
                    trial.set_user_attr(key, value)
        except Exception as error:
            trial.set_user_attr("error", str(error) or type(error).__name__)
            study.tell(trial, state=TrialState.FAIL)
            if not isinstance(error, UserError):
                raise
        else:
            study.tell(trial, [figures["score"], float(figures["operations"])])


def share_of(trial: "FrozenTrial") -> float | None:
    """What a trial tries; None where that is not known yet."""
    share = trial.params.get(SHARE, trial.system_attrs.get("fixed_params", {}).get(SHARE))
    return None if share is None else round(share, 6)


def _is_superfluous(study: "optuna.Study", number: int, share: float, count: int | None) -> bool:
    """Whether an earlier trial does the same, or enough others were begun: two processes may have asked at once."""
    earlier = [t for t in study.get_trials(deepcopy=False) if t.number < number and t.state.name != "FAIL"]
    if count is not None and len(earlier) >= count:
        return True
    return any(share_of(trial) == share and trial.state.name != "WAITING" for trial in earlier)


@contextmanager
def _sign_of_life(trial: "optuna.Trial") -> Iterator[None]:
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with suppress(Exception):  # a storage out of reach for a while
                trial.set_user_attr("alive", time.time())

    for key, value in (("machine", machine()), ("process", os.getpid()), ("alive", time.time())):
        trial.set_user_attr(key, value)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is_dead(trial: "FrozenTrial") -> bool:
    marks = trial.user_attrs
    if "alive" not in marks:
        return trial.datetime_start is None or time.time() - trial.datetime_start.timestamp() > PATIENCE
    if marks["machine"] == machine() and not _runs(marks["process"]):
        return True
    return time.time() - marks["alive"] > PATIENCE


def _runs(process: int) -> bool:
    """Whether a process of this machine runs; one that is killed and not yet reaped by its parent does not."""
    import psutil

    try:
        return psutil.Process(process).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def machine() -> str:
    """This machine, since it was started."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}".strip()
