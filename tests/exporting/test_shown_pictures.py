"""Pictures become what the members were trained on, whatever they come as."""

import numpy as np
import pytest
import torch
from PIL import Image

from ensembudget.errors import ArgumentError, DatasetError
from ensembudget.exporting.pictures import prepared
from ensembudget.records import Task

GREY, COLOUR = Task(10, 1, 8), Task(10, 3, 8)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(20, 12, 3), dtype=np.uint8)


def test_a_path_a_picture_and_an_array_are_the_same_image(photo, tmp_path):
    picture = Image.fromarray(photo)
    picture.save(tmp_path / "photo.png")
    ways = [tmp_path / "photo.png", str(tmp_path / "photo.png"), picture, photo, photo[None], [photo]]
    found = [prepared(one, COLOUR) for one in ways]
    assert found[0].shape == (1, 8, 8, 3)
    assert all(np.array_equal(one, found[0]) for one in found)


def test_a_picture_is_cut_to_its_central_square_and_resized(photo):
    wanted = Image.fromarray(photo[4:16]).resize((8, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(prepared(photo, COLOUR)[0], np.asarray(wanted))


def test_an_image_of_the_right_size_is_not_touched(photo):
    assert np.array_equal(prepared(photo[:8, :8], COLOUR)[0], photo[:8, :8])
    assert np.array_equal(prepared(photo[:8, :8, 0], GREY)[0, ..., 0], photo[:8, :8, 0])


def test_colours_become_grey_and_grey_gets_three_channels(photo):
    grey = np.asarray(Image.fromarray(photo[:8, :8]).convert("L"))
    assert np.array_equal(prepared(photo[:8, :8], GREY)[0, ..., 0], grey)
    three = prepared(grey, COLOUR)[0]
    assert all(np.array_equal(three[..., channel], grey) for channel in range(3))


def test_transparent_pixels_are_white(photo):
    opaque, clear = (np.dstack([photo, np.full(photo.shape[:2], alpha, np.uint8)]) for alpha in (255, 0))
    assert np.array_equal(prepared(opaque, COLOUR), prepared(photo, COLOUR))
    for one in (clear, Image.fromarray(clear)):
        assert (prepared(one, COLOUR) == 255).all()


def test_many_images_keep_their_order_and_may_differ_in_size_and_kind(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    many = prepared([photo[:9], tmp_path / "photo.png", Image.fromarray(photo[:10])], COLOUR)
    each = [prepared(one, COLOUR)[0] for one in (photo[:9], photo, photo[:10])]
    assert np.array_equal(many, np.stack(each))


def test_a_torch_tensor_of_bytes_is_an_array(photo):
    assert np.array_equal(prepared(torch.from_numpy(photo), COLOUR), prepared(photo, COLOUR))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "there are no images"),
        (np.zeros((0, 8, 8, 3), np.uint8), "there are no images"),
        (np.zeros((8, 8, 3)), "of type float64; they must be uint8"),
        (np.zeros((3, 8, 8), np.uint8), r"an image has shape \(3, 8, 8\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"an image has shape \(3, 8, 8\)"),
        (np.zeros((0, 8, 3), np.uint8), "an image has no pixels"),
        (7, "images of type int are not read"),
        ([None], "an image of type NoneType is not read"),
    ],
)
def test_what_is_no_image_is_refused_in_one_sentence(images, said):
    with pytest.raises(ArgumentError, match=said):
        prepared(images, COLOUR)


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_a_file_that_is_missing_or_no_picture_is_named(content, tmp_path):
    path = tmp_path / "odd.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"odd\.png' cannot be"):
        prepared(path, COLOUR)
