"""The learning-rate panel, driven without a browser."""

import re

import pytest

from course.widgets.valley import descent_verdict, learning_rate_valley


@pytest.fixture
def panel():
    return learning_rate_valley()


@pytest.mark.parametrize(
    ("rate", "curvature", "verdict"),
    [
        (0.02, 2.0, "crawls"),
        (0.3, 2.0, "converges"),
        (0.5, 2.0, "converges"),
        (0.51, 2.0, "bounces"),
        (0.99, 2.0, "bounces"),
        (1.0, 2.0, "swings"),
        (0.5, 4.0, "swings"),
        (1.01, 2.0, "diverges"),
        (0.3, 4.0, "bounces"),
        (0.51, 4.0, "diverges"),
    ],
)
def test_the_slider_changes_verdict_and_picture(panel, rate, curvature, verdict):
    slider, valley, text, picture = panel.children
    valley.value = curvature
    slider.value = rate
    assert f"<b>{verdict}</b>" in text.value
    assert verdict == descent_verdict(rate, curvature)
    alt = re.search(r'alt="([^"]+)"', picture.value)[1]
    assert f"learning rate {rate:.2f}" in alt
    assert verdict in alt


@pytest.mark.parametrize("curvature", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("share", [0.01, 0.02, 0.2, 0.9, 1.0, 1.1, 1.9, 2.0, 2.1])
def test_the_verdict_is_what_the_walk_does(curvature, share):
    w, bottom, path = -1.0, 3.0, [-1.0]
    for _ in range(20):
        w -= share / curvature * curvature * (w - bottom)
        path.append(w)
    left_over = ((path[-1] - bottom) / (path[0] - bottom)) ** 2
    crossed = (path[1] - bottom) * (path[0] - bottom) < -1e-12
    if crossed:
        expected = "diverges" if left_over > 1 else "bounces"
        expected = "swings" if abs(left_over - 1) < 1e-9 else expected
    else:
        expected = "crawls" if left_over > 0.1 else "converges"
    assert descent_verdict(share / curvature, curvature) == expected


@pytest.mark.parametrize(("rate", "curvature"), [(0, 2), (-0.1, 2), (0.1, 0), (0.1, -1)])
def test_impossible_values_are_named(rate, curvature):
    with pytest.raises(ValueError, match="must be positive, got"):
        descent_verdict(rate, curvature)


def test_each_position_draws_its_own_picture(panel):
    slider, _, _, picture = panel.children
    seen = []
    for rate in (0.1, 0.6, 1.1, 0.1):
        slider.value = rate
        seen.append(picture.value)
    assert len(set(seen)) == 3
    assert seen[0] == seen[3]
