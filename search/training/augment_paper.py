"""The augmentation of Hu et al. section 3.2: MoCo v2's set, a milder crop and a rotation, on uint8 images.

Images are grey (h, w) or RGB (h, w, 3) uint8; the answer is of the same kind. All chance comes from the generator
given, so the same generator state gives the same picture. On a grey image colour jitter is brightness and contrast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
WHITE = 255


@dataclass(frozen=True, slots=True)
class PaperAugmentation:
    """One random view, side x side pixels. The probabilities and ranges are the paper's and MoCo v2's.

    Reading: the rotation comes first, in white and on the whole mark (same canvas), so that the corners it uncovers are
    background before the crop and take the same colour changes as the rest.
    """

    side: int = 160
    scale: tuple[float, float] = (0.5, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    rotation: float = 0.15
    degrees: float = 90.0
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)
    flip: float = 0.5

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        if rng.random() < self.rotation:
            image = rotate(image, rng.uniform(-self.degrees, self.degrees))
        top, left, height, width = crop_box(image.shape[0], image.shape[1], rng, scale=self.scale, ratio=self.ratio)
        image = resize(image[top : top + height, left : left + width], self.side)
        if rng.random() < self.jitter:
            image = self._jittered(image, rng)
        if rng.random() < self.grey and image.ndim == 3:
            image = adjust_saturation(image, 0.0)
        if rng.random() < self.blur:
            image = blur(image, rng.uniform(*self.sigma))
        if rng.random() < self.flip:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)

    def two_views(self, image: Image, rng: np.random.Generator) -> tuple[Image, Image]:
        """Query and key of one mark."""
        return self(image, rng), self(image, rng)

    def _jittered(self, image: Image, rng: np.random.Generator) -> Image:
        """Brightness, contrast, saturation and hue, in random order."""
        factors = [1 + rng.uniform(-a, a) for a in (self.brightness, self.contrast, self.saturation)]
        turn = rng.uniform(-self.hue, self.hue)
        for which in rng.permutation(4):
            if which == 0:
                image = adjust_brightness(image, factors[0])
            elif which == 1:
                image = adjust_contrast(image, factors[1])
            elif image.ndim == 3:
                image = adjust_saturation(image, factors[2]) if which == 2 else adjust_hue(image, turn)
        return image


def crop_box(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    scale: tuple[float, float] = (0.5, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a random crop: `scale` of the area, sides in `ratio`, drawn log-uniformly.

    Ten draws; if none fits the image, the whole of it.
    """
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return 0, 0, height, width


def resize(image: Image, side: int) -> Image:
    """To side x side: area means where it shrinks, bilinear where it grows."""
    shrinks = image.shape[0] > side and image.shape[1] > side
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def rotate(image: Image, degrees: float) -> Image:
    """About the centre, counter-clockwise, on the same canvas, white where nothing was."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(WHITE, WHITE, WHITE),
    )
    return np.asarray(turned, np.uint8)


def adjust_brightness(image: Image, factor: float) -> Image:
    """Blend with black: factor 0 is black, 1 the image."""
    return _scaled(image, factor, 0.0)


def adjust_contrast(image: Image, factor: float) -> Image:
    """Blend with the mean grey level: factor 0 is flat, 1 the image."""
    mean = float((cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image).mean())
    return _scaled(image, factor, (1 - factor) * mean)


def adjust_saturation(image: Image, factor: float) -> Image:
    """Blend an RGB image with its own grey image: factor 0 is grey, 1 the image."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, factor, grey, 1 - factor, 0.0), np.uint8)


def adjust_hue(image: Image, turn: float) -> Image:
    """Turn the hue of an RGB image by a share of the circle (-0.5 .. 0.5), in steps of 2 degrees."""
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), np.uint8)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + round(turn * 180)) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur, sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _scaled(image: Image, factor: float, shift: float) -> Image:
    """factor * image + shift through a table of 256 levels, rounded and cut to 0..255."""
    table = np.clip(np.rint(factor * np.arange(256) + shift), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)
