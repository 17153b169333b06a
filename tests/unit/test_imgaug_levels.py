"""The augmentation levels' options: the published values, what is refused, and what is imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ctxbench import ConfigError, load_plugins
from ctxbench_imgaug.levels import Custom, Heavy, Light


@pytest.mark.parametrize(
    ("level", "scale", "rotation", "quality", "sigma", "noise"),
    [
        (Custom(), (1, 1), (0, 0), None, 0, 0),
        (Light(), (0.9, 1.1), (-5, 5), 85, 0.5, 0.01),
        (Heavy(), (0.7, 1.3), (-15, 15), 60, 1.5, 0.05),
    ],
)
def test_levels_have_the_published_strengths(level, scale, rotation, quality, sigma, noise):
    found = (level.scale, level.rotation, level.jpeg_quality, level.blur_sigma, level.noise_std)
    assert found == (scale, rotation, quality, sigma, noise)
    assert (level.order, level.noise_per_channel, level.fill, level.perspective) == ("paper", True, (255, 255, 255), 0)


@pytest.mark.parametrize("level", [Custom(), Light(order="camera"), Heavy(scale=[0.5, 2], rotation=3, fill=7, jpeg_quality=None)])
def test_config_survives_json_and_makes_an_equal_level(level):
    """A stored config must name the same augmentation when it is read back, lists instead of tuples included."""
    assert json.loads(json.dumps(level.config)) == level.config
    assert type(level)(**level.config) == level
    assert len(level.config) == 12


def test_single_numbers_mean_a_fixed_scale_and_a_symmetric_rotation():
    level = Custom(scale=2, rotation=10, fill=0)
    assert (level.scale, level.rotation, level.fill) == ((2.0, 2.0), (-10.0, 10.0), (0, 0, 0))
    assert Custom(rotation=[10, 10]).rotation == (10.0, 10.0)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("scale", [1.2, 0.8], r"scale must be a number or two numbers from 0.05 to 8, the smaller first, got \(1.2, 0.8\)"),
        ("scale", 0, "scale must be .* from 0.05 to 8.*0.0"),
        ("scale", float("nan"), r"scale must be a number or two numbers from 0.05 to 8, .* got \(nan, nan\)"),
        ("scale", "big", "scale must be a number or two numbers .* got 'big'"),
        ("scale", True, "scale must be a number or two numbers .* got True"),
        ("rotation", 181, "rotation must be .* from -180 to 180.*181"),
        ("jpeg_quality", 0, "jpeg_quality must be from 1 to 100, got 0"),
        ("jpeg_quality", 85.5, "jpeg_quality must be a whole number, got 85.5"),
        ("blur_sigma", -1, "blur_sigma must be from 0 to 50, got -1"),
        ("noise_std", 12.75, "noise_std must be from 0 to 1, got 12.75"),
        ("noise_std", float("inf"), "noise_std must be from 0 to 1, got inf"),
        ("noise_per_channel", "yes", "noise_per_channel must be true or false, got 'yes'"),
        ("order", "random", "order must be one of paper, camera, got 'random'"),
        ("perspective", 0.3, "perspective must be from 0 to 0.2, got 0.3"),
        ("fill", [255, 256, 0], r"fill must be a whole number from 0 to 255, or a list of 3 .* got \(255, 256, 0\)"),
        ("interpolation", "nearest", "interpolation must be one of linear, cubic, lanczos, got 'nearest'"),
        ("antialias", 1, "antialias must be true or false, got 1"),
        ("jpeg_subsampling", "4:1:1", "jpeg_subsampling must be one of 4:2:0, 4:2:2, 4:4:4, got '4:1:1'"),
    ],
)
def test_bad_option_is_quoted_with_the_legal_range(option, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Heavy(**{option: value})


def test_registry_makes_the_levels_and_explains_a_bad_option():
    registry = load_plugins()
    assert registry.augmenter("heavy", noise_std=0.1) == Heavy(noise_std=0.1)
    assert registry.augmenter("custom", scale=[0.9, 1.1]) == Custom(scale=(0.9, 1.1))
    with pytest.raises(ConfigError, match="augmenter 'light': blur_sigma must be from 0 to 50, got -2"):
        registry.augmenter("light", blur_sigma=-2)


def test_making_a_level_imports_neither_imgaug_nor_opencv():
    """`ctxbench run --dry-run` and config errors must not wait seconds for imgaug."""
    code = (
        "import sys, ctxbench; ctxbench.load_plugins().augmenter('heavy');"
        "print([m for m in ('imgaug', 'cv2', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
