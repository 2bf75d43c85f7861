"""Payloads: from arguments to JSON and back, and what is refused, without a database."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import pathlib
import sys
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)

import pytest
from typing_extensions import Annotated, NotRequired, Unpack

import lavoro
from lavoro._payload import Signature, check_declaration, to_json
from lavoro.errors import InvalidPayloadError, LavoroError

if TYPE_CHECKING:
    from lavoro import Job

T = TypeVar("T")
UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Line:
    article: str
    price: Decimal
    count: int = 1
    total: float = dataclasses.field(init=False, default=0)


@dataclasses.dataclass
class Order:
    id: uuid.UUID
    lines: list[Line]
    note: Optional[str] = None
    parent: Optional[Order] = None


@dataclasses.dataclass
class Box(Generic[T]):
    inside: T


class Point(NamedTuple):
    x: int
    y: int = 0


class Address(TypedDict):
    street: str
    since: dt.date
    floor: NotRequired[int]


class Code(str):
    def __new__(cls, text: str) -> Code:
        if not text.isupper():
            raise ValueError("it must be in capitals")
        return str.__new__(cls, text)


AT = dt.datetime(2031, 2, 3, 4, 5, 6, 789, tzinfo=dt.timezone(dt.timedelta(hours=2)))
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

# The annotation, a value, its JSON.
ROUND = [
    (int, 2**53 - 1, 9007199254740991),
    (float, 1.5, 1.5),
    (float, 2, 2),
    (bool, True, True),
    (str, "día 🎉", "día 🎉"),
    (type(None), None, None),
    (Any, {"a": [1, None]}, {"a": [1, None]}),
    (dt.datetime, AT, "2031-02-03T04:05:06.000789+02:00"),
    (dt.datetime, dt.datetime(2031, 2, 3), "2031-02-03T00:00:00"),
    (dt.date, dt.date(2031, 2, 3), "2031-02-03"),
    (dt.time, dt.time(4, 5), "04:05:00"),
    (dt.timedelta, dt.timedelta(days=1), 86400),
    (dt.timedelta, dt.timedelta(seconds=1, microseconds=5), 1.000005),
    (dt.timedelta, dt.timedelta(seconds=-0.5), -0.5),
    (uuid.UUID, ID, str(ID)),
    (Decimal, Decimal("1.10"), "1.10"),
    (bytes, b"\0\xff", "AP8="),
    (bytearray, bytearray(b"ab"), "YWI="),
    (pathlib.Path, pathlib.Path("/a/b"), "/a/b"),
    (pathlib.PurePosixPath, pathlib.PurePosixPath("b"), "b"),
    (Colour, Colour.RED, "red"),
    (Colour, Colour.PAIR, [1, 2]),
    (Level, Level.LOW, 1),
    (Rights, Rights.READ | Rights.WRITE, 3),
    (Code, Code("ABC"), "ABC"),
    (UserId, UserId(7), 7),
    (Annotated[int, "more than 0"], 7, 7),
    (Optional[dt.date], None, None),
    (Optional[dt.date], dt.date(2031, 2, 3), "2031-02-03"),
    (Union[int, str], "1", "1"),
    (Union[int, float], 1.0, 1.0),
    (Union[float, int], 1, 1),
    (Union[Point, Line], Line("nut", Decimal("2")), {"article": "nut", "price": "2", "count": 1}),
    (Literal["a", 1, None], 1, 1),
    (Literal["a", True], True, True),
    (Literal[Colour.RED], Colour.RED, "red"),
    (List[dt.date], [dt.date(2031, 2, 3)], ["2031-02-03"]),
    (list, [1, "a"], [1, "a"]),
    (Sequence[int], [1, 2], [1, 2]),
    (tuple[int, Decimal], (1, Decimal("2")), [1, "2"]),
    (tuple[int, ...], (1, 2), [1, 2]),
    (tuple[()], (), []),
    (set[int], {3, 1, 2}, [1, 2, 3]),
    (frozenset[uuid.UUID], frozenset([ID]), [str(ID)]),
    (deque, deque([1]), [1]),
    (Dict[str, dt.date], {"a": dt.date(2031, 2, 3)}, {"a": "2031-02-03"}),
    (dict[int, str], {-1: "a"}, {"-1": "a"}),
    (dict[uuid.UUID, int], {ID: 1}, {str(ID): 1}),
    (Mapping[str, Any], {"a": 1}, {"a": 1}),
    (OrderedDict, OrderedDict(a=1), {"a": 1}),
    (Point, Point(1, 2), {"x": 1, "y": 2}),
    (Address, {"street": "a", "since": dt.date(2031, 2, 3)}, {"street": "a", "since": "2031-02-03"}),
    (Box[dt.date], Box(dt.date(2031, 2, 3)), {"inside": "2031-02-03"}),
    (
        Order,
        Order(ID, [Line("nut", Decimal("2"), 3)], parent=Order(ID, [])),
        {
            "id": str(ID),
            "lines": [{"article": "nut", "price": "2", "count": 3}],
            "note": None,
            "parent": {"id": str(ID), "lines": [], "note": None, "parent": None},
        },
    ),
]


def signature_of(hint: Any) -> Signature:
    def task(value):  # type: ignore[no-untyped-def]
        return value

    task.__annotations__ = {"value": hint, "return": hint}
    return Signature("t", task)


@pytest.mark.parametrize(("hint", "value", "plain"), ROUND, ids=str)
def test_values_go_to_json_and_come_back(hint: Any, value: Any, plain: Any) -> None:
    signature = signature_of(hint)
    assert json.loads(signature.encode((), {"value": value})) == {"value": plain}
    assert json.loads(signature.encode((value,), {})) == {"value": plain}
    back = signature.decode({"value": plain})["value"]
    assert back == value
    assert type(back) is type(value) or (hint is float and back == 2.0)
    assert signature.encode_result(value) == plain
    assert signature.decode_result(plain) == value


def test_untyped_values_become_json_by_what_they_are() -> None:
    for _, value, plain in ROUND:
        if not (isinstance(value, dict) and any(not isinstance(key, str) for key in value)):
            written = json.loads(to_json("value", value))
            if isinstance(value, (Line, Order)):
                assert written.items() >= {}.items()
            else:
                assert written == plain, value


DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
CIRCLE: dict[str, Any] = {"a": [1]}
CIRCLE["a"].append(CIRCLE)
LOOP = Order(ID, [])
LOOP.parent = LOOP

REFUSED = [
    (int, "1", "invalid_payload", "value is a str: it takes an int"),
    (int, True, "invalid_payload", "value is a bool: it takes an int"),
    (int, 2**53, "number_out_of_range", "value is beyond"),
    (float, -(2**53), "number_out_of_range", "value is beyond"),
    (float, float("nan"), "number_out_of_range", "value is nan"),
    (Any, [1, float("-inf")], "number_out_of_range", r"value\[1\] is -inf"),
    (Decimal, Decimal("NaN"), "number_out_of_range", "value is NaN"),
    (str, "a\ud800", "invalid_payload", "value has a lone surrogate at 1"),
    (str, "a\0", "invalid_payload", "value has a NUL"),
    (Any, {"a": {"b c": "\udfff"}}, "invalid_payload", r"value\.a\['b c'\] has a lone surrogate"),
    (Any, {1: 2}, "invalid_payload", "value has the key 1: JSON takes strings"),
    (Any, [{"a": {b"x": 1}}], "invalid_payload", r"value\[0\]\.a has the key b'x'"),
    (dict[str, int], {1: 2}, "invalid_payload", "value has the key 1, which is an int"),
    (Any, object(), "invalid_payload", "value is an object, which has no form in JSON"),
    (Any, [1, {"f": print}], "invalid_payload", r"value\[1\]\.f is a builtin_function"),
    (Any, DEEP, "payload_too_deep", "value.* is nested deeper than 128"),
    (list, DEEP, "payload_too_deep", "value.* is nested deeper than 128"),
    (Any, CIRCLE, "invalid_payload", r"value\.a\[1\] contains itself"),
    (Order, LOOP, "invalid_payload", r"value\.parent contains itself"),
    (list[int], [1, "b"], "invalid_payload", r"value\[1\] is a str: it takes an int"),
    (list[str], "abc", "invalid_payload", "value is a str: it takes a list"),
    (Sequence[str], "abc", "invalid_payload", "value is a str: it takes"),
    (Order, Order(ID, [Line(1, Decimal("1"))]), "invalid_payload",  # type: ignore[arg-type]
     r"value\.lines\[0\]\.article is an int: it takes a str"),
    (Order, {"id": ID}, "invalid_payload", "value is a dict: it takes an Order"),
    (Address, {"street": "a"}, "invalid_payload", r"value\.since is missing"),
    (Address, {"street": "a", "x": 1}, "invalid_payload", r"value\.x is no field of Address"),
    (tuple[int, int], (1,), "invalid_payload", "value has 1 items: it takes 2"),
    (Literal["a", 1], True, "invalid_payload", "value is True: it takes 'a', 1"),
    (Optional[int], "1", "invalid_payload", "value is a str: it takes an int"),
    (Union[int, str], 1.5, "invalid_payload", "value fits none of what it takes"),
    (Colour, "red", "invalid_payload", "value is a str: it takes a Colour"),
    (dt.date, AT, "invalid_payload", "value is a datetime: it takes a date"),
    (pathlib.Path, "/a", "invalid_payload", "value is a str: it takes a Path"),
]


@pytest.mark.parametrize(("hint", "value", "code", "message"), REFUSED)
def test_what_does_not_fit_is_refused_by_its_path(
    hint: Any, value: Any, code: str, message: str
) -> None:
    with pytest.raises(LavoroError, match=f"^payload of task 't': {message}") as refused:
        signature_of(hint).encode((), {"value": value})
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("hint", "plain", "message"),
    [
        (int, "1", "value is '1': it takes an integer"),
        (int, 1.5, "value is 1.5: it takes an integer"),
        (bool, 1, "value is 1: it takes true or false"),
        (dt.datetime, "soon", "value is 'soon': it takes a date with a time"),
        (dt.date, "2031-02-30", "value is '2031-02-30'"),
        (dt.timedelta, 1e300, "value is 1e.300 seconds, too long"),
        (uuid.UUID, "x", "value is 'x': it takes a UUID"),
        (bytes, "?", "value is no base64"),
        (Colour, "blue", "value is 'blue', which is no value of Colour"),
        (Code, "abc", "value does not fit Code: it must be in capitals"),
        (set[Any], [[1]], "value has items that no set takes"),
        (Order, {"id": str(ID), "lines": [{"article": "a"}]}, r"value\.lines\[0\]\.price is missing"),
        (Order, {"id": str(ID), "lines": [], "x": 1}, r"value\.x is no field of Order"),
        (dict[int, str], {"x": "a"}, r"value\.x is no key of integers"),
        (list[int], {}, "value is an object: it takes an array"),
    ],
)
def test_a_payload_from_elsewhere_is_refused_by_its_path(
    hint: Any, plain: Any, message: str
) -> None:
    with pytest.raises(InvalidPayloadError, match=f"^payload of task 't': {message}"):
        signature_of(hint).decode({"value": plain})


def test_instants_of_other_languages_are_read() -> None:
    signature = signature_of(dt.datetime)
    for text in ("2031-02-03T04:05:06Z", "2031-02-03T04:05:06.000000000Z", "2031-02-03 04:05:06+0000"):
        read = signature.decode({"value": text})["value"]
        assert read == dt.datetime(2031, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc)
    assert signature_of(int).decode({"value": 3.0}) == {"value": 3}


def test_the_signature_says_which_fields_there_are() -> None:
    def send(to: str, /, job: Job, subject: str = "none", *, copies: int = 1, **extra: dt.date) -> None: ...

    signature = Signature("send", send)
    assert signature.job_parameter == "job"
    assert json.loads(signature.encode(("a",), {})) == {"to": "a"}
    assert json.loads(signature.encode(("a", "b"), {"copies": 2})) == {
        "to": "a",
        "subject": "b",
        "copies": 2,
    }
    day = dt.date(2031, 2, 3)
    text = signature.encode((), {"to": "a", "day": day})
    assert json.loads(text) == {"to": "a", "day": "2031-02-03"}
    assert signature.decode(json.loads(text)) == {"to": "a", "day": day}
    for args, kwargs, message in (
        ((), {"subject": "b"}, "to is missing"),
        ((), {"to": 1}, "to is an int"),
        (("a", "b", "c"), {}, "too many positional arguments"),
        (("a",), {"to": "b"}, "to is given twice"),
        (("a",), {"day": 1}, "day is an int: it takes a date"),
    ):
        with pytest.raises(InvalidPayloadError, match=message):
            signature.encode(args, kwargs)


def test_a_handler_is_called_as_it_was_declared() -> None:
    def send(to: str, count: int = 1, /, *, job: Job, **extra: int) -> Any:
        return to, count, job, extra

    signature = Signature("send", send)
    assert signature.call({"to": "a"}, "J") == ("a", 1, "J", {})
    assert signature.call({"to": "a", "count": 2, "x": 3}, "J") == ("a", 2, "J", {"x": 3})

    def gap(a: int = 1, b: int = 2, /) -> Any:
        return a, b

    with pytest.raises(InvalidPayloadError, match="b is there, and a before it is not"):
        Signature("gap", gap).call({"b": 1}, None)


def test_which_parameters_are_the_job() -> None:
    def plain(job, a): ...  # type: ignore[no-untyped-def]

    def annotated(this: lavoro.Job, a: int) -> None: ...

    def optional(a: int, this: Optional[lavoro.Job] = None) -> None: ...

    for function, name in ((plain, "job"), (annotated, "this"), (optional, "this")):
        signature = Signature("t", function)
        assert signature.job_parameter == name
        assert json.loads(signature.encode((1,), {})) == {"a": 1}
        with pytest.raises(InvalidPayloadError, match=f"there is no field '{name}'; it has a"):
            signature.encode((), {"a": 1, name: 1})

    def profession(job: str) -> None: ...

    assert json.loads(Signature("t", profession).encode(("smith",), {})) == {"job": "smith"}


def test_declarations_that_cannot_be_are_refused() -> None:
    class Service: ...

    def many(*addresses: str) -> None: ...

    def service(a: int, service: Service) -> None: ...

    def unknown(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    @dataclasses.dataclass
    class Once:
        a: dataclasses.InitVar[int]

    with pytest.raises(InvalidPayloadError, match=r"takes \*addresses: .* take a list"):
        check_declaration("many", many)
    with pytest.raises(InvalidPayloadError, match=r"takes \*addresses"):
        lavoro.Lavoro("memory:").task(many)
    for function, message in (
        (many, r"takes \*addresses"),
        (unknown, "annotation 'Nowhere' of a, a parameter of task 't', cannot be read"),
    ):
        with pytest.raises(InvalidPayloadError, match=message):
            Signature("t", function)
    for hint, message in ((Service, "Service has no form"), (Once, "InitVar a"), (print, "no form")):
        with pytest.raises(InvalidPayloadError, match=message):
            signature_of(hint)


def test_a_result_is_read_as_well_as_can_be() -> None:
    class Response: ...

    def respond() -> Response: ...  # type: ignore[empty-body]

    signature = Signature("t", respond)
    assert signature.decode_result({"a": 1}) == {"a": 1}

    def nothing() -> None: ...

    assert Signature("t", nothing).decode_result({"a": 1}) == {"a": 1}
    typed = signature_of(int)
    assert typed.decode_result(None) is None
    with pytest.raises(InvalidPayloadError, match="result of task 't': not stored: too large"):
        typed.decode_result({"lavoro_note": "not stored: too large"})


def test_keywords_may_be_a_typed_dict() -> None:
    def move(**address: Unpack[Address]) -> Any:
        return address

    signature = Signature("move", move)
    text = signature.encode((), {"street": "a", "since": dt.date(2031, 2, 3)})
    assert signature.decode(json.loads(text)) == {"street": "a", "since": dt.date(2031, 2, 3)}
    with pytest.raises(InvalidPayloadError, match="since is missing"):
        signature.encode((), {"street": "a"})


def test_payloads_that_are_no_objects() -> None:
    one = signature_of(str)
    assert one.decode("Ada") == {"value": "Ada"}

    def none(a: int = 1, b: int = 2) -> None: ...

    assert Signature("none", none).decode(None) == {}
    with pytest.raises(InvalidPayloadError, match="is not an object: it has the fields a, b"):
        Signature("none", none).decode([1])


def test_models_of_pydantic() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        model_config = pydantic.ConfigDict(strict=True)
        at: dt.datetime
        count: int = pydantic.Field(gt=0, alias="theCount")
        extra: Any = None

    signature = signature_of(List[Model])
    model = Model(at=AT, theCount=2)
    text = signature.encode((), {"value": [model]})
    assert json.loads(text)["value"][0]["theCount"] == 2
    assert signature.decode(json.loads(text)) == {"value": [model]}
    assert json.loads(to_json("value", model))["theCount"] == 2
    broken = {"at": "2031-02-03T00:00:00Z", "theCount": 0}
    with pytest.raises(InvalidPayloadError, match=r"value\[0\]\.theCount does not fit Model: .*greater"):
        signature.decode({"value": [broken]})
    with pytest.raises(LavoroError, match=r"value\[0\]\.extra is beyond"):
        signature.encode((), {"value": [Model(at=AT, theCount=1, extra=2**60)]})
    with pytest.raises(InvalidPayloadError, match=r"value\[0\] is a dict: it takes a Model"):
        signature.encode((), {"value": [broken]})

    @pydantic.dataclasses.dataclass
    class Pair:
        a: int
        b: dt.date

    pairs = signature_of(Pair)
    pair = Pair(1, dt.date(2031, 2, 3))
    assert json.loads(pairs.encode((pair,), {})) == {"value": {"a": 1, "b": "2031-02-03"}}
    assert pairs.decode({"value": {"a": 1, "b": "2031-02-03"}}) == {"value": pair}


@pytest.mark.skipif(sys.version_info < (3, 10), reason="unions are written so from Python 3.10 on")
def test_unions_of_types() -> None:
    def task(value: int | None = None) -> None: ...

    assert json.loads(Signature("t", task).encode((), {"value": None})) == {"value": None}


def test_pydantic_is_not_imported_unless_it_is_used() -> None:
    import subprocess

    code = "import lavoro, sys; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
