"""What every peer does with a photo: Pillow reads it, centred and scaled, and the ONNX file answers, in one thread."""

import io
import os

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SIZE = int(os.environ.get("SIZE", "64"))


def opened() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ["MODEL"], options)


def answer(session: onnxruntime.InferenceSession, content: bytes) -> list[float]:
    image = Image.open(io.BytesIO(content))
    image.draft("RGB", (2 * SIZE, 2 * SIZE))
    pixels = np.asarray(ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Image.Resampling.BILINEAR))
    return session.run(None, {"photos": pixels[None]})[0][0].tolist()
