"""What a composed configuration may say: the keys, their types and their ranges."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from gaia import paths
from gaia.config.framework import framework
from gaia.errors import shown


class Unfit(ValueError):
    """What a value says or does that it may not, to be read after its key; and what would do."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(f"{found}; {mend}")
        self.found, self.mend = found, mend


def _differ(classes: list[str]) -> list[str]:
    if twice := _twice(classes):
        raise Unfit(f"names '{twice}' twice", "each class needs a name of its own")
    return classes


def _twice(words: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((word for word in words if word in seen or seen.add(word)), None)  # type: ignore[func-returns-value]


def _separates(separator: str) -> str:
    if separator != "\t" and (len(separator) != 1 or not separator.isprintable() or separator in '" '):
        raise Unfit(f"is {shown(separator)}", "it should be one character, but no quote, space or line break")
    return separator


def _encodes(encoding: str) -> str:
    try:
        text = codecs.lookup(encoding)._is_text_encoding  # not base64, which Python has as a codec, too
    except (LookupError, ValueError):
        text = False
    if not text:
        raise Unfit(f"is {shown(encoding)}", "it should be an encoding of text that Python knows, such as utf-8")
    return encoding


def _without_nulls(columns: Any) -> Any:
    return {k: v for k, v in columns.items() if v is not None} if isinstance(columns, dict) else columns


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Field(min_length=1)]
Classes = Annotated[list[Text], Field(min_length=2), AfterValidator(_differ)]
Columns = Annotated[dict[str, Text], BeforeValidator(_without_nulls)]  # null takes one away that another file names


class Strict(BaseModel):
    """No unknown key, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Open(BaseModel):
    """A `_target_` and whatever arguments it takes; those are checked against its signature (targets.py)."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, populate_by_name=True)

    target: str = Field(alias="_target_")

    def arguments(self) -> dict[str, Any]:
        """The arguments for the target, as YAML gave them."""
        return dict(self.__pydantic_extra__ or {})


class Splits(Strict):
    validation: Annotated[float, Field(gt=0, lt=0.5)]
    test: Annotated[float, Field(gt=0, lt=0.5)]


class Data(Strict):
    splits: Splits
    classes: Classes | None
    min_per_class: Annotated[int, Field(ge=3)]
    max_quarantined: Share


class Photos(Data):
    kind: Literal["photos"]
    image_size: Annotated[int, Field(ge=16, le=1024)]
    framing: Literal["crop", "stretch"]
    near_duplicates: Annotated[int, Field(ge=0, le=64)]
    max_megapixels: Annotated[float, Field(gt=0)]
    min_side: Count


class Table(Data):
    kind: Literal["table"]
    label: Text
    categories: Columns
    numbers: Columns
    separator: Annotated[str, AfterValidator(_separates)]
    decimal: Literal[".", ","]
    encoding: Annotated[str, AfterValidator(_encodes)]

    @model_validator(mode="after")
    def _has_features(self) -> Table:
        if not self.categories and not self.numbers:
            raise Unfit("names no feature", "give at least one column in categories or in numbers")
        if both := _twice([*self.categories, *self.numbers]):
            raise Unfit(f"has '{both}' both in categories and in numbers", "keep one")
        if column := _twice([self.label, *self.categories.values(), *self.numbers.values()]):
            raise Unfit(f"uses the column '{column}' twice", "a column is one feature, or the label")
        return self


class Model(Open):
    pass


class NeuralModel(Open):
    weights: str | None


class Optimizer(Open):
    lr: Annotated[float, Field(gt=0, le=10)]


class Augmentation(Strict):
    flip: bool
    rotate: Annotated[float, Field(ge=0, le=180)]
    zoom: Annotated[float, Field(ge=0, lt=1)]
    light: Share
    colour: Share
    erase: Share


class Trainer(Strict):
    max_epochs: Count
    patience: Count | None
    class_weights: Literal["balanced"] | None
    device: Literal["auto", "cpu", "cuda", "mps"]


class NeuralTrainer(Trainer):
    batch_size: Annotated[int, Field(ge=2)]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    average: Annotated[float, Field(gt=0, lt=1)] | None
    keep: Literal["best", "last"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]


class Evaluation(Strict):
    positive: str | None
    threshold: Annotated[float, Field(gt=0, lt=1)]
    refuse: Annotated[float, Field(gt=0, lt=0.5)] | None


class Gates(Strict):
    branch: Text | None
    accuracy_low: Share | None
    recall: Share | None
    drop: Share | None
    latency_ms: Annotated[float, Field(gt=0)] | None
    megabytes: Annotated[float, Field(gt=0)] | None
    golden: bool
    leakage: bool
    unjudged: Literal["refuse", "warn"] = "refuse"  # asked by hosts; what was composed long ago has no such key


class Line(Strict):
    raw: Annotated[str, Field(pattern=paths.RAW.pattern)]  # below data/raw
    question: str | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    evaluation: Evaluation
    gates: Gates
    framework: str


class PhotoLine(Line):
    data: Photos
    model: NeuralModel
    optimizer: Optimizer
    augmentation: Augmentation
    trainer: NeuralTrainer


class TableLine(Line):
    data: Table
    model: Model
    optimizer: Optimizer | None
    augmentation: None
    trainer: Trainer | None  # None: the fit is one step


PLAIN_KEYS = ("raw", "question", "seed")  # the others are groups: a folder of conf/, one option of which is chosen
GROUPS = tuple(key for key in PhotoLine.model_fields if key not in PLAIN_KEYS)


@cache
def schema_of(name: str) -> type[PhotoLine] | type[TableLine]:
    """The schema of a line with the framework of this name: each section that it uses is there, each other is None.

    Raises GaiaError if there is no such framework.
    """
    spec = framework(name)
    line = PhotoLine if spec.kind == "photos" else TableLine
    used: dict[str, Any] = {"optimizer": Optimizer, "trainer": Trainer} if line is TableLine else {}
    exact = used | dict.fromkeys(spec.unused, type(None)) | {"framework": Literal[name]}
    fields: dict[str, Any] = {key: (kind, ...) for key, kind in exact.items()}
    return create_model(line.__name__, __base__=line, **fields)


def type_of(schema: Any, key: str) -> Any:
    """The type of what stands under a key of a section or mapping; None if the schema doesn't say."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_fields[key].annotation if key in schema.model_fields else None
    return get_args(schema)[1] if get_origin(schema) is dict else None


def takes_null(schema: Any, key: str) -> bool:
    """Whether null under a key of a section or mapping says something: there is none, or the key is unknown."""
    if isinstance(schema, type) and issubclass(schema, Strict) and key not in schema.model_fields:
        return True
    return get_origin(schema) is dict or type(None) in get_args(type_of(schema, key))
