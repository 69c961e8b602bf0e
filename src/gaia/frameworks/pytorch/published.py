"""Where torchvision's weights are published."""

from __future__ import annotations

import re

from torchvision.models import get_model_weights

from gaia.config.schema import PhotoLine
from gaia.frameworks.protocol import Published


def published(config: PhotoLine) -> Published:
    """The file of a member of torchvision's enumeration, whose name ends in the first digits of its sha256."""
    found = get_model_weights(config.model.target.rpartition(".")[2])[str(config.model.start)]
    name = found.url.rpartition("/")[2]
    digest = re.search(r"-([0-9a-f]{8,})\.", name)  # torch.hub reads it so
    return Published(name, found.url, found.meta.get("license"), digest and digest[1])
