"""The `data` part of a recipe."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from hwprune.data.split import FractionSplit, Split

Side = Annotated[int, Field(ge=8, le=4096)]
ImageSize = Annotated[
    tuple[Side, Side],
    Field(description="Height and width of the network's input in pixels; what sizes it takes, the network says."),
]
SceneSide = Annotated[int, Field(ge=32, le=4096)]
SceneSize = Annotated[tuple[SceneSide, SceneSide], Field(description="As image_size elsewhere; a scene needs 32.")]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AugmentConfig(_Config):
    """Random changes to the training images, drawn anew each epoch; 0 or false turns one off."""

    jitter: Annotated[
        float, Field(ge=0, lt=1, description="Brightness, contrast and saturation vary by up to this share.")
    ] = 0.3
    hue: Annotated[float, Field(ge=0, le=0.5, description="Hue turns by up to this share of the colour circle.")] = 0.03
    scale: Annotated[
        float, Field(ge=0, le=1, description="Objects grow to up to 1 + scale times, or shrink to 1 / (1 + scale).")
    ] = 0.2
    translate: Annotated[
        float, Field(ge=0, lt=1, description="The image moves by up to this share of its width and height.")
    ] = 0.1
    rotate: Annotated[
        float, Field(ge=0, le=45, description="The image turns by up to this many degrees; boxes grow to enclose.")
    ] = 0
    flip: Annotated[bool, Field(description="Mirror every second image left to right.")] = False
    distort: Annotated[
        bool,
        Field(
            description="SSD's photometric distortion: brightness, contrast, saturation, hue and the order of the "
            "channels, each in every second image. Jitter and hue come on top: turn them off with it."
        ),
    ] = False
    zoom_out: Annotated[
        float,
        Field(
            ge=0,
            le=9,
            description="SSD's zoom out: every second image is placed at random on a grey canvas with sides of up to "
            "1 + zoom_out times its own, and that shrunk to the image's size; the paper has 3.",
        ),
    ] = 0
    crop: Annotated[
        bool,
        Field(
            description="SSD's zoom in: the whole image, or a patch of 0.3 to 1 of its sides that holds the centre of "
            "an object and overlaps one by an IoU of at least 0, 0.1, 0.3, 0.5, 0.7 or 0.9; enlarged to the image's "
            "size."
        ),
    ] = False


class _DigitsConfig(_Config):
    seed: Annotated[int, Field(ge=0, description="Another seed makes other images.")] = 0
    # No jitter: the images' colours are random as they are, and geometry is what helps.
    augment: AugmentConfig = AugmentConfig(jitter=0, hue=0)

    @field_validator("augment")
    @classmethod
    def _digits_keep_their_sides(cls, augment: AugmentConfig) -> AugmentConfig:
        if augment.flip:
            raise ValueError("flip must be false for digits: a mirrored digit is none")
        return augment


class DigitsData(_DigitsConfig):
    """Scenes of handwritten digits, made here: no download."""

    labels: ClassVar[Literal["boxes"]] = "boxes"
    source: Literal["digits"] = "digits"
    image_size: SceneSize = (96, 96)
    train: Annotated[PositiveInt, Field(description="Number of training images.")] = 1500
    val: Annotated[PositiveInt, Field(description="Number of validation images.")] = 200


class _FolderData(_Config):
    path: Annotated[Path, Field(description="Folder of the data set; absolute, or relative to the recipe's folder.")]
    image_size: ImageSize = (416, 416)
    split: Split = FractionSplit()
    cache_mib: Annotated[
        int, Field(ge=0, description="MiB of decoded images kept in memory; the rest is decoded at each access.")
    ] = 4096
    augment: AugmentConfig = AugmentConfig()


ClassNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class YoloData(_FolderData):
    """Images with YOLO text labels, a line an object: class, then centre and size as shares of the image."""

    labels: ClassVar[Literal["boxes"]] = "boxes"
    source: Literal["yolo"]
    classes: Annotated[
        ClassNames | None,
        Field(description="Names of classes 0, 1, ...; by default read from data.yaml, classes.txt or obj.names."),
    ] = None

    @field_validator("classes")
    @classmethod
    def _names_differ(cls, classes):
        return _distinct(classes)


class VocData(_FolderData):
    """Images with PASCAL VOC annotations, an XML file an image."""

    labels: ClassVar[Literal["boxes"]] = "boxes"
    source: Literal["voc"]
    classes: Annotated[
        ClassNames | None,
        Field(description="Classes to detect, in the order of their labels; by default all found, sorted by name."),
    ] = None
    difficult: Annotated[bool, Field(description="Keep the objects marked as difficult.")] = False

    @field_validator("classes")
    @classmethod
    def _names_differ(cls, classes):
        return _distinct(classes)


def _needs_no_boxes(augment: AugmentConfig) -> AugmentConfig:
    if augment.crop:
        raise ValueError("crop must be false where images have no boxes: it keeps patches by what they hold")
    return augment


class FoldersData(_FolderData):
    """Images for classification: the folder that an image lies in is named as its class."""

    labels: ClassVar[Literal["classes"]] = "classes"
    source: Literal["folders"]
    image_size: ImageSize = (224, 224)
    classes: Annotated[
        ClassNames | None,
        Field(description="Folders to use, in the order of their labels; by default all that hold images, by name."),
    ] = None

    @field_validator("classes")
    @classmethod
    def _names_differ(cls, classes):
        return _distinct(classes)

    @field_validator("augment")
    @classmethod
    def _whole_images(cls, augment: AugmentConfig) -> AugmentConfig:
        return _needs_no_boxes(augment)


class Cifar10Data(_Config):
    """CIFAR-10, unpacked: batches of the Python or the binary archive, or sheets (PNG) with labels (JSON)."""

    labels: ClassVar[Literal["classes"]] = "classes"
    source: Literal["cifar10"]
    path: Annotated[Path, Field(description="Folder of the batches; absolute, or relative to the recipe's folder.")]
    image_size: ImageSize = (32, 32)
    train: Annotated[PositiveInt, Field(description="Number of training images, the first ones.")] = 45000
    val: Annotated[PositiveInt, Field(description="Number of validation images, the last of the training batches.")] = (
        5000
    )
    test: Annotated[
        bool, Field(description="Validate on the first of the test batch instead: for final figures, not for choices.")
    ] = False
    # Shifts by up to an eighth, 4 pixels, and mirror images are the usual augmentation of CIFAR-10.
    augment: AugmentConfig = AugmentConfig(jitter=0, hue=0, scale=0, translate=0.125, flip=True)

    @field_validator("augment")
    @classmethod
    def _whole_images(cls, augment: AugmentConfig) -> AugmentConfig:
        return _needs_no_boxes(augment)


class DigitImagesData(_DigitsConfig):
    """Images of one handwritten digit each, on cluttered backgrounds, made here: classification without a download."""

    labels: ClassVar[Literal["classes"]] = "classes"
    source: Literal["digit_images"]
    image_size: SceneSize = (32, 32)
    train: Annotated[PositiveInt, Field(description="Number of training images.")] = 4000
    val: Annotated[PositiveInt, Field(description="Number of validation images.")] = 1000

    @field_validator("augment")
    @classmethod
    def _whole_images(cls, augment: AugmentConfig) -> AugmentConfig:
        return _needs_no_boxes(augment)


def _distinct(classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if classes:
        twice = sorted({name for name in classes if classes.count(name) > 1})
        if twice:
            raise ValueError(f"classes named twice: {', '.join(twice)}")
    return classes


FilesData = YoloData | VocData | FoldersData
DataConfig = Annotated[
    DigitsData | YoloData | VocData | DigitImagesData | FoldersData | Cifar10Data, Field(discriminator="source")
]
