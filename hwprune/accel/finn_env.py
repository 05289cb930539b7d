"""Where FINN writes and what it reads, set for one run folder in the running process.

FINN keeps its settings in one module-level object that every transformation asks anew, so the build folder can be
changed between two compilations of the same process. Child processes rebuild the object from the environment, so
both are set.

FINN asks for Vivado in two places that no stage of ours needs: `finn.builder.build_dataflow_steps` imports the binding
of Vivado's simulator, for which a stand-in is put here that refuses to be used; and `build_dataflow_cfg` (not the steps
themselves, nor any transformation) records the name of the folder in `XILINX_VIVADO`, which is left as the user has it.
"""

from __future__ import annotations

import os
from pathlib import Path

from hwprune.accel.rtllib import adapt_rtllib
from hwprune.errors import UserError

BUILD_FOLDER = "build"
"""Sub-folder of a run's compile folder in which FINN makes one folder for each node's generated code."""
RTLLIB_FOLDER = "finn-rtllib"
"""Sub-folder with the run's own, adapted copy of FINN's RTL library, so that a run folder holds all of its sources."""


class _NoVivadoSimulator:
    """Stand-in for `finn.xsi.SimEngine`, so that FINN's builder imports without Vivado."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise UserError("FINN asked for Vivado's simulator; hwprune simulates with Verilator (hwprune.sim.verilator)")


def prepare_finn(folder: Path | str) -> Path:
    """Point FINN at `folder`, before or after its import, as often as wanted.

    Nothing is written outside `folder`: in particular FINN makes no `~/.finn`.

    Parameters
    ----------
    folder
        Compile folder of a run; made if absent. FINN's generated code comes to lie in its sub-folder `build`, the
        adapted RTL library (`hwprune.accel.rtllib`) in `finn-rtllib`.

    Returns
    -------
    Path
        The build folder, absolute.

    Raises
    ------
    UserError
        finn-plus is not installed or of another version, or the folder cannot be made.
    """
    folder = Path(folder).expanduser().resolve()
    build = folder / BUILD_FOLDER
    try:
        build.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{build}: cannot make FINN's folder ({error.strerror}); choose another run folder") from error
    # The settings file need not exist; naming it keeps FINN from making ~/.finn to look for one.
    os.environ["FINN_SETTINGS"] = str(folder / "finn-settings.yaml")
    os.environ["FINN_BUILD_DIR"] = str(build)
    os.environ["FINN_RTLLIB"] = str(adapt_rtllib(folder / RTLLIB_FOLDER))

    from finn import xsi
    from finn.interface.settings import FINNSettings
    from finn.util import settings

    settings._SETTINGS = FINNSettings.init(flow_config=folder / "flow.yaml", auto_set_environment_vars=False)
    if "SimEngine" not in vars(xsi):
        xsi.SimEngine = _NoVivadoSimulator
    return build
