"""Import of torchvision's SSD300 against torchvision's own model."""

import pytest
import torch
import torchvision

from hwprune.errors import UserError
from hwprune.models.torchvision_ssd import PIXEL_MEAN, load_torchvision_ssd

CLASSES = 4  # with the background


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = torchvision.models.detection.ssd300_vgg16(weights=None, weights_backbone=None, num_classes=CLASSES)
    with torch.no_grad():
        model.backbone.scale_weight.mul_(torch.rand(512) + 0.5)
        for name, parameter in model.named_parameters():
            if name.startswith("head") and name.endswith("bias"):
                parameter.copy_(torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def state(model):
    return dict(model.state_dict())


def outputs(model, images, mean):
    """What torchvision's backbone and heads give for images in 0..1, in the order of ours."""
    pixels = (images - torch.tensor(mean)[:, None, None]) / torch.tensor(model.transform.image_std)[:, None, None]
    maps = model.backbone(pixels).values()
    heads = zip(model.head.regression_head.module_list, model.head.classification_head.module_list, strict=True)
    return [head(x) for x, pair in zip(maps, heads, strict=True) for head in pair]


@torch.no_grad()
def test_outputs_are_torchvisions(model):
    images = torch.rand(2, 3, 300, 300)
    network = load_torchvision_ssd(model.state_dict(), (0.0, 0.0, 0.0)).eval()
    for found, expected in zip(network(images), outputs(model, images, (0.0, 0.0, 0.0)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@torch.no_grad()
def test_order_of_channels_is_torchvisions(model):
    """torchvision's heads flatten to (boxes, 4) and (boxes, classes): ours do by the same reshaping."""
    images = torch.rand(1, 3, 300, 300)
    maps = list(model.backbone(images * 255).values())
    expected = model.head(maps)
    found = load_torchvision_ssd(model.state_dict(), (0.0, 0.0, 0.0)).eval()(images)

    def boxes_first(head, columns):
        n, _, h, w = head.shape
        return head.view(n, -1, columns, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, columns)

    offsets = torch.cat([boxes_first(head, 4) for head in found[::2]], 1)
    scores = torch.cat([boxes_first(head, CLASSES) for head in found[1::2]], 1)
    assert offsets.shape == (1, 8732, 4)
    torch.testing.assert_close(offsets, expected["bbox_regression"], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(scores, expected["cls_logits"], rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_mean_is_folded_into_the_first_layer(model):
    """What conv1_1 gives inside differs by nothing but rounding; its outermost ring sees a black border."""
    images = torch.rand(1, 3, 300, 300)
    network = load_torchvision_ssd(model.state_dict()).eval()
    pixels = (images - torch.tensor(PIXEL_MEAN)[:, None, None]) * 255
    (expected,), found = (model.backbone.features[:2](pixels),), network.layers["conv1_1"](images)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(found, expected, atol=1.0)
    mean = model.transform.image_mean
    assert mean == list(PIXEL_MEAN)
    for a, b in zip(network(images), outputs(model, images, mean), strict=True):
        assert (a - b).square().mean().sqrt() < 0.1 * b.std()  # 0.01 to 0.04 of it


@torch.no_grad()
def test_file(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "ssd.pth")
    network, expected = load_torchvision_ssd(tmp_path / "ssd.pth"), load_torchvision_ssd(model.state_dict())
    assert network.architecture == expected.architecture
    assert network.architecture.channels()["classes1"] == 4 * CLASSES
    for name, tensor in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.pop("backbone.extra.0.7.1.bias"), r"tensor 'backbone\.extra\.0\.7\.1\.bias' is missing"),
        (lambda s: s.pop("backbone.scale_weight"), r"tensor 'backbone\.scale_weight' is missing"),
        (lambda s: s.pop("head.classification_head.module_list.0.bias"), r"module_list\.0\.bias' is missing"),
        (lambda s: s.update({"backbone.extra.5.0.weight": torch.zeros(1)}), r"'backbone\.extra\.5\.0\.weight' has no"),
        (
            lambda s: s.update({"backbone.features.0.weight": torch.zeros(64, 1, 3, 3)}),
            r"'backbone\.features\.0\.weight' is \(64, 1, 3, 3\), but .* of 3 classes .* has \(64, 3, 3, 3\)",
        ),
        (lambda s: s.update({"backbone.features.0.bias": torch.full((64,), torch.nan)}), r"features\.0\.bias' holds"),
        (lambda s: s.update({"head.classification_head.module_list.0.bias": torch.zeros(6)}), "has 6 numbers"),
        (lambda s: s.update(epoch=3), "holds no state dict, but epoch that are no tensors"),
    ],
)
def test_state_dict_that_does_not_fit(state, change, complaint):
    change(state)
    with pytest.raises(UserError, match=rf"the state dict: .*{complaint}"):
        load_torchvision_ssd(state)


class Thing:
    """No weights."""


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (lambda path: path.write_bytes(b""), "no file of weights only"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "no file of weights only"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "no file of weights only"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: torch.save([1, 2], path), "holds no state dict, but a list"),
        (lambda path: torch.save({"model": {}, "epoch": 1}, path), "holds no state dict, but model, epoch that"),
        (lambda path: torch.save(Thing(), path), "no file of weights only"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_file_that_is_no_checkpoint(tmp_path, write, complaint):
    path = tmp_path / "ssd.pth"
    write(path)
    with pytest.raises(UserError, match=rf"ssd\.pth: {complaint}.*give the state dict of torchvision's"):
        load_torchvision_ssd(path)


def test_truncated_file(model, tmp_path):
    path = tmp_path / "ssd.pth"
    torch.save(model.state_dict(), path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(UserError, match=r"ssd\.pth: no file of weights only"):
        load_torchvision_ssd(path)
