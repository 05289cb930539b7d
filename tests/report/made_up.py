"""A run folder with made-up figures, as the stages would leave it."""

from pathlib import Path

import torch

from hwprune.detect.head import HeadSpec
from hwprune.files import sha256
from hwprune.flow.detections import save_detections
from hwprune.flow.run_folder import RunFolder, StageRecord
from hwprune.recipe import Recipe, save_recipe

ORDER = ("train", "sparsify", "prune", "finetune", "quantize", "export", "compile", "simulate")
HEAD = HeadSpec(
    classes=("cat <b>&", "dog", "a very long name of a class"),
    anchors=(((40, 30), (60, 80)), ((10, 14), (20, 22))),
    strides=(32, 16),
    image_size=(96, 96),
)
CONVS = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7", "conv8", "conv9", "conv11", "conv12")


class Scenes(torch.utils.data.Dataset):
    """Images with two objects each."""

    classes = HEAD.classes

    def __len__(self):
        return 5

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 255, (3, 12, 12), generator=generator, dtype=torch.uint8)
        image = image.repeat_interleave(8, 1).repeat_interleave(8, 2)
        boxes = torch.tensor([[10.0, 12, 50, 40], [55, 50, 90, 90]])
        image[:, 12:40, 10:50] //= 3
        image[:, 50:90, 55:90] //= 2
        return image, {"boxes": boxes, "labels": torch.tensor([0, 2])}


def predict(images):
    """Raw outputs with a few confident boxes."""
    outputs = [torch.full((len(images), *shape), -6.0) for shape in HEAD.shapes()]
    # channels of an anchor: tx, ty, tw, th, objectness, classes
    outputs[0][:, 4, 0, 0], outputs[0][:, 5, 0, 0], outputs[0][:, 2:4, 0, 0] = 3.0, 4.0, 0.0
    outputs[1][:, 8 + 4, 4, 4], outputs[1][:, 8 + 7, 4, 4], outputs[1][:, 8 + 2 : 8 + 4, 4, 4] = 1.0, 3.0, 0.5
    return outputs


def make(root: Path, *, stages: tuple[str, ...] = ORDER, mismatches: int = 0) -> RunFolder:
    """Finish these stages, the first of `ORDER`, with figures that fit together."""
    folder = RunFolder(root)
    recipe = Recipe.model_validate({"name": "made-up", "data": {"source": "digits"}})
    with folder.lock():
        save_recipe(root / "recipe.yaml", recipe)
        before = None
        for number, stage in enumerate(stages):
            folder.begin(stage, "f" * 64)
            files = ()
            if stage in ("finetune", "quantize"):
                files = save_detections(folder.stage(stage), stage + "d", predict, Scenes(), HEAD)
            record = StageRecord(
                stage=stage,
                fingerprint="f" * 64,
                inputs={before.stage: before.digest} if before else {},
                artefacts={p.relative_to(folder.stage(stage)).as_posix(): sha256(p) for p in files},
                results=results(stage, mismatches),
                seed=1,
                seconds=[301.2, 122.9, 1.4, 118.0, 161.3, 9.9, 240.0, 350.2][number],
                peak_memory_bytes=(900 + 100 * number) << 20,
                versions={"python": "3.11.7", "hwprune": "0.1.0", "torch": "2.12.1"},
                finished="2026-11-22T15:30:00+00:00",
            )
            folder.finish(record)
            before = record
    return folder


def results(stage: str, mismatches: int) -> dict:
    widths = (8, 16, 32, 64, 96, 128, 192, 64, 128, 48, 96)
    match stage:
        case "train":
            return {"map50": 0.912, "params": 636898, "macs": 20418048, "history": []}
        case "sparsify":
            return {"map50": 0.893}
        case "prune":
            halves = {name: [width, max(4, width // 2)] for name, width in zip(CONVS, widths, strict=True)}
            return {"map50": 0.704, "params": 164422, "macs": 5878944, "widths": halves}
        case "finetune":
            return {"map50": 0.901}
        case "quantize":
            return {"map50": 0.887}
        case "compile":
            kinds = [("MVAU", 36864), ("Thresholding", 9216), ("ConvolutionInputGenerator", 9732)]
            layers = [
                {"name": f"{conv}_{op}", "op": op, "cycles": cycles // (1 + i % 5), "lut": 900 - 60 * i,
                 "bram18": i // 2, "dsp": 4 * (op == "MVAU"), "pe": 4, "simd": None if op == "Thresholding" else 2}
                for i, conv in enumerate(CONVS)
                for op, cycles in kinds
            ]  # fmt: skip
            return {"layers": layers, "clock_mhz": 100.0, "fps_estimate": 2712.7}
        case "simulate":
            rows = [
                {
                    "operator": f"{conv}_MVAU",
                    "stream": "out0_V",
                    "frames": 3,
                    "beats": 27648,
                    "mismatches": 0,
                    "stalls": 8291,
                }
                for conv in CONVS
            ]
            rows[-1]["mismatches"] = mismatches
            equivalence = {"levels": ["network", "rtl"], "streams": len(rows), "beats": 27648 * len(rows),
                           "mismatches": mismatches, "rows": rows}  # fmt: skip
            return {"equivalence": equivalence, "cycles_per_frame": 37120, "latency_cycles": 48211, "map50": 0.887}
    return {}
