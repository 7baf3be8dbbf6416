import pytest
import torch

from tutorial_pkg.units import stroke_statistics

SIZE = 28


def bar(width=4, height=20, shear=0.0):
    """An upright bar, its rows pushed to the right by `shear` pixels for each row further up."""
    image = torch.zeros(1, 1, SIZE, SIZE)
    for row in range(4, 4 + height):
        left = round(12 + shear * (13.5 - row))
        image[0, 0, row, left : left + width] = 1.0
    return image


def drawing(*rows):
    return torch.tensor([[float(c == "#") for c in row] for row in rows])[None, None]


@pytest.mark.parametrize("width", [2, 4, 6])
def test_width_of_a_bar(width):
    # The ends are closer to the background than a long bar's.
    assert stroke_statistics(bar(width)).width.item() == pytest.approx(width, rel=0.12)
    assert stroke_statistics(bar(width)).width.item() <= width


def test_aspect_of_a_rectangle_is_width_over_height():
    strokes = stroke_statistics(bar(6, 18))
    assert strokes.aspect.item() == pytest.approx(6 / 18, rel=1e-5)
    assert strokes.slant.item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("shear", [-0.5, 0.25, 0.5])
def test_slant_of_a_sheared_bar_and_aspect_without_it(shear):
    strokes = stroke_statistics(bar(shear=shear))
    expected = torch.rad2deg(torch.atan(torch.tensor(shear))).item()
    assert strokes.slant.item() == pytest.approx(expected, abs=1.0)
    assert strokes.aspect.item() == pytest.approx(4 / 20, rel=0.15)


def test_mirroring_turns_the_slant_and_nothing_else(digits):
    images = digits.test_inputs[:50]
    here, there = stroke_statistics(images), stroke_statistics(images.flip(3))
    assert torch.allclose(there.slant, -here.slant, atol=1e-3)
    assert torch.allclose(there.aspect, here.aspect, atol=1e-4)
    assert torch.allclose(there.width, here.width, atol=1e-4)
    assert torch.equal(there.holes, here.holes)


@pytest.mark.parametrize(
    ("image", "holes"),
    [
        (drawing("....", ".#..", ".#..", "...."), 0),
        (drawing(".###", ".#.#", ".#.#", ".###"), 1),  # touches the border
        (drawing(".#..", "#.#.", ".#..", "...."), 1),  # ink is connected across corners, background is not
        (drawing("###", "#.#", "###", "#.#", "###"), 2),
        (drawing("###", "#..", "#.#", "###"), 0),  # open
    ],
)
def test_holes(image, holes):
    assert stroke_statistics(image).holes.item() == holes


def test_ink_is_what_exceeds_half_of_the_brightest_pixel():
    ring = drawing(".....", ".###.", ".#.#.", ".###.", ".....")
    plain = stroke_statistics(ring)
    for image in (0.4 * ring, ring.clamp_min(0.4)):
        found = stroke_statistics(image)
        assert found.holes.item() == plain.holes.item() == 1
        assert found.width.item() == plain.width.item()


def test_beyond_the_border_there_is_no_ink():
    assert stroke_statistics(bar().roll(-12, dims=3)).width.item() == stroke_statistics(bar()).width.item()


def test_handwriting_zeros_enclose_a_hole_and_are_wider_than_ones(digits):
    strokes = stroke_statistics(digits.test_inputs)
    assert (strokes.holes[digits.test_labels == 0] == 1).float().mean() > 0.5  # some are left open
    assert (strokes.holes[digits.test_labels == 1] == 0).all()
    assert strokes.aspect[digits.test_labels == 0].mean() > strokes.aspect[digits.test_labels == 1].mean()


def test_bad_images_are_named():
    with pytest.raises(ValueError, match=r"\[images, 1, height, width\], got \(2, 3, 4, 4\)"):
        stroke_statistics(torch.rand(2, 3, 4, 4))
    with pytest.raises(ValueError, match="image 1 has no ink"):
        stroke_statistics(torch.stack([torch.ones(1, 4, 4), torch.zeros(1, 4, 4)]))
