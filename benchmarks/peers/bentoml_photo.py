"""BentoML: `bentoml serve bentoml_photo:Photo --port PORT`"""

import os
from pathlib import Path

import bentoml
import photo


@bentoml.service(workers=int(os.environ.get("WORKERS", "2")), metrics={"enabled": False})
class Photo:
    def __init__(self) -> None:
        self.session = photo.opened()

    @bentoml.api(route="/predict")
    def predict(self, content: Path) -> list[float]:
        return photo.answer(self.session, content.read_bytes())
