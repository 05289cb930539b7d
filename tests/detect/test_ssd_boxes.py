import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_convert

from hwprune.detect.decode import select
from hwprune.detect.ssd_boxes import by_box, decode_ssd, default_boxes, encode
from hwprune.detect.ssd_head import SsdHead, linear_scales, ssd_head, torchvision_head
from hwprune.models.ssd import ssd300, ssd512
from tests.detect import ssd_reference

HEAD = SsdHead(
    classes=("a", "b"),
    image_size=(64, 96),
    maps=((4, 6), (2, 3)),
    boxes=(((10.0, 10.0), (20.0, 12.0)), ((40.0, 30.0),)),
    steps=((16.0, 16.0), (32.0, 32.0)),
)
SIX = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]


def head_of(architecture, size):
    shapes = architecture.shapes(size, size)
    return ssd_head([shapes[name] for name in architecture.heads], ("thing",), (size, size))


def random_outputs(head, n, seed, spread=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=generator, dtype=dtype) * spread for shape in head.shapes()]


@pytest.mark.parametrize(
    "build, size, ratios, sizes, steps",
    [
        (ssd300, 300, SIX, [30, 60, 111, 162, 213, 264, 315], [8, 16, 32, 64, 100, 300]),
        (ssd512, 512, [[2], *[[2, 3]] * 4, [2], [2]], [35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6], None),
    ],
)  # fmt: skip
def test_published_boxes_are_torchvisions(build, size, ratios, sizes, steps):
    head = head_of(build(1), size)
    expected = ssd_reference.generated(head.maps, (size, size), ratios, [s / size for s in sizes], steps)
    torch.testing.assert_close(ssd_reference.corners(head, torch.float64), expected, rtol=0, atol=1e-4)


def test_boxes_of_torchvisions_own_ssd300():
    # The settings of `ssd300_vgg16`; with its `clip` the sides, not the corners, end at the image's.
    scales, steps = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], [8, 16, 32, 64, 100, 300]
    head = torchvision_head(("thing",))
    expected = ssd_reference.generated(head.maps, (300, 300), SIX, scales, steps, clip=True)
    torch.testing.assert_close(ssd_reference.corners(head, torch.float64), expected, rtol=0, atol=1e-4)
    shapes = ssd300(1).shapes(300, 300)
    assert head.shapes() == [shapes[name] for name in ssd300(1).heads]


@pytest.mark.parametrize("layers, size", [(3, 96), (2, 64), (6, 320)])
def test_other_sizes_follow_the_paper(layers, size):
    head = head_of(ssd300(1, detection_layers=layers, image_size=(size, size)), size)
    expected = ssd_reference.generated(head.maps, (size, size), SIX[:layers], linear_scales(layers))
    torch.testing.assert_close(ssd_reference.corners(head, torch.float64), expected, rtol=0, atol=1e-4)


def test_an_oblong_image():
    boxes = default_boxes(HEAD)
    assert boxes.shape == (4 * 6 * 2 + 2 * 3, 4)
    # Cell (1, 2) of the first layer, its second box; cell (1, 0) of the second layer.
    assert boxes[(1 * 6 + 2) * 2 + 1].tolist() == [40, 24, 20, 12]
    assert boxes[48 + 3].tolist() == [16, 48, 40, 30]


def test_clipped_boxes_end_at_the_border():
    head = SsdHead(**{**HEAD.model_dump(), "clip": True})
    boxes, whole = default_boxes(head), default_boxes(HEAD)
    assert boxes[48].tolist() == pytest.approx([18, 16, 36, 30])  # corners (-4, 1, 36, 31) before
    inside = (box_convert(whole, "cxcywh", "xyxy") >= 0).all(1) & (
        box_convert(whole, "cxcywh", "xyxy") <= torch.tensor([96, 64, 96, 64])
    ).all(1)
    assert inside.any() and not inside.all()
    torch.testing.assert_close(boxes[inside], whole[inside])


def test_channels_are_box_by_box():
    outputs = [torch.zeros(1, *shape) for shape in HEAD.shapes()]
    outputs[0][0, 4:8, 3, 1] = torch.tensor([1.0, 2, 3, 4])  # offsets of the second box of cell (3, 1)
    outputs[3][0, :, 0, 2] = torch.tensor([5.0, 6, 7])  # logits of cell (0, 2) of the second layer
    offsets, logits = by_box(outputs, HEAD)
    assert offsets[0, (3 * 6 + 1) * 2 + 1].tolist() == [1, 2, 3, 4] and offsets.sum() == 10
    assert logits[0, 48 + 2].tolist() == [5, 6, 7] and logits.sum() == 18


def test_decoded_by_hand():
    outputs = [torch.zeros(1, *shape) for shape in HEAD.shapes()]
    outputs[0][0, 4:8, 1, 2] = torch.tensor([5.0, -10, 5 * math.log(2), 5 * math.log(0.5)])
    outputs[1][0, 3:6, 1, 2] = torch.tensor([0.0, math.log(2), math.log(5)])
    boxes, scores = decode_ssd(outputs, HEAD)
    # Centre (40 + 0.5 * 20, 24 - 1 * 12), sides (2 * 20, 12 / 2).
    torch.testing.assert_close(boxes[0, 17], torch.tensor([30.0, 9, 70, 15]))
    torch.testing.assert_close(scores[0, 17], torch.tensor([0.25, 0.625]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_offsets_are_torchvisions(seed):
    generator = torch.Generator().manual_seed(seed)
    defaults = default_boxes(HEAD)
    corner = torch.rand(len(defaults), 2, generator=generator, dtype=torch.float64) * 60
    boxes = torch.cat([corner, corner + 1 + 60 * torch.rand(corner.shape, generator=generator).double()], 1)
    found = encode(boxes, defaults, HEAD.variances)
    expected = BoxCoder((10.0, 10.0, 5.0, 5.0)).encode_single(boxes, ssd_reference.corners(HEAD, torch.float64))
    torch.testing.assert_close(found, expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_encoded_boxes_decode_to_themselves(seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(54, 2, generator=generator, dtype=torch.float64) * 60
    boxes = torch.cat([corner, corner + 1 + 60 * torch.rand(54, 2, generator=generator).double()], 1)
    offsets = encode(boxes, default_boxes(HEAD), HEAD.variances)
    outputs = [torch.zeros(1, *shape, dtype=torch.float64) for shape in HEAD.shapes()]
    outputs[0][:] = offsets[:48].view(1, 4, 6, 8).permute(0, 3, 1, 2)
    outputs[2][:] = offsets[48:].view(1, 2, 3, 4).permute(0, 3, 1, 2)
    torch.testing.assert_close(decode_ssd(outputs, HEAD)[0][0], boxes)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_detections_are_torchvisions(seed):
    outputs = random_outputs(HEAD, 3, seed, spread=2.0)
    defaults = ssd_reference.corners(HEAD)
    reference = ssd_reference.ssd(HEAD, score_threshold=0.3)
    expected = reference.postprocess_detections(
        ssd_reference.head_outputs(outputs, HEAD), [defaults] * 3, [HEAD.image_size] * 3
    )
    boxes, scores = decode_ssd(outputs, HEAD)
    for i, want in enumerate(expected):
        found = select(boxes[i], scores[i], HEAD.image_size, 0.3)
        torch.testing.assert_close(found["scores"], want["scores"])
        torch.testing.assert_close(found["boxes"], want["boxes"], rtol=1e-4, atol=1e-3)
        assert found["labels"].tolist() == (want["labels"] - 1).tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.sampled_from([0.0, 1.0, -3.5, 88.0, -1e30, 3e38, math.inf, -math.inf, math.nan]), min_size=7, max_size=7
    )
)
def test_absurd_outputs_give_finite_boxes(values):
    outputs = [
        torch.tensor(values[first:last]).repeat(shape[0] // (last - first))[None, :, None, None].expand(1, *shape)
        for shape, (first, last) in zip(HEAD.shapes(), [(0, 4), (4, 7)] * 2, strict=True)
    ]
    boxes, scores = decode_ssd(outputs, HEAD)
    assert boxes.isfinite().all() and scores.isfinite().all()
    assert ((boxes[..., 2:] - boxes[..., :2]) >= 0).all() and (scores >= 0).all() and (scores.sum(-1) <= 1 + 1e-6).all()


def test_outputs_of_another_head_are_refused():
    with pytest.raises(ValueError, match="belong"):
        decode_ssd(random_outputs(HEAD, 1, 0)[::-1], HEAD)
