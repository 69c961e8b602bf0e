"""What a composed configuration may say: the keys, their types and their ranges."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from gaia import paths
from gaia.config.framework import framework
from gaia.config.values import (
    BALANCED,
    REST,
    Classes,
    Columns,
    ColumnsOrRest,
    Count,
    CsvName,
    Encoding,
    Freeze,
    Order,
    Pattern,
    Separator,
    Share,
    Start,
    Text,
    Unfit,
    Weight,
    captures_group,
    or_word,
    twice,
    without_nulls,
)


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
    column: Text | None = None
    by: Text | None = None

    @model_validator(mode="after")
    def _has_one_rule(self) -> Splits:
        if self.column and self.by:
            raise Unfit("has both column and by", "splits are given, or follow a date: keep one")
        return self


class Data(Strict):
    splits: Splits
    group: Text | None = None
    classes: Classes | None
    min_per_class: Annotated[int, Field(ge=3)]
    max_quarantined: Share


class Photos(Data):
    kind: Literal["photos"]
    image_size: Annotated[int, Field(ge=16, le=1024)]
    framing: Literal["crop", "stretch"]
    near_duplicates: bool
    max_megapixels: Annotated[float, Field(gt=0)]
    min_side: Count
    labels: CsvName | None = None
    label: Pattern | None = None

    @model_validator(mode="after")
    def _says_what_its_words_mean(self) -> Photos:
        if self.labels and self.label:
            raise Unfit("has both labels and label", "a file says the labels, or a pattern over the names: keep one")
        asked = {"splits.column": self.splits.column, "splits.by": self.splits.by}
        if named := [key for key, column in asked.items() if column and not self.labels]:
            raise Unfit(f"has {named[0]}, a column", "name the file that has it in labels, such as labels.csv")
        if self.group and not self.labels:
            captures_group(self.group)
        return self


class Ordered(Strict):
    column: Text
    order: Order


class Table(Data):
    kind: Literal["table"]
    label: Text
    duplicates: bool = True
    categories: ColumnsOrRest
    numbers: ColumnsOrRest
    dates: Columns = {}
    ordered: Annotated[dict[str, Ordered], BeforeValidator(without_nulls)] = {}
    without: list[Text] = []
    separator: Separator
    decimal: Literal[".", ","]
    encoding: Encoding

    @model_validator(mode="after")
    def _has_features(self) -> Table:
        kinds: dict[str, Any] = {key: getattr(self, key) for key in ("categories", "numbers", "dates", "ordered")}
        if not any(kinds.values()):
            raise Unfit("names no feature", "give at least one column in categories or in numbers")
        named = {key: features for key, features in kinds.items() if features != REST}
        if both := twice(name for features in named.values() for name in features):
            places = " and in ".join(key for key, features in named.items() if both in features)
            raise Unfit(f"has '{both}' both in {places}", "keep one")
        if column := twice(self.columns()):
            raise Unfit(f"uses the column '{column}' twice", "a column is one feature, or the label")
        if self.without and not self.rest():
            raise Unfit("has columns in without, and no rest that they could be taken from", "leave without empty")
        if self.label in self.told() or self.splits.column in self.columns():
            column = self.label if self.label in self.told() else self.splits.column
            raise Unfit(f"uses the column '{column}' twice", "what says the split, the group or the date is no answer")
        return self

    def told(self) -> list[str]:
        """The columns by which rows are split."""
        return [column for column in (self.splits.column, self.splits.by, self.group) if column]

    def columns(self) -> list[str]:
        """The columns that are named: the label's and each feature's; those that `rest` takes are known to prepare."""
        plain = [*self.named("categories").values(), *self.named("numbers").values(), *self.dates.values()]
        return [self.label, *plain, *(feature.column for feature in self.ordered.values())]

    def named(self, key: str) -> dict[str, str]:
        """The features of `categories` or `numbers` and their columns, where those are named."""
        return {} if key in self.rest() else dict(getattr(self, key))

    def rest(self) -> list[str]:
        """Which of `categories` and `numbers` take all columns that no other key names."""
        return [key for key in ("categories", "numbers") if getattr(self, key) == REST]


class Model(Open):
    @property
    def architecture(self) -> str:
        """What is trained."""
        return self.target


class NeuralModel(Open):
    weights: Start
    freeze: Freeze = None
    backbone_rate: Annotated[float, Field(gt=0, le=1)] = 1.0

    @property
    def start(self) -> str | None:
        """The one word for the weights that training starts from."""
        return self.weights["file"] if isinstance(self.weights, dict) else self.weights

    @property
    def architecture(self) -> str:
        """What is trained: `torchvision.models.resnet18`, or by the name that it has there, `timm.resnet18`."""
        name = self.arguments().get("model_name")
        return f"{self.target.partition('.')[0]}.{name}" if name else self.target


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
    refit: bool = False  # what was composed long ago has no such key
    class_weights: (
        Annotated[dict[str, Weight], *or_word(BALANCED, ", keys with values (the class and its weight), or null")]
        | None
    )
    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: Count | None = None  # nor this


def balanced(trainer: Trainer) -> bool:
    """Whether rare classes weigh more."""
    said: Any = trainer.class_weights
    return said == BALANCED


def weighed(trainer: Trainer) -> dict[str, float]:
    """The weights that a trainer gives to classes by name."""
    return {} if balanced(trainer) else dict(trainer.class_weights or {})


class NeuralTrainer(Trainer):
    batch_size: Annotated[int, Field(ge=2)]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    average: Annotated[float, Field(gt=0, lt=1)] | None
    keep: Literal["best", "last"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    processes: Count = 1  # what was composed long ago has no such key

    @model_validator(mode="after")
    def _has_a_part_for_each(self) -> NeuralTrainer:
        if self.batch_size < 2 * self.processes:  # batch normalisation needs two
            raise Unfit(
                f"has batch_size {self.batch_size} and processes {self.processes}",
                f"each process needs two items of a batch: let batch_size be at least {2 * self.processes}",
            )
        return self


class Cost(Strict):
    missed: Annotated[float, Field(gt=0)]
    false_alarm: Annotated[float, Field(gt=0)]


class ThresholdRule(Strict):
    """How a threshold is chosen on the validation split: one of these."""

    maximise: Literal["f1"] | None = None
    recall_at_precision: Annotated[float, Field(gt=0, le=1)] | None = None
    cost: Cost | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ThresholdRule:
        if len(said := [key for key, value in self if value is not None]) != 1:
            found = f"names {' and '.join(said)}" if said else "names no rule"
            raise Unfit(found, f"give a number, or one of {', '.join(ThresholdRule.model_fields)}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}


# pydantic's errors name the tag among the keys; see `errors`
_Number = Annotated[Annotated[float, Field(gt=0, lt=1)], Tag("~number")]
_Rule = Annotated[ThresholdRule, Tag("~rule")]
_Threshold = Annotated[
    _Number | _Rule, Discriminator(lambda said: "~rule" if isinstance(said, dict | ThresholdRule) else "~number")
]


class Evaluation(Strict):
    positive: str | None
    threshold: _Threshold
    refuse: Annotated[float, Field(gt=0, lt=0.5)] | None = None  # what was composed long ago has no such key,
    folds: Annotated[int, Field(ge=2, le=100)] | None = None  # nor this


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


def errors(error: ValidationError) -> list[Any]:
    """pydantic's errors, with the keys as they are written."""
    return [{**e, "loc": tuple(k for k in e["loc"] if not str(k).startswith("~"))} for e in error.errors()]


def type_of(schema: Any, key: str) -> Any:
    """The type of what stands under a key of a section or mapping; None if the schema doesn't say."""
    schema = section(schema)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_fields[key].annotation if key in schema.model_fields else None
    return get_args(schema)[1] if get_origin(schema) is dict else None


def section(schema: Any) -> Any:
    """The section that may stand where the schema says so, be it beside a number or null."""
    return next((kind for each in get_args(schema) for kind in [section(each)] if _is_section(kind)), schema)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def takes_null(schema: Any, key: str) -> bool:
    """Whether null under a key of a section or mapping says something: there is none, or the key is unknown."""
    schema = section(schema)
    if isinstance(schema, type) and issubclass(schema, Strict) and key not in schema.model_fields:
        return True
    return get_origin(schema) is dict or type(None) in get_args(type_of(schema, key))
