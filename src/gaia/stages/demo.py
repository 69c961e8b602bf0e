"""Generate a demo folder under data/raw: `python -m gaia.stages.demo demo_plants`"""

import sys
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gaia import paths
from gaia.config import yaml
from gaia.config.schema import Share, Strict
from gaia.demo import write_photos, write_table
from gaia.errors import GaiaError, exit_with_a_sentence


class DemoTable(Strict):
    """A table of cultures: `count` rows."""

    bucket: paths.Bucket  # for dvc.yaml
    kind: Literal["cultures"]
    count: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    label_noise: Share


class DemoPhotos(DemoTable):
    """`count` photos whose longer side has `size` px."""

    kind: Literal["plants", "bags"]  # type: ignore[assignment]
    size: Annotated[int, Field(ge=16)]


def demo(name: str) -> None:
    """Write data/raw/<name> as `demo:` in params.yaml describes it; files that aren't ours stay.

    Raises GaiaError if the description is wrong.
    """
    described = yaml.read(paths.PARAMS).get("demo") or {}
    if name not in described:
        raise GaiaError(f"params.yaml: demo.{name} is missing; the demo folders are {', '.join(described)}.")
    try:
        asked: DemoTable = TypeAdapter(DemoPhotos | DemoTable).validate_python(described[name])
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(str(part) for part in wrong["loc"][1:])
        raise GaiaError(f"params.yaml: demo.{name}.{key}: {wrong['msg']}.") from None
    if isinstance(asked, DemoPhotos):
        from gaia.demo import bags, plants

        drawn = {"plants": plants, "bags": bags}[asked.kind]
        write_photos(paths.raw(name), drawn.draw, drawn.LABELS, asked.count, asked.size, asked.seed, asked.label_noise)
    else:
        write_table(paths.raw(name), asked.count, asked.seed, asked.label_noise)


if __name__ == "__main__":
    exit_with_a_sentence(demo, *sys.argv[1:])
