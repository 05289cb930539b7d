import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwprune.detect.anchors import fit_head, kmeans_anchors, shape_iou
from hwprune.errors import UserError


def test_shape_iou_by_hand():
    # 4x2 and 2x4 laid corner on corner share 2x2 of 8 + 8 - 4.
    assert shape_iou(np.array([[4.0, 2.0]]), np.array([[2.0, 4.0], [4.0, 2.0]])) == pytest.approx(
        np.array([[1 / 3, 1]])
    )


def test_clear_clusters_are_found():
    rng = np.random.default_rng(3)
    centres = np.array([[8.0, 10], [20, 40], [60, 30], [100, 110]])
    shapes = np.repeat(centres, 50, 0) * rng.uniform(0.95, 1.05, (200, 2))
    np.testing.assert_allclose(kmeans_anchors(shapes, 4, seed=1), centres, rtol=0.03)


def test_seed_fixes_the_anchors():
    shapes = np.random.default_rng(0).uniform(4, 90, (300, 2))
    np.testing.assert_array_equal(kmeans_anchors(shapes, 6, seed=5), kmeans_anchors(shapes, 6, seed=5))


def test_no_anchor_can_be_moved_to_its_boxes_better():
    """A fixed point of k-means: each anchor is the mean of the boxes that are nearest to it."""
    shapes = np.random.default_rng(1).uniform(4, 90, (200, 2))
    anchors = kmeans_anchors(shapes, 5)
    nearest = [
        min(range(5), key=lambda k: 1 - min(w, anchors[k, 0]) * min(h, anchors[k, 1])
            / (w * h + anchors[k].prod() - min(w, anchors[k, 0]) * min(h, anchors[k, 1])))
        for w, h in shapes
    ]  # fmt: skip
    for k in range(5):
        np.testing.assert_allclose(anchors[k], shapes[np.array(nearest) == k].mean(0))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=25),
    st.integers(1, 8),
)
def test_always_as_many_as_asked_distinct_and_sorted(shapes, count):
    anchors = kmeans_anchors(np.array(shapes), count)
    assert anchors.shape == (count, 2) and np.isfinite(anchors).all() and (anchors > 0).all()
    assert (np.diff(anchors.prod(1)) >= -1e-9).all()


def test_few_distinct_boxes_stay_anchors():
    anchors = kmeans_anchors(np.array([[10, 20]] * 9 + [[30, 30]]), 6)
    assert len(np.unique(anchors, axis=0)) == 6
    assert {(10.0, 20.0), (30.0, 30.0)} <= {tuple(a) for a in anchors.tolist()}


def test_large_anchors_to_the_coarse_head():
    shapes = np.random.default_rng(2).uniform(5, 60, (100, 2))
    head = fit_head(shapes, ("a",), (32, 16), (64, 64))
    assert head.strides == (32, 16)
    assert min(w * h for w, h in head.anchors[0]) >= max(w * h for w, h in head.anchors[1])
    assert fit_head(shapes, ("a",), (16, 32), (64, 64)).anchors == head.anchors[::-1]


@pytest.mark.parametrize("shapes", [np.zeros((0, 2)), np.array([[3.0, 0.0]]), np.array([[np.nan, 1.0]])])
def test_bad_boxes_are_an_error_of_the_user(shapes):
    with pytest.raises(UserError, match="labels"):
        kmeans_anchors(shapes, 3)
