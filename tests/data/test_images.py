import numpy as np
import pytest
import torch
from PIL import Image

from hwprune.data.images import BrokenImageError, check_image, find_files, load_image


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_sound_images(picture, tmp_path, suffix):
    path = picture(tmp_path / f"a{suffix}", 30, 50)
    assert check_image(path) == (30, 50)
    image = load_image(path)
    assert (image.dtype, image.shape) == (torch.uint8, (3, 30, 50))


def test_lossless_pixels_arrive_as_they_are(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png").permute(1, 2, 0), pixels)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (20, 10), (255, 255, 255)).convert(mode).save(path)
    assert check_image(path) == (10, 20)
    assert load_image(path).shape == (3, 10, 20)


def test_exif_orientation_turns_the_image(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # white left half
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise to see it upright
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert check_image(tmp_path / "a.png") == (40, 20)
    image = load_image(tmp_path / "a.png")
    assert image.shape == (3, 40, 20)
    assert image[:, :20].min() == 255  # left has become top
    assert image[:, 20:].max() == 0


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.95])
def test_cut_short(picture, tmp_path, suffix, share):
    path = picture(tmp_path / f"a{suffix}", 120, 160)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    for read in (check_image, load_image):
        with pytest.raises(BrokenImageError):
            read(path)


def test_no_image_and_no_file(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(BrokenImageError, match="no image of a known format"):
        check_image(tmp_path / "a.jpg")
    with pytest.raises(BrokenImageError):
        check_image(tmp_path / "b.jpg")


def test_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(BrokenImageError, match="8 bits a channel"):
        check_image(tmp_path / "a.png")


def test_hidden_files_are_left_out(tmp_path):
    for name in ("b/a.txt", "a.txt", ".hidden.txt", ".cache/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_files(tmp_path) == [tmp_path / "a.txt", tmp_path / "b" / "a.txt"]
