"""A training step (forward and backward) of SAM layers against conv2d and against the naive form, on the layers of
tiny-YOLOv3, in float32; run from anywhere, no argument needed.

The two sides alternate; a row's figures are medians. The headline is grouped SAM (difference, groups of 4) on a middle
layer. Naive is unfold, add, amax, minus the same, with the sums of 8 units of the batch in memory at a time; blocked
naive is the same with so few units at a time that their sums stay in the cache. Both are timed on one thread, one image
and a quarter of the units, and scaled. Memory is the peak resident size of a fresh process that did three steps, less
that of one that imported the same and did none.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from common import conclude, say
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from hwprune.sam.functional import sam_conv2d

LAYERS = {  # 416x416 pixels: channels, rows and columns, units, images of a batch
    "conv2": (16, 208, 32, 2),
    "conv3": (32, 104, 64, 2),
    "conv4": (64, 52, 128, 4),
    "conv5": (128, 26, 256, 8),
    "conv6": (256, 13, 512, 8),
}
HEADLINE = "conv5"
NAIVE = {"naive": 2**26, "blocked naive": 2**20}
"""Sums in memory at a time."""
NEURONS = [("difference", 4), ("difference", 8), ("signed", 4), ("maxmin", 0)]


def step(layer: str, kind: str, device: str = "cpu"):
    """A training step of ``conv``, ``naive`` or ``form:group`` on fixed random data, to be called."""
    channels, size, units, images = LAYERS[layer]
    if kind in NAIVE:
        units, images = units // 4, 1
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=generator) * scale).to(device)

    x = random(images, channels, size, size).relu_().requires_grad_()
    go = random(images, units, size, size)
    shape = (units, channels, 3, 3)
    weights = [random(*shape, scale=0.5).requires_grad_()]
    if kind == "conv":

        def forward() -> Tensor:
            return F.conv2d(x, weights[0], padding=1)
    else:
        form, group = ("difference", 4) if kind in NAIVE else (kind.split(":")[0], int(kind.split(":")[1]))
        group = group or channels * 9
        sign = random(units, channels * 9 // group).sign() if form == "signed" else None
        if form != "signed":
            weights.append(random(*shape, scale=0.5).requires_grad_())
        second = weights[1] if form != "signed" else None

        def forward() -> Tensor:
            if kind in NAIVE:
                return naive(x, *weights, group, NAIVE[kind])
            return sam_conv2d(x, weights[0], second, sign, form=form, group=group, padding=1)

    def run() -> None:
        for tensor in (x, *weights):
            tensor.grad = None
        forward().backward(go)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def naive(x: Tensor, positive: Tensor, negative: Tensor, group: int, sums: int) -> Tensor:
    """What one writes without a kernel: (N, J, K / group, group, places), some units at a time."""
    images, _, *size = x.shape
    units, channels = positive.shape[:2]
    seen = F.unfold(x, 3, padding=1).unflatten(1, (channels, 9)).transpose(1, 2).flatten(1, 2)
    seen = seen.unflatten(1, (-1, group)).unsqueeze(1)
    block = max(1, sums // seen.numel())

    def half(weight: Tensor) -> Tensor:
        return (seen + weight.permute(0, 2, 3, 1).reshape(len(weight), -1, group, 1)).amax(3).sum(2)

    parts = [half(positive[j : j + block]) - half(negative[j : j + block]) for j in range(0, units, block)]
    return torch.cat(parts, 1).reshape(images, units, *size)


def alternate(steps: dict, repeats: int, clock=time.perf_counter) -> dict[str, float]:
    """Median milliseconds of each, taken in turns."""
    times = {name: [] for name in steps}
    for run in steps.values():
        run()  # compiles, fills caches
    for _ in range(repeats):
        for name, run in steps.items():
            start = clock()
            run()
            times[name].append((clock() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_memory(layer: str, kind: str) -> float:
    """MiB that steps add to a fresh process."""

    def peak(*arguments: str) -> int:
        command = [sys.executable, __file__, "--peak", layer, *arguments]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return (peak(kind) - peak("none")) / 1024


def report_peak(layer: str, kind: str) -> None:
    """In the fresh process: three steps, then the peak resident size in KiB, as Linux tells it."""
    small, weight = torch.randn(1, 16, 8, 8, requires_grad=True), torch.randn(16, 16, 3, 3)
    F.conv2d(small, weight).sum().backward()  # both sides load all libraries
    sam_conv2d(small, weight, weight, form="difference", group=4).sum().backward()
    if kind != "none":
        run = step(layer, kind)
        for _ in range(3):
            run()
    # Not getrusage: its peak counts what the parent had at the fork.
    status = Path("/proc/self/status").read_text()
    print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", nargs=2, metavar=("LAYER", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        report_peak(*options.peak)
        return

    rows = []
    # One thread by its own time, which other work on the machine does not count in; then threads by the clock.
    for threads, clock in ((1, time.process_time), (options.threads, time.perf_counter)):
        torch.set_num_threads(threads)
        for layer, (channels, size, units, images) in LAYERS.items():
            neurons = NEURONS if layer == HEADLINE else NEURONS[:1]
            kinds = ["conv", *(f"{form}:{group}" for form, group in neurons)]
            times = alternate({kind: step(layer, kind) for kind in kinds}, options.repeats, clock)
            for kind in kinds[1:]:
                row = {"layer": layer, "channels": channels, "size": size, "units": units, "images": images,
                       "threads": threads, "clock": clock.__name__, "neuron": kind, "ms": round(times[kind], 1),
                       "conv_ms": round(times["conv"], 1), "ratio": round(times[kind] / times["conv"], 2)}  # fmt: skip
                rows.append(row)
                say(
                    f"{layer}: {images}x{channels}x{size}x{size} -> {units}, {threads} threads, {kind}: "
                    f"{row['ms']} ms, conv2d {row['conv_ms']} ms, ratio {row['ratio']}"
                )

    torch.set_num_threads(1)
    say("naive, on one image and a quarter of the units ...")
    times = alternate({kind: step(HEADLINE, kind) for kind in ("difference:4", *NAIVE)}, 3, time.process_time)
    torch.set_num_threads(options.threads)
    slower = {kind: times[kind] * 4 * LAYERS[HEADLINE][3] / times["difference:4"] for kind in NAIVE}
    say(", ".join(f"{kind}: {value:.0f} times the fused kernel's time" for kind, value in slower.items()))

    memory = {kind: peak_memory(HEADLINE, kind) for kind in ("conv", "difference:4", "maxmin:0")}
    say(f"peak memory, MiB: {', '.join(f'{kind} {value:.1f}' for kind, value in memory.items())}")

    gpu = {}
    if torch.cuda.is_available():
        times = alternate({kind: step(HEADLINE, kind, "cuda") for kind in ("conv", "difference:4")}, options.repeats)
        gpu = {"device": torch.cuda.get_device_name(), "ms": times["difference:4"], "conv_ms": times["conv"],
               "ratio": times["difference:4"] / times["conv"]}  # fmt: skip
        say(f"{gpu['device']}: {gpu['ms']:.2f} ms, conv2d {gpu['conv_ms']:.2f} ms, ratio {gpu['ratio']:.2f}")

    alone, best = (row for row in rows if row["layer"] == HEADLINE and row["neuron"] == "difference:4")
    channels, size, units, images = LAYERS[HEADLINE]
    conclude(
        "sam_kernel",
        best["ms"],
        "ms",
        "conv2d",
        best["ratio"],
        {"layer": HEADLINE, "images": images, "channels": channels, "size": size, "units": units, "group": 4,
         "threads": options.threads},
        one_thread_ratio=alone["ratio"],
        versus_naive=round(slower["naive"], 1),
        versus_blocked_naive=round(slower["blocked naive"], 1),
        memory_ratio=round(memory["difference:4"] / memory["conv"], 2),
        memory_mib={kind: round(value, 1) for kind, value in memory.items()},
        layers=rows,
        gpu=gpu or "no CUDA device",
    )  # fmt: skip


if __name__ == "__main__":
    main()
