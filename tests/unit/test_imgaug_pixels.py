"""What the augmenters do to pixels, measured on pages whose right answer is known."""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from ctxbench_imgaug.geometry import transform
from ctxbench_imgaug.levels import Custom, Heavy, Light
from ctxbench_imgaug.pipeline import Draw, geometry

SIZE = (200, 120)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(value: int | tuple[int, int, int], size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.new("RGB", size, value if isinstance(value, tuple) else (value,) * 3)


def smooth(size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Slow waves of three different colours: nothing that a resampling could alias."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = [np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)]
    return Image.fromarray(np.stack([127 + 100 * w for w in waves], axis=-1).astype(np.uint8))


def _along(size: tuple[int, int], shares: list[float]) -> np.ndarray:
    """Points on the middle line of a long page."""
    return np.array([[x * size[0], size[1] / 2] if size[0] > size[1] else [size[0] / 2, x * size[1]] for x in shares])


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(float)


@pytest.mark.parametrize("scale", [0.5, 0.7, 1, 1.3, 3])
@pytest.mark.parametrize("angle", [-15, 0, 7.3, 45, 90])
def test_canvas_grows_so_that_no_ink_is_lost(scale, angle):
    """An all-black page keeps its whole area; imgaug's own Affine(fit_output) loses a strip of (scale - 1) / 2 px all around."""
    page = Custom(scale=scale, rotation=[angle, angle]).apply(flat(0), rng())
    ink = (255 - pixels(page)[..., 0]).sum() / 255
    perimeter = 2 * scale * sum(SIZE)
    assert ink == pytest.approx(scale**2 * SIZE[0] * SIZE[1], abs=0.12 * max(1, scale) * perimeter)  # the edge's own soft ramp
    radians = math.radians(abs(angle))
    width = scale * (SIZE[0] * math.cos(radians) + SIZE[1] * math.sin(radians))
    height = scale * (SIZE[0] * math.sin(radians) + SIZE[1] * math.cos(radians))
    assert page.size == (math.ceil(width - 1e-6), math.ceil(height - 1e-6))


@pytest.mark.parametrize("seed", range(5))
def test_perspective_moves_the_corners_and_keeps_them_on_the_canvas(seed):
    level = Heavy(perspective=0.2)
    draw = Draw.of(rng(seed))
    warp = geometry(level, SIZE, draw)
    corners = transform(warp.matrix, np.array([[0, 0], [SIZE[0], 0], [SIZE[0], SIZE[1]], [0, SIZE[1]]], float))
    assert corners.min() >= -1e-3
    assert np.all(corners <= np.array(warp.size) + 1e-3)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    assert abs(sides[0] - sides[2]) > 1  # opposite sides of a parallelogram are equal: this is none
    plain = Custom(scale=level.scale, rotation=level.rotation, perspective=0.2).apply(flat(0), rng(seed))
    x, y = corners.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert (255 - pixels(plain)[..., 0]).sum() / 255 == pytest.approx(area, rel=5e-3)


def test_rotation_is_clockwise_and_the_canvas_white_in_the_corners():
    page = flat(255)
    ImageDraw.Draw(page).rectangle((150, 0, 199, 20), fill=(255, 0, 0))  # a red mark at the top right
    turned = pixels(Custom(rotation=[90, 90]).apply(page, rng()))
    assert turned.shape[:2] == (200, 120)
    assert turned[180, 110].tolist() == [255, 0, 0]  # which a quarter turn clockwise brings to the bottom right
    tilted = Heavy(jpeg_quality=None, noise_std=0, rotation=[10, 10]).apply(flat(0), rng())
    assert [tilted.getpixel(p) for p in ((0, 0), (tilted.width - 1, 0), (0, tilted.height - 1))] == [(255, 255, 255)] * 3
    assert Custom(rotation=[45, 45], fill=[1, 2, 3]).apply(flat(0), rng()).getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize(("scale", "angle"), [(1.2, 11.0), (1.0, -7.0)])
def test_agrees_with_imgaugs_affine_inside_the_page(scale, angle):
    """Same factor, same sign of the angle, same centre; only the canvas differs, by less than a pixel."""
    from imgaug import augmenters as iaa

    page = smooth()
    ours = pixels(Custom(scale=scale, rotation=[angle, angle]).apply(page, rng()))
    theirs = iaa.Affine(scale=scale, rotate=angle, fit_output=True, order=3, cval=255, seed=1)(image=np.asarray(page)).astype(float)
    assert np.abs(np.subtract(ours.shape, theirs.shape)).max() <= 1
    box = (slice(80, 120), slice(90, 130))
    shifts = [np.abs(ours[box] - np.roll(theirs, (dy, dx), (0, 1))[box]).mean() for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    assert min(shifts) < 8  # the waves' amplitude is 100


def test_downscaling_does_not_alias():
    """One-pixel stripes cannot be held at half the size: they must turn grey, not into other stripes."""
    stripes = np.zeros((120, 200, 3), np.uint8)
    stripes[:, ::2] = 255
    page = Image.fromarray(stripes)
    centre = (slice(20, 50), slice(20, 80))
    filtered = pixels(Custom(scale=0.6).apply(page, rng()))[centre]
    aliased = pixels(Custom(scale=0.6, antialias=False).apply(page, rng()))[centre]
    assert filtered.mean() == pytest.approx(127.5, abs=2)
    assert filtered.std() < 0.35 * aliased.std()


def test_strengths_are_drawn_uniformly_between_the_bounds():
    draws = [geometry(Light(), (1000, 1000), Draw.of(rng(seed))) for seed in range(400)]
    scales = np.array([math.hypot(*w.matrix[:2, 0]) for w in draws])
    angles = np.array([math.degrees(math.atan2(w.matrix[1, 0], w.matrix[0, 0])) for w in draws])
    for values, low, high in ((scales, 0.9, 1.1), (angles, -5, 5)):
        units = np.sort((values - low) / (high - low))
        assert units[0] >= 0
        assert units[-1] <= 1
        assert np.abs(units - (np.arange(400) + 0.5) / 400).max() < 0.08  # Kolmogorov-Smirnov at about 1 %
    assert abs(np.corrcoef(scales, angles)[0, 1]) < 0.15


@pytest.mark.parametrize("sigma", [0.5, 1.5, 4])
def test_blur_has_the_standard_deviation_it_says(sigma):
    """imgaug's own kernel for sigma 1.5 is cut so short that its standard deviation is 1.2."""
    page = flat(0, (81, 81))
    page.paste((255, 255, 255), (30, 30, 51, 51))
    before, after = (pixels(p)[..., 0].sum(axis=0) for p in (page, Custom(blur_sigma=sigma).apply(page, rng())))
    x = np.arange(81) - 40

    def variance(profile):
        return (profile * x**2).sum() / profile.sum()

    taps = np.exp(-0.5 * np.arange(-50, 51) ** 2 / sigma**2)  # sampled at whole pixels: 0.21 for sigma 0.5, sigma^2 for larger ones
    expected = (taps * np.arange(-50, 51) ** 2).sum() / taps.sum()
    assert variance(after) - variance(before) == pytest.approx(expected, rel=0.04)  # 8-bit rounding eats the faint tails


def test_noise_has_its_strength_and_is_independent_in_each_channel():
    noise = pixels(Custom(noise_std=0.05).apply(flat(128, (400, 400)), rng())) - 128
    assert noise.std(axis=(0, 1)) == pytest.approx([12.75] * 3, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    correlation = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.abs(correlation - np.eye(3)).max() < 0.02
    neighbours = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.02


def test_grey_noise_is_the_same_in_all_channels():
    noisy = pixels(Custom(noise_std=0.05, noise_per_channel=False).apply(flat((90, 120, 150)), rng())) - [90, 120, 150]
    assert noisy.std() == pytest.approx(12.75, rel=0.02)
    assert np.ptp(noisy, axis=2).max() == 0


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_jpeg_is_pillows_at_that_quality(subsampling):
    page = smooth()
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=60, subsampling=subsampling)
    expected = np.asarray(Image.open(buffer))
    assert np.array_equal(np.asarray(Custom(jpeg_quality=60, jpeg_subsampling=subsampling).apply(page, rng())), expected)


@pytest.mark.filterwarnings("ignore:Starting with ImageIO v3:DeprecationWarning", "ignore:.pilmode. is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("quality", "compression"), [(85, 15), (60, 41)])
def test_jpeg_equals_imgaugs_operator_at_the_matching_strength(quality, compression):
    from imgaug import augmenters as iaa

    page = smooth()
    theirs = iaa.JpegCompression(compression=compression, seed=1)(image=np.asarray(page))
    assert np.array_equal(np.asarray(Custom(jpeg_quality=quality).apply(page, rng())), theirs)


def test_order_paper_adds_noise_last_and_camera_compresses_last():
    page = smooth()
    options = {"jpeg_quality": 60, "blur_sigma": 1.0, "noise_std": 0.05}
    alone = {name: Custom(**{name: value}) for name, value in options.items()}

    def chain(*names):
        image = page
        for name in names:
            image = alone[name].apply(image, rng())  # an equal generator gives each step the draws it has in the whole
        return image.tobytes()

    paper = Custom(**options).apply(page, rng()).tobytes()
    camera = Custom(order="camera", **options).apply(page, rng()).tobytes()
    assert paper == chain("jpeg_quality", "blur_sigma", "noise_std")
    assert camera == chain("blur_sigma", "noise_std", "jpeg_quality")
    assert paper != camera


@pytest.mark.parametrize("level", [Light(), Heavy()])
def test_colours_stay_what_they_are(level):
    """A swapped channel order (OpenCV's BGR) or a grey conversion would show at once."""
    for colour in ((220, 30, 30), (30, 200, 60), (40, 40, 210)):
        page = pixels(level.apply(flat(colour, (300, 300)), rng()))
        middle = page[page.shape[0] // 2 - 30 :, page.shape[1] // 2 - 30 :][:60, :60].mean(axis=(0, 1))
        assert middle == pytest.approx(colour, abs=6)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("level", [Light(), Heavy(), Heavy(perspective=0.2, order="camera")])
def test_smallest_pages(level, size):
    made = level.apply(flat(0, size), rng())
    assert made.mode == "RGB"
    assert made.size == geometry(level, size, Draw.of(rng())).size


@pytest.mark.parametrize("size", [(40_000, 20), (20, 33_000)])
@pytest.mark.parametrize("perspective", [0, 0.01])
def test_far_end_of_a_very_long_page_holds_its_own_pixels(size, perspective):
    """OpenCV's fixed-point coordinates once ended at 32,767 px."""
    level = Light(scale=1.1, rotation=[0.05, 0.05], perspective=perspective)
    page = flat(255, size)
    middle = (size[0] * 3 // 4, 0) if size[0] > size[1] else (0, size[1] * 3 // 4)
    page.paste((0, 0, 0), (*middle, *size))
    made = level.apply(page, rng())
    warp = geometry(level, size, Draw.of(rng()))
    assert made.size == warp.size
    marks = transform(warp.matrix, _along(size, [0.5, 0.74, 0.76, 0.99]))
    shades = [made.getpixel((int(x), int(y)))[0] for x, y in marks]
    assert [shade > 128 for shade in shades] == [True, True, False, False]


def test_pages_too_long_for_jpeg_say_what_to_do():
    page = flat(255, (66_000, 1))
    with pytest.raises(ValueError, match=r"at most 65500 px, this page is 66000 x 1; set jpeg_quality: null"):
        Custom(jpeg_quality=85).apply(page, rng())
    assert Custom(blur_sigma=1).apply(page, rng()).size == page.size


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ValueError, match="at least 1 x 1 px, got 0 x 5"):
        Light().apply(Image.new("RGB", (0, 5)), rng())


def test_other_modes_become_rgb_and_custom_alone_changes_nothing():
    grey = Image.linear_gradient("L")
    assert np.array_equal(np.asarray(Custom().apply(grey, rng())), np.asarray(grey.convert("RGB")))


def test_opencv_runs_on_one_thread():
    """Trials run in parallel processes already."""
    assert cv2.getNumThreads() == 1
