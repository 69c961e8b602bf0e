"""Generate a demo folder under data/raw: `python -m gaia.stages.demo demo_plants`"""

import sys
from typing import Annotated

from pydantic import Field, ValidationError

from gaia import paths
from gaia.config import yaml
from gaia.config.schema import Strict
from gaia.config.sentences import problems
from gaia.config.values import Share
from gaia.demo import write_photos, write_table
from gaia.errors import GaiaError, nearest, shown
from gaia.stages.process import run


class DemoTable(Strict):
    """A table of cultures: `count` rows."""

    bucket: paths.Bucket  # for dvc.yaml
    kind: str
    count: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    label_noise: Share


class DemoPhotos(DemoTable):
    """`count` photos whose longer side has `size` px."""

    size: Annotated[int, Field(ge=16)]


KINDS: dict[str, type[DemoTable]] = {"plants": DemoPhotos, "bags": DemoPhotos, "cultures": DemoTable}


def demo(name: str) -> None:
    """Write data/raw/<name> as `demo:` in params.yaml describes it; files that aren't ours stay.

    Raises GaiaError if the description is wrong.
    """
    asked = _described(name)
    if isinstance(asked, DemoPhotos):
        from gaia.demo import bags, plants

        drawn = {"plants": plants, "bags": bags}[asked.kind]
        write_photos(paths.raw(name), drawn.draw, drawn.LABELS, asked.count, asked.size, asked.seed, asked.label_noise)
    else:
        write_table(paths.raw(name), asked.count, asked.seed, asked.label_noise)


def _described(name: str) -> DemoTable:
    folders = yaml.read(paths.PARAMS).get("demo")
    if not isinstance(folders, dict) or not folders:
        raise GaiaError(f"params.yaml: demo is {shown(folders)}", "it should hold an entry for each demo folder")
    if name not in folders:
        raise GaiaError(f"params.yaml: demo.{name} is missing", f"the demo folders are {', '.join(folders)}")
    here, described = f"params.yaml: demo.{name}", folders[name]
    if not isinstance(described, dict):
        raise GaiaError(f"{here} is {shown(described)}", "it should hold keys such as kind, count and seed")
    kind = described.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        found = f"is {shown(kind)}" if "kind" in described else "is missing"
        raise GaiaError(f"{here}.kind {found}", f"the kinds are {', '.join(KINDS)}{nearest(kind, KINDS)}")
    try:
        return KINDS[kind].model_validate(described)
    except ValidationError as error:
        find = lambda *keys: ("params.yaml", yaml.dotted(("demo", name, *keys)))  # noqa: E731
        raise GaiaError.several(problems(error.errors(), KINDS[kind], find)) from None


if __name__ == "__main__":
    run(demo, *sys.argv[1:])
