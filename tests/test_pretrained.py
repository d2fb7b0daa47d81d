"""MobileNetV2 as it comes from torchvision, `predict_top_k` and the panel for one's own photo."""

import datetime
import errno
import html
import io
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import MobileNetV2, mobilenet_v2

from course import stand_ins
from course.data import fashion_mnist, photo_transform
from course.files.downloads import DownloadError
from course.files.pictures import ImageFileError
from course.models import NUM_FEATURES, ClothingClassifierMobileNet
from course.pretrained import CATEGORIES, WEIGHTS, load_mobilenet_v2, predict_top_k
from course.stand_ins import STAND_IN, weights_or_stand_in
from course.widgets import photo_uploader


class Brightness(nn.Module):
    """Stands in for MobileNetV2 where the weights do not matter.

    Class 0, 1 or 2 wins if red, green or blue is the strongest channel of the photo; a photo that
    is lighter on top raises class 3 above the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.categories = WEIGHTS.meta["categories"]
        self.transform = WEIGHTS.transforms()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.seen.append(x)
        logits = torch.zeros(len(x), 1000)
        logits[:, :3] = x.mean(dim=(2, 3)) * self.scale
        top, bottom = x[:, :, :112].mean(dim=(1, 2, 3)), x[:, :, 112:].mean(dim=(1, 2, 3))
        logits[:, 3] = 20 * (top - bottom)
        return logits


@pytest.fixture
def model() -> Brightness:
    return Brightness().train()


def refuse() -> Path:
    raise DownloadError("no network")


@pytest.fixture(scope="module", params=["what is here", "stand-in"])
def mobilenet(request: pytest.FixtureRequest) -> MobileNetV2:
    """With the best weights that can be had, and with those that come with the course."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-in":
            patch.setattr(stand_ins, "download_weights", refuse)
        return load_mobilenet_v2()


NAMES = WEIGHTS.meta["categories"]


def first(model: nn.Module, image: Image.Image | str | Path) -> str:
    return predict_top_k(model, image, k=1)[0][0]


def test_result_is_sorted_and_named(model: Brightness) -> None:
    top_k = predict_top_k(model, Image.new("RGB", (30, 20), (250, 200, 0)), k=3)
    assert [name for name, _ in top_k[:2]] == [NAMES[0], NAMES[1]]  # red, then green
    probabilities = [probability for _, probability in top_k]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(isinstance(probability, float) for probability in probabilities)


def test_all_probabilities_sum_to_one(model: Brightness) -> None:
    top_k = predict_top_k(model, Image.new("RGB", (30, 20), "red"), k=1000)
    assert sum(probability for _, probability in top_k) == pytest.approx(1, abs=1e-4)
    assert {name for name, _ in top_k} == set(NAMES)


def test_five_unless_told(model: Brightness) -> None:
    assert len(predict_top_k(model, Image.new("RGB", (30, 20), "red"))) == 5


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_k_out_of_range(model: Brightness, k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be from 1 to 1000, got {k}"):
        predict_top_k(model, Image.new("RGB", (30, 20)), k)


def test_neither_image_nor_path(model: Brightness) -> None:
    with pytest.raises(TypeError, match="got Tensor"):
        predict_top_k(model, torch.zeros(3, 224, 224))  # type: ignore[arg-type]


def test_model_ends_in_evaluation_mode(model: Brightness) -> None:
    predict_top_k(model, Image.new("RGB", (30, 20)))
    assert not model.training


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 2), (224, 224), (8000, 8000)])
def test_any_size(model: Brightness, size: tuple[int, int]) -> None:
    assert first(model, Image.new("RGB", size, "lime")) == NAMES[1]
    assert model.seen[-1].shape == (1, 3, 224, 224)


def picture(mode: str) -> Image.Image:
    """A blue picture, or one of light grey, in `mode`."""
    if mode in ("RGB", "RGBA", "CMYK", "P", "YCbCr", "HSV"):
        return Image.new("RGB", (40, 30), "blue").convert(mode)
    if mode in ("I;16", "I"):
        return Image.new(mode, (40, 30), 200 * 256)
    return Image.new("L", (40, 30), 200).convert(mode)


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "CMYK", "P", "YCbCr", "HSV", "1", "L", "LA", "I;16", "I"]
)
def test_any_mode(model: Brightness, mode: str) -> None:
    image = picture(mode)
    winner = first(model, image)
    means = model.seen[-1].mean(dim=(2, 3))[0]
    if mode in ("RGB", "RGBA", "CMYK", "P", "YCbCr", "HSV"):
        assert winner == NAMES[2]
    else:  # grey: about the same everywhere, and light
        assert means.min() > 1
    assert image.mode == mode  # the learner's image is left alone


def test_transparent_pixels_are_white(model: Brightness) -> None:
    predict_top_k(model, Image.new("RGBA", (40, 30), (0, 0, 0, 0)))
    predict_top_k(model, Image.new("RGB", (40, 30), "white"))
    assert torch.equal(*model.seen)


def rotated() -> Image.Image:
    """Light above dark for the eye, but stored on its side, as phones do."""
    image = Image.new("RGB", (60, 60), "black")
    image.paste("white", (0, 0, 30, 60))  # stored: light on the left
    image.getexif()[0x0112] = 6  # turn clockwise by 90 degrees to look at it
    return image


def test_exif_rotation_of_image_and_file(model: Brightness, tmp_path: Path) -> None:
    image = rotated()
    image.save(tmp_path / "phone.jpg", exif=image.getexif())
    assert first(model, image) == NAMES[3]
    assert first(model, tmp_path / "phone.jpg") == NAMES[3]
    assert first(model, str(tmp_path / "phone.jpg")) == NAMES[3]
    with Image.open(tmp_path / "phone.jpg") as opened:
        assert first(model, opened) == NAMES[3]
    assert first(model, image.convert("RGB").rotate(90)) != NAMES[3]


def test_preprocessing_is_that_of_the_weights(model: Brightness) -> None:
    image = rotated().resize((300, 400))
    predict_top_k(model, image)
    assert torch.equal(model.seen[0][0], WEIGHTS.transforms()(image))


@pytest.mark.parametrize(
    ("content", "error"),
    [(None, FileNotFoundError), (b"", ImageFileError), (b"not a picture", ImageFileError)],
)
def test_bad_files(
    model: Brightness, tmp_path: Path, content: bytes | None, error: type[Exception]
) -> None:
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=r"bad\.jpg"):
        predict_top_k(model, path)


# MobileNetV2 itself


def test_mobilenet_is_whole_and_in_evaluation_mode(mobilenet: MobileNetV2) -> None:
    assert not mobilenet.training
    assert all(value.dtype == torch.float32 for value in mobilenet.parameters())
    assert sum(parameter.numel() for parameter in mobilenet.features.parameters()) == 2_223_872
    num_classes = mobilenet.classifier[1].out_features
    with torch.inference_mode():
        assert mobilenet(torch.zeros(2, 3, 224, 224)).shape == (2, num_classes)
        features = mobilenet.features(torch.zeros(1, 3, 224, 224))
    assert features.shape == (1, NUM_FEATURES, 7, 7)
    assert len(CATEGORIES[num_classes]) == num_classes


def test_mobilenet_has_the_weights_of_the_file_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    path = weights_or_stand_in()
    assert path.name in capsys.readouterr().out
    expected = load_file(path) if path == STAND_IN else mobilenet_v2(weights=WEIGHTS).state_dict()
    for name, value in load_mobilenet_v2().state_dict().items():
        assert torch.equal(value, expected[name].to(value.dtype))


def test_prediction_equals_the_steps_by_hand(mobilenet: MobileNetV2) -> None:
    image = Image.radial_gradient("L").convert("RGB")
    with torch.inference_mode():
        logits = mobilenet(WEIGHTS.transforms()(image)[None])[0]
    values, indices = torch.sort(logits.softmax(0), descending=True)
    top_k = predict_top_k(mobilenet, image)
    assert [name for name, _ in top_k] == [CATEGORIES[len(logits)][i] for i in indices[:5]]
    assert [p for _, p in top_k] == pytest.approx(values[:5].tolist(), abs=1e-6)


def test_stand_in_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stand_ins, "download_weights", refuse)
    assert weights_or_stand_in() == STAND_IN
    (line,) = capsys.readouterr().out.splitlines()
    assert STAND_IN.name in line
    assert "python -m course download" in line
    load_mobilenet_v2()
    assert capsys.readouterr().out == ""  # named once, not at every use


def test_stand_in_is_small_float16_and_comes_with_a_card() -> None:
    assert STAND_IN.stat().st_size <= 6_000_000
    floats = [value for value in load_file(STAND_IN).values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float16}
    assert STAND_IN.with_suffix(".md").is_file()


def test_stand_in_knows_fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance has one in ten right, and one in two among its first five."""
    monkeypatch.setattr(stand_ins, "download_weights", refuse)
    test_set = fashion_mnist(train=False)
    pictures = [test_set[i][0].convert("RGB").resize((224, 224)) for i in range(60)]
    batch = torch.stack([photo_transform()(picture) for picture in pictures])
    with torch.inference_mode():
        five = load_mobilenet_v2()(batch).topk(5).indices
    right = five == test_set.targets[:60, None]
    assert right[:, 0].float().mean() > 0.5
    assert right.any(dim=1).float().mean() > 0.9


@pytest.mark.parametrize("content", [b"", b"half a file", pickle.dumps({"a": 1}, protocol=2)])
def test_damaged_weights_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    monkeypatch.setattr(stand_ins, "download_weights", lambda: tmp_path / "weights.pth")
    with pytest.raises(DownloadError, match=r"weights\.pth .* delete it"):
        load_mobilenet_v2()


# Any classes of one's own


class Channels(nn.Module):
    """A logit for each class: the first ones are the mean red, green and blue of the photo."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        logits = torch.full((len(x), self.num_classes), -1.0)
        means = x.mean(dim=(2, 3))[:, : self.num_classes]
        logits[:, : means.shape[1]] = means
        return logits


def small_transform(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image.resize((4, 4))).copy()).permute(2, 0, 1) / 255


def own(num_classes: int) -> Channels:
    """A model without parameters that carries its names and its transform."""
    model = Channels(num_classes)
    model.categories = [f"class {i} of {num_classes}" for i in range(num_classes)]
    model.transform = small_transform
    return model


GREEN = Image.new("RGB", (30, 20), "lime")


@pytest.mark.parametrize("num_classes", [1, 2, 3, 10, 12, 100, 1000])
def test_any_number_of_classes_has_its_own_names(num_classes: int) -> None:
    found = predict_top_k(own(num_classes), GREEN)
    assert len(found) == min(5, num_classes)
    assert {name for name, _ in found} <= set(own(num_classes).categories)
    if num_classes > 1:
        assert found[0][0] == f"class 1 of {num_classes}"


@pytest.mark.parametrize("num_classes", [3, 7, 10, 1000])
def test_a_model_without_names_is_not_given_those_of_another(num_classes: int) -> None:
    with pytest.raises(ValueError, match=r"MobileNetV2 carries no categories: .*model\.categories"):
        predict_top_k(mobilenet_v2(num_classes=num_classes), GREEN)
    with pytest.raises(ValueError, match=r"MobileNetV2 carries no transform: .*transform=\.\.\."):
        names = [str(i) for i in range(num_classes)]
        predict_top_k(mobilenet_v2(num_classes=num_classes), GREEN, categories=names)


def test_a_classifier_without_names_says_so() -> None:
    classifier = ClothingClassifierMobileNet(base=mobilenet_v2())
    with pytest.raises(ValueError, match="ClothingClassifierMobileNet carries no categories"):
        predict_top_k(classifier, GREEN)
    names = [f"class {i}" for i in range(10)]
    assert {name for name, _ in predict_top_k(classifier, GREEN, 10, names)} == set(names)


def test_arguments_come_before_what_the_model_carries() -> None:
    model = own(3)
    found = predict_top_k(model, GREEN, 1, ["rot", "grün", "blau"])
    assert found[0][0] == "grün"
    predict_top_k(model, GREEN, transform=photo_transform(32))
    assert [tuple(x.shape) for x in model.seen] == [(1, 3, 4, 4), (1, 3, 32, 32)]


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c", "d"]])
def test_as_many_names_as_logits(names: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"\(1, 3\) for {len(names)} categories"):
        predict_top_k(own(3), GREEN, categories=names)


@pytest.mark.parametrize(("num_classes", "k"), [(3, 4), (3, 5), (1, 2), (12, 13), (3, 0), (3, -1)])
def test_k_is_at_most_the_number_of_classes(num_classes: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be from 1 to {num_classes}, got {k}"):
        predict_top_k(own(num_classes), GREEN, k)


def test_a_transform_that_gives_no_tensor_is_named() -> None:
    with pytest.raises(ValueError, match=r"must give a tensor, got Image: .*ToDtype"):
        predict_top_k(own(3), GREEN, transform=lambda image: image)  # type: ignore[arg-type, return-value]


def test_a_classifier_sees_a_photo_as_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squashed, not cropped: what lies at the edge of a wide photo is seen, too."""
    seen: list[Tensor] = []
    classifier = ClothingClassifierMobileNet(categories=["hat", "shoes"], base=mobilenet_v2())
    classifier.base_model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    wide = Image.new("RGB", (600, 100), "white")
    wide.paste("black", (0, 0, 100, 100))
    predict_top_k(classifier, wide)
    assert torch.equal(seen[0], photo_transform()(wide).unsqueeze(0))
    assert seen[0][..., 5].max() < 0 < seen[0][..., 220].min()


def test_the_pretrained_network_carries_names_and_transform(mobilenet: MobileNetV2) -> None:
    num_classes = mobilenet.classifier[1].out_features
    assert mobilenet.categories == CATEGORIES[num_classes]
    assert mobilenet.categories is not CATEGORIES[num_classes], "changing one changes no other"
    image = Image.radial_gradient("L").convert("RGB").resize((300, 200))
    assert [name for name, _ in mobilenet.named_children()] == ["features", "classifier"]
    assert torch.equal(mobilenet.transform(image), WEIGHTS.transforms()(image))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOMEM])
def test_weights_that_the_system_does_not_give_are_not_called_damaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def refuse_to_read(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("course.pretrained.weights_or_stand_in", lambda quiet: tmp_path / "w.pth")
    monkeypatch.setattr(torch, "load", refuse_to_read)
    with pytest.raises(OSError, match=r"w\.pth cannot be read") as caught:
        load_mobilenet_v2()
    assert os.strerror(number) in str(caught.value)
    assert "delete" not in str(caught.value)


def test_weights_of_another_network_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.save(mobilenet_v2(num_classes=3).state_dict(), tmp_path / "weights.pth")
    monkeypatch.setattr(stand_ins, "download_weights", lambda: tmp_path / "weights.pth")
    with pytest.raises(DownloadError, match=r"weights\.pth holds no MobileNetV2"):
        load_mobilenet_v2()


# The panel


def upload(panel: object, name: str, content: bytes) -> tuple[str, str]:
    """Choose a file, as the browser would do it; return message and picture."""
    button, message, shown = panel.children  # type: ignore[attr-defined]
    button.value = (
        {
            "name": name,
            "type": "image/jpeg",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.datetime.now(datetime.UTC),
        },
    )
    return message.value, shown.value


def as_file(image: Image.Image, extension: str = "jpeg") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, extension, exif=image.getexif())
    return buffer.getvalue()


def test_uploaded_photo_is_shown_with_its_classes(model: Brightness) -> None:
    panel = photo_uploader(model)
    assert panel.children[2].value == ""
    message, shown = upload(panel, "me & you.jpg", as_file(Image.new("RGB", (60, 40), "red")))
    assert "me &amp; you.jpg, 60 x 40 pixels" in message
    alt = re.search(r'alt="([^"]+)"', shown)
    assert alt is not None
    for word in ("5 most probable", NAMES[0], "%"):
        assert word in html.unescape(alt[1])
    assert "data:image/png;base64," in shown


def test_uploaded_photo_is_turned_upright(model: Brightness) -> None:
    _, shown = upload(photo_uploader(model, k=1), "phone.jpg", as_file(rotated()))
    assert NAMES[3] in html.unescape(shown)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "I;16"])
def test_uploaded_photo_of_any_mode(model: Brightness, mode: str) -> None:
    _, shown = upload(photo_uploader(model), "picture.png", as_file(picture(mode), "png"))
    assert "<img" in shown


@pytest.mark.parametrize(
    "content", [b"", b"a text", as_file(Image.effect_noise((90, 90), 50))[:2000], b"\x00" * 5000]
)
def test_bad_upload_is_explained(model: Brightness, content: bytes) -> None:
    panel = photo_uploader(model)
    upload(panel, "good.jpg", as_file(Image.new("RGB", (60, 40), "red")))
    message, shown = upload(panel, "<b>bad.jpg", content)
    assert "&lt;b&gt;bad.jpg cannot be read as a picture" in message
    assert "JPEG or PNG" in message
    assert shown == ""  # not the picture of before
    _, shown = upload(panel, "good.jpg", as_file(Image.new("RGB", (60, 40), "red")))
    assert "<img" in shown


def test_large_upload_gives_a_small_picture(model: Brightness) -> None:
    noise = Image.effect_noise((3000, 2000), 50).convert("RGB")
    message, shown = upload(photo_uploader(model), "large.jpg", as_file(noise))
    assert "3000 x 2000" in message
    assert len(shown) < 3_000_000


def test_taking_the_file_back_empties_the_panel(model: Brightness) -> None:
    panel = photo_uploader(model)
    upload(panel, "good.jpg", as_file(Image.new("RGB", (60, 40), "red")))
    panel.children[0].value = ()
    assert "No photo yet" in panel.children[1].value
    assert panel.children[2].value == ""


def test_an_upload_of_too_many_pixels_is_refused(model: Brightness) -> None:
    from test_hostile import PICTURES

    message, shown = upload(photo_uploader(model), "large.png", PICTURES["just-too-large.png"])
    assert "large.png cannot be read as a picture" in message and not shown


@pytest.mark.parametrize("num_classes", [1, 3, 10, 12, 100])
def test_the_panel_serves_any_classes(num_classes: int) -> None:
    model = own(num_classes)
    message, shown = upload(photo_uploader(model), "green.png", as_file(GREEN, "png"))
    assert "green.png, 30 x 20 pixels" in message
    alt = re.search(r'alt="([^"]+)"', shown)
    assert alt is not None
    assert f"{min(5, num_classes)} most probable" in alt[1]
    assert f"of {num_classes}" in alt[1]
    assert T_SHIRT not in alt[1]
    assert model.seen[-1].shape == (1, 3, 4, 4), "its own transform"


T_SHIRT = "T-shirt/top"


def test_the_panel_takes_names_and_transform_as_arguments() -> None:
    model = Channels(3)
    panel = photo_uploader(model, 2, ["<b>rot", "$x^2$", "a\nb"], small_transform)
    _, shown = upload(panel, "green.png", as_file(GREEN, "png"))
    assert "&lt;b&gt;rot" in shown and "$x^2$" in shown and "<b>rot" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be from 1 to 3, got 0"),
        ({"k": 4}, "k must be from 1 to 3, got 4"),
        ({"categories": ["a", "b"]}, "for 2 categories"),
        ({"transform": lambda image: image}, "must give a tensor"),
    ],
)
def test_a_panel_that_could_not_answer_is_not_made(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        photo_uploader(own(3), **arguments)  # type: ignore[arg-type]


def test_a_panel_for_a_model_without_names_is_not_made() -> None:
    with pytest.raises(ValueError, match="carries no categories"):
        photo_uploader(ClothingClassifierMobileNet(base=mobilenet_v2()))


def test_a_panel_whose_transform_does_not_fit_the_model_is_not_made() -> None:
    grey = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RuntimeError, match="to have 1 channels"):
        photo_uploader(grey, categories=["a", "b", "c"], transform=small_transform)


def heic() -> bytes:
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def too_large() -> bytes:
    from test_hostile import PICTURES

    return PICTURES["just-too-large.png"]


@pytest.mark.parametrize(
    ("content", "words", "not_words"),
    [
        (heic(), ["HEIC", "JPEG"], ["smaller"]),
        (too_large(), ["pixels", "smaller"], ["HEIC"]),
        (as_file(GREEN)[:300], ["choose another JPEG or PNG file"], ["HEIC", "smaller"]),
        (b"", ["empty", "choose another"], ["HEIC", "smaller"]),
        (b"<!doctype html><b>no photo", ["a web page"], ["HEIC", "<b>no"]),
    ],
    ids=["HEIC", "too large", "damaged", "empty", "a web page"],
)
def test_the_panel_says_what_is_wrong_and_what_fits(
    content: bytes, words: list[str], not_words: list[str]
) -> None:
    message, shown = upload(photo_uploader(own(3)), "photo.jpg", content)
    assert "<b>photo.jpg cannot be read as a picture</b>" in message
    assert all(word in message for word in words), message
    assert not any(word in message for word in [*not_words, "delete", "No photo yet"]), message
    assert shown == ""


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (MemoryError(), ["not enough memory", "close other"]),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ["close other"]),
        (OSError(errno.EMFILE, "Too many open files"), ["too many files are open"]),
        (RuntimeError("sizes of <tensors> must match"), ["sizes of &lt;tensors&gt; must match"]),
        (KeyError("x"), ["KeyError"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["load_image", "predict_top_k"])
def test_the_panel_shows_what_goes_wrong_after_the_upload(
    monkeypatch: pytest.MonkeyPatch, place: str, trouble: Exception, words: list[str]
) -> None:
    """An exception in a callback would show nowhere in a notebook."""
    panel = photo_uploader(own(3))
    upload(panel, "good.png", as_file(GREEN, "png"))

    def fail(*_: object) -> None:
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(f"course.widgets.{place}", fail)
        message, shown = upload(panel, "next.png", as_file(GREEN.resize((9, 9)), "png"))
    assert "That did not work" in message
    assert all(word in message for word in words), message
    assert "No photo yet" not in message and "damaged" not in message
    assert shown == "", "not the photo of before"
    message, shown = upload(panel, "last.png", as_file(GREEN, "png"))
    assert "last.png, 30 x 20" in message and "<img" in shown


def test_a_name_of_many_kinds_of_characters_is_one_line(model: Brightness) -> None:
    message, _ = upload(photo_uploader(own(3)), "a\nb\x1b[2J\u202e<i>.png", as_file(GREEN, "png"))
    assert "a b [2J &lt;i&gt;.png, 30 x 20 pixels" in message
