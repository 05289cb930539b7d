import subprocess
import sys

import pytest
from pydantic import ValidationError

from hwprune.train.settings import TrainSettings


@pytest.mark.parametrize(
    "values",
    [{"epoch": 3}, {"epochs": 0}, {"learning_rate": float("nan")}, {"optimizer": "adam"}, {"gradient_clip": 0},
     {"epochs": 2, "warmup_epochs": 2}],
)  # fmt: skip
def test_nonsense_is_refused(values):
    with pytest.raises(ValidationError):
        TrainSettings(**values)


@pytest.mark.parametrize(
    "module, absent",
    [
        ("hwprune.train.settings", ("torch", "lightning")),
        ("hwprune.detect.head", ("torch",)),
        ("hwprune.train.loop", ("brevitas", "finn", "qonnx", "onnx")),
    ],
)
def test_heavy_packages_stay_out(module, absent):
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
