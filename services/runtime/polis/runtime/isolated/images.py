"""Images: smaller ones, without what a camera says of place and time."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from polis.runtime.isolated.unfit import Unfit

MAX_PIXELS = 50_000_000
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")


def thumbnail(content: bytes, width: int, height: int, kind: str) -> dict[str, object]:
    """The first picture of an image, turned upright, that fits into width and height: `content`, `width`, `height`."""
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # judged here, before anything is unpacked
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Unfit("image.too_large", f"over {MAX_PIXELS:,} pixels")
            image.draft("RGB", (width * 2, height * 2))
            image.thumbnail((max(width, height) * 2,) * 2)
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((width, height))
            out = io.BytesIO()
            _mode(upright, kind).save(out, kind, quality=85)
    except UnidentifiedImageError:
        raise Unfit("image.none", f"this is no image of {', '.join(_FORMATS)}") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError) as error:
        raise Unfit("image.damaged", f"the image cannot be read ({type(error).__name__})") from None
    return {"content": out.getvalue(), "width": upright.width, "height": upright.height}


def _mode(image: Image.Image, kind: str) -> Image.Image:
    """Without metadata, in a mode that the format has."""
    plain = image.convert("RGB" if kind == "JPEG" else "RGBA")
    plain.info.clear()
    return plain
