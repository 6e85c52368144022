"""Encode films of images: looping GIF, APNG and WebP by Pillow, MP4 by PyAV."""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from gancli.machine.extras import required
from gancli.sampling import embedding, rendering
from gancli.sampling.stamping import PLAIN, Stamp

FRAME_MILLISECONDS = 40
"""Time that a film shows a frame."""
FORMS: dict[str, dict[str, Any]] = {
    "gif": {"format": "GIF"},
    "apng": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
}
"""Formats that Pillow writes, each with its options; ``mp4`` is the other one. GIF has 256 colours, MP4 a loss."""
X264 = {"crf": "12", "preset": "medium", "threads": "1"}
"""Options of the video's encoder: a loss that is hard to see; one thread, so that equal films are equal files."""


def shown(images: Tensor, stamp: Stamp = PLAIN) -> Tensor:
    """The frames of a film, uint8 ``(N, C, H', W')``: images ``(N, C, H, W)`` `enlarged`, with the label."""
    return torch.stack([stamp.labelled(rendering.enlarged(image)) for image in images.cpu()])


def as_film(images: Tensor, form: str, stamp: Stamp = PLAIN) -> bytes:
    """The content of a film of uint8 images ``(N, C, H, W)``, 25 per second; all but an MP4 loop.

    Raises:
        UsageError: the format cannot hold the picture, or PyAV is missing.
    """
    frames = shown(images, stamp)
    if form == "mp4":
        content = _mp4(_as_rgb(frames))
        return content if stamp.mark is None else embedding.into_mp4(content, stamp.mark)
    options = FORMS[form] | {"save_all": True, "duration": FRAME_MILLISECONDS, "loop": 0}
    content = rendering.encoded([*frames], stamp.mark, **options)
    return embedding.into_gif(content, stamp.mark) if form == "gif" and stamp.mark is not None else content


def require(form: str) -> None:
    """Raise UsageError if the library of a format is missing."""
    if form == "mp4":
        required("av", "film", "an .mp4 file")


def _as_rgb(frames: Tensor) -> np.ndarray:
    """uint8 ``(N, H, W, 3)`` with even sides, which H.264 wants: the last row or column is repeated."""
    rgb = frames.expand(-1, 3, -1, -1) if frames.shape[1] == 1 else frames[:, :3]
    even = torch.nn.functional.pad(rgb.float(), (0, rgb.shape[3] % 2, 0, rgb.shape[2] % 2), "replicate").byte()
    return even.permute(0, 2, 3, 1).contiguous().numpy()


def _mp4(frames: np.ndarray) -> bytes:
    av, written = required("av", "film", "an .mp4 file"), io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1000 // FRAME_MILLISECONDS, options=X264)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return written.getvalue()


def is_mp4(content: bytes) -> bool:
    """True if a file's content begins as an MP4's does."""
    return content[4:8] == b"ftyp"


def frames_of_mp4(content: bytes) -> np.ndarray:
    """The frames of an MP4 file, uint8 ``(N, H, W, 3)``; UsageError without PyAV, ValueError for a damaged file."""
    av = required("av", "film", "an .mp4 file")
    try:
        with av.open(io.BytesIO(content)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"the video is damaged ({error})") from error


def frames_of(picture: Image.Image) -> np.ndarray:
    """The frames of an opened picture file, uint8 ``(N, H, W)`` or ``(N, H, W, C)``; a GIF's are RGB."""
    is_gif = picture.format == "GIF"
    frames = ImageSequence.Iterator(picture)
    return np.stack([np.asarray(frame.convert("RGB") if is_gif else frame) for frame in frames])
