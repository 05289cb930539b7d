"""What cannot be pruned is told before anything trains."""

import re
import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Add, Architecture, Concat, Conv
from hwprune.models.ssd import ssd300
from hwprune.models.vgg import vgg16
from hwprune.models.yolov3_tiny import yolov3_tiny
from hwprune.prune.layers import LayersError, layer_set, matching
from hwprune.prune.problems import check, problems
from hwprune.prune.settings import PruneSettings, SlimmingSettings, SparsifySettings
from hwprune.sam.settings import Sam
from hwprune.yaml_places import show

SSD = ssd300(2, image_size=(300, 300))
PUBLISHED = [["conv1_1", "conv4_3"], ["conv4_3", "conv7"], ["conv7", "conv8_2"], ["conv8_2", "conv11_2"]]


def settings(**fields):
    return TypeAdapter(PruneSettings).validate_python(fields)


def told(architecture, **fields):
    return [(show(way), message) for way, message in problems(settings(**fields), architecture)]


def conv(name, source, out=4, **fields):
    return Conv(name=name, inputs=(source,), out_channels=out, kernel=1, **fields)


def test_published_phases_of_ssd_and_vgg16():
    """Singh et al., sections 4.1 and 4.3."""
    assert told(SSD, method="multilayer", phases=PUBLISHED) == []
    assert settings(method="multilayer", phases=PUBLISHED).rounds == 4
    vgg = vgg16(10, image_size=(224, 224))
    assert told(vgg, method="multilayer", phases=[["conv1_1", "conv5_3"], ["fc6", "fc7"]]) == []
    assert layer_set(vgg, "fc6", "fc7") == ("fc6", "fc7", "fc8")
    assert layer_set(SSD, "conv8_2", "conv11_2") == (
        "conv8_2", "offsets3", "classes3", "conv9_1", "conv9_2", "offsets4", "classes4", "conv10_1", "conv10_2",
        "offsets5", "classes5", "conv11_1", "conv11_2", "offsets6", "classes6",
    )  # fmt: skip


def test_a_set_takes_every_way_from_first_to_last():
    table = Architecture(
        name="fork",
        layers=(
            conv("a", IMAGE), conv("b", "a"), conv("c", "a"), Add(name="x", inputs=("b", "c")), conv("d", "x"),
            conv("aside", "a"), Concat(name="y", inputs=("d", "aside")), conv("head", "y", 1),
        ),
        heads=("head",),
    )  # fmt: skip
    assert layer_set(table, "a", "d") == ("a", "b", "c", "d", "head")
    assert layer_set(table, "b", "d") == ("b", "d", "head")
    assert layer_set(table, "b", "b") == ("b",)
    with pytest.raises(LayersError, match=r"c does not come behind b, so these are no consecutive layers$"):
        layer_set(table, "b", "c")


@pytest.mark.parametrize(
    ("phases", "field", "complaint"),
    [
        ([["conv4_3", "conv1_1"]], "phases[0]", "no consecutive layers; give them in the order of the data flow"),
        ([["conv1_1", "conv4_4"]], "phases[0]", "conv4_4 is no convolution of the network; did you mean conv4_"),
        ([["conv1_1", "norm4_3"]], "phases[0]", "norm4_3 is no convolution"),
        ([["conv1_1", "classes1"]], "phases[0]", "classes1 is a head, whose outputs are fixed"),
        ([["conv1_1", "conv4_3"], ["conv4_2", "conv7"]], "phases[1]", "shares conv4_2, conv4_3 with phases[0]"),
        ([["conv1_1", "conv4_3"], ["conv1_2", "conv1_2"]], "phases[1]", "shares conv1_2 with phases[0]"),
        ([["conv7", "conv8_2"], ["conv1_1", "conv11_2"]], "phases[1]", "shares conv7, conv8_1, conv8_2 with"),
    ],
)  # fmt: skip
def test_sets_of_layers(phases, field, complaint):
    ((where, message),) = told(SSD, method="multilayer", phases=phases)
    assert where == field and complaint in message
    with pytest.raises(UserError, match="^" + re.escape(f"prune.{field}: ")):
        check(settings(method="multilayer", phases=phases), SSD)


def test_phases_in_any_order_may_touch():
    assert told(SSD, method="multilayer", phases=PUBLISHED[::-1]) == []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"filter_sparsity": 0.8, "weak_filter_sparsity": 0.9}, "weak_filter_sparsity is 0.9, not less than"),
        ({"filter_sparsity": 0.8, "weak_filter_sparsity": 0.8}, "not less than filter_sparsity"),
        ({"filter_sparsity": 1.1}, "less than or equal to 1"),
        ({"threshold": -1}, "greater than or equal to 0"),
        ({"phases": []}, "at least 1 item"),
        ({"phases": [["a", "b", "c"]]}, "at most 2 items"),
        ({"rounds": 2}, "Extra inputs"),
    ],
)
def test_thresholds_and_other_values(fields, complaint):
    with pytest.raises(ValidationError, match=complaint):
        settings(**{"method": "multilayer", "phases": PUBLISHED, **fields})


def test_slimming_without_batch_norm():
    ((where, message),) = told(vgg16(10, image_size=(32, 32), fully_connected=(512,)), method="slimming")
    assert where == "method" and "conv1_1, conv1_2" in message and "fc6 have none" in message
    assert "model.norm: true" in message
    assert told(ssd300(2, norm=True)) == told(yolov3_tiny(2)) == []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"method": "l1_norm", "fraction": 0.9}, "fraction: 0.9 would leave layer conv8_2, of 4 channels, none, and "
         "classes3, offsets3 no input; take a smaller fraction, or leave it out of layers"),
        ({"method": "uniform", "width": 0.1}, "width: 0.1 would leave layer conv8_2, of 4 channels, none, and "
         "classes3, offsets3 no input; take a greater width"),
        # conv8_2 has four, two, one, and then none.
        ({"method": "l1_norm", "fraction": 0.6, "rounds": 3, "min_channels": 1, "multiple": 1}, "of 1 channels, none"),
    ],
)  # fmt: skip
def test_shares_that_would_empty_a_layer(fields, complaint):
    small = ssd300(2, {"conv8_2": 4}, detection_layers=3)
    ((where, message),) = told(small, **fields)
    assert complaint in f"{where}: {message}"
    fewer = {"layers": ["conv[1-7]*"]} if "fraction" in fields else {}
    assert not fewer or told(small, **fields, **fewer) == []


def test_layers_that_are_not_there():
    ((where, message),) = told(SSD, method="random", layers=["conv1_*", "conv13"])
    assert where == "layers" and "conv13 is no convolution of the network; did you mean conv" in message
    ((where, message),) = told(SSD, method="l1_norm", layers=["classes*", "classes2"])
    assert "classes* is no convolution" in message
    ((where, message),) = told(SSD, method="multilayer", phases=PUBLISHED, fully_connected=["fc6"])
    assert where == "fully_connected"
    assert matching(SSD, ["conv7", "conv1_*"]) == ["conv1_1", "conv1_2", "conv7"]


def test_tied_layers_go_together():
    table = Architecture(
        name="residual",
        layers=(
            conv("a", IMAGE), conv("b", "a"), Add(name="x", inputs=("a", "b")), conv("c", "x", 3),
            Add(name="y", inputs=(IMAGE, "c")), conv("head", "y", 1),
        ),
        heads=("head",),
    )  # fmt: skip
    ((_, message),) = told(table, method="random", layers=["b"])
    assert message == "the channels of b go together with those of a; name all or none"
    ((_, message),) = told(table, method="random", layers=["c"])
    assert "the channels of c are tied to the image's or a head's" in message
    ((where, message),) = told(table, method="multilayer", phases=[["c", "c"]])
    assert where == "phases[0]" and "none can go" in message


@pytest.mark.parametrize("fields", [{"method": "l1_norm"}, {"method": "multilayer", "phases": [["conv1", "conv4"]]}])
def test_weights_of_sam_layers_are_no_factors(fields):
    table = yolov3_tiny(2).with_neurons({"conv3": Sam(form="signed", group=1)})
    ((_, message),) = told(table, **fields)
    assert "conv3 are of SAM neurons" in message
    assert told(yolov3_tiny(2), **fields) == []


def test_old_recipes_mean_slimming():
    assert settings(fraction=0.3) == SlimmingSettings(fraction=0.3)
    assert SparsifySettings().strengths == (1e-4,)
    assert SparsifySettings(l1=[1e-5, 1e-3, 1e-4, 1e-3]).strengths == (1e-3, 1e-4, 1e-5)


def test_settings_and_problems_import_no_torch():
    code = "import sys, hwprune.prune.problems; print({'torch', 'lightning'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
