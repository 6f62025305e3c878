"""Reads a release of genai-prices: its wheel, its Python data, or its JSON. Runs none of it.

All three become one form, that of the JSON: providers with models, matches and prices as plain
dicts, numbers as Decimal. Whoever made the file is not trusted: sizes, depths and numbers
have bounds, a wheel is read in memory and only its one data file.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE_BYTES_MAX: Final = 32 << 20
"""Larger than this is no price list: the release of November 2026 has 1.6 MB."""

_RATIO_MAX: Final = 60  # the real one is packed to a ninth
_DEPTH_MAX: Final = 40
_TEXT_MAX: Final = 20_000
_PROVIDERS_MAX: Final = 1_000
_MODELS_MAX: Final = 50_000
_NUMBER_CHARS_MAX: Final = 40
_MEMBER: Final = "genai_prices/data.py"
_WHEEL_NAME: Final = re.compile(r"genai_prices-(\d+(?:\.\d+)*)-py3-none-any\.whl")
_CALLS: Final = frozenset(
    {
        "Provider",
        "ModelInfo",
        "ModelPrice",
        "TieredPrices",
        "Tier",
        "ConditionalPrice",
        "PriceVariant",
        "StartDateConstraint",
        "TimeOfDateConstraint",
        "ClauseEquals",
        "ClauseStartsWith",
        "ClauseEndsWith",
        "ClauseContains",
        "ClauseRegex",
        "ClauseOr",
        "ClauseAnd",
    }
)
_NOT_NEEDED: Final = frozenset(
    {"extractors", "description", "price_comments", "pricing_urls", "api_pattern"}
)


class UnusableSource(ValueError):
    """A file that is no price list, or none that may be trusted; the text says why."""


class Source(NamedTuple):
    """What a file holds: the release ("0.2.3", "" where it does not say), and its providers."""

    release: str
    providers: list[dict[str, Any]]


def read_file(path: Path) -> Source:
    """Read a wheel (``.whl``), a data file (``.py``) or a JSON file.

    Raises UnusableSource for what cannot be used, OSError for what cannot be opened.
    """
    if path.exists() and not path.is_file():
        raise UnusableSource(f"{path.name} is not a file")
    if path.stat().st_size > FILE_BYTES_MAX:
        raise UnusableSource(f"{path.name} is larger than {FILE_BYTES_MAX >> 20} MB")
    data = path.read_bytes()
    if path.suffix == ".whl" or data.startswith(b"PK"):
        release = _WHEEL_NAME.fullmatch(path.name)
        name = release[1] if release else ""
        return checked(read_python(_from_wheel(data)), name)
    read = read_python if path.suffix == ".py" else read_json
    return checked(read(data))


def read_json(data: bytes) -> Any:
    """Read the JSON of a release. Raises UnusableSource."""
    if len(data) > FILE_BYTES_MAX:
        raise UnusableSource(f"larger than {FILE_BYTES_MAX >> 20} MB")
    try:
        return json.loads(data, parse_float=_number, parse_int=_number, parse_constant=_no_constant)
    except UnusableSource:
        raise
    except (ValueError, RecursionError) as error:
        raise UnusableSource(f"not a JSON document that can be read: {error}") from None


def checked(providers: Any, release: str = "") -> Source:
    """Check what was read. Raises UnusableSource."""
    return Source(release, _checked(providers))


def read_python(data: bytes) -> Any:
    """Read the Python data file of a release as text: what is not plain data is refused."""
    try:
        tree = ast.parse(data.decode("utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnusableSource(f"not a data file that can be read: {error}") from None
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id="providers"), value=ast.expr() as value):
                return _plain(value, 0)
    raise UnusableSource("the data file has no list of providers")


def _from_wheel(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [it for it in archive.infolist() if it.filename == _MEMBER]
            if len(members) != 1:
                raise UnusableSource(f"no wheel of genai-prices: {len(members)} times {_MEMBER}")
            size, packed = members[0].file_size, members[0].compress_size
            if size > FILE_BYTES_MAX or size > _RATIO_MAX * max(packed, 1):
                raise UnusableSource(f"{_MEMBER} would unpack {packed:,} to {size:,} bytes")
            with archive.open(members[0]) as file:
                content = file.read(FILE_BYTES_MAX + 1)  # whatever size it claims to have
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        # The last two are zipfile's own words for a packing it does not know, and a password.
        raise UnusableSource(f"not a wheel that can be read: {error}") from None
    if len(content) > FILE_BYTES_MAX:
        raise UnusableSource(f"{_MEMBER} is larger than {FILE_BYTES_MAX >> 20} MB")
    return content


def _plain(node: ast.expr, depth: int) -> Any:
    """Turn an expression into data: lists, dicts, texts, numbers, and calls of known names."""
    if depth > _DEPTH_MAX:
        raise UnusableSource(f"line {node.lineno}: nested too deeply")
    match node:
        case ast.Constant(value=None | bool() | int() as value):
            return value
        case ast.Constant(value=str() as value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_plain(item, depth + 1) for item in items]
        case ast.Dict(keys=keys, values=values) if all(keys):
            pairs = zip(keys, values, strict=True)
            return {_plain(key, depth + 1): _plain(value, depth + 1) for key, value in pairs if key}
        case ast.Call():
            return _called(node, depth)
    raise UnusableSource(f"line {node.lineno}: {type(node).__name__} is no plain data")


def _called(node: ast.Call, depth: int) -> Any:
    name = ast.unparse(node.func)
    match name, node.args:
        case "Decimal", [ast.Constant(value=str() as text)]:
            return _number(text)
        case "datetime.date", [
            ast.Constant(value=int() as year),
            ast.Constant(value=int() as month),
            ast.Constant(value=int() as day),
        ]:
            try:
                return date(year, month, day).isoformat()
            except ValueError as error:
                raise UnusableSource(f"line {node.lineno}: {error}") from None
        case "datetime.time", [ast.Constant(value=int() as hour)]:
            return f"{int(hour):02d}:00"
        case "datetime.time", [
            ast.Constant(value=int() as hour),
            ast.Constant(value=int() as minute),
        ]:
            return f"{int(hour):02d}:{int(minute):02d}"
    if name not in _CALLS or node.args:
        raise UnusableSource(f"line {node.lineno}: a call of {name[:40]!r} is no data")
    return {
        keyword.arg.rstrip("_"): _plain(keyword.value, depth + 1)
        for keyword in node.keywords
        if keyword.arg and keyword.arg not in _NOT_NEEDED
    }


def _number(text: str) -> Decimal:
    if len(text) > _NUMBER_CHARS_MAX:
        raise UnusableSource(f"a number of {len(text)} characters")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UnusableSource(f"not a number: {text}") from None


def _no_constant(text: str) -> Decimal:
    raise UnusableSource(f"not a number: {text}")


# ------------------------------------------------------------------------ shape


def _checked(providers: Any) -> list[dict[str, Any]]:
    """Check the shape of everything that is used later. Raises UnusableSource."""
    if not isinstance(providers, list) or not 0 < len(providers) <= _PROVIDERS_MAX:
        raise UnusableSource("not a list of providers")
    models = 0
    for provider in providers:
        _want(provider, {"id": _is_text, "name": _is_text, "models": _is_list}, "a provider")
        _may(provider, {"fallback_model_providers": _is_texts}, provider["id"])
        models += len(provider["models"])
        for model in provider["models"]:
            _want(model, {"id": _is_text}, f"a model of {provider['id']}")
            place = f"{provider['id']}/{model['id']}"
            _may(
                model, {"match": _is_match, "prices": _is_prices, "price_variants": _is_list}, place
            )
            for variant in model.get("price_variants") or ():
                _want(variant, {"when": _is_words, "prices": _is_price}, f"a variant of {place}")
                _may(variant, {"constraint": _is_constraint}, place)
    if not 0 < models <= _MODELS_MAX:
        raise UnusableSource(f"{models:,} models")
    return providers


Check = Callable[[Any], bool]


def _want(value: Any, fields: Mapping[str, Check], what: str) -> None:
    if not isinstance(value, dict):
        raise UnusableSource(f"{what} is no object")
    for name, is_good in fields.items():
        if name not in value or not is_good(value[name]):
            raise UnusableSource(f"{what}: {name!r} is missing or not of its kind")


def _may(value: dict[str, Any], fields: Mapping[str, Check], what: str) -> None:
    _want(value, {name: it for name, it in fields.items() if value.get(name) is not None}, what)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _TEXT_MAX


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_words(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, (*value, *value.values())))


def _is_match(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, rest),) = value.items()
    if kind in {"or", "and"}:
        return isinstance(rest, list) and all(map(_is_match, rest))
    return kind in {"equals", "starts_with", "ends_with", "contains", "regex"} and _is_text(rest)


def _is_prices(value: Any) -> bool:
    if not isinstance(value, list):
        return _is_price(value)
    return all(
        isinstance(row, dict)
        and _is_price(row.get("prices"))
        and (row.get("constraint") is None or _is_constraint(row["constraint"]))
        for row in value
    )


def _is_constraint(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    texts = {name: text for name, text in value.items() if name != "type"}
    if texts.keys() == {"start_date"}:
        return bool(re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", str(texts["start_date"])))
    clocks = [re.fullmatch(r"[0-2]\d:[0-5]\d.*", str(text)) for text in texts.values()]
    return texts.keys() == {"start_time", "end_time"} and all(clocks)


def _is_price(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_text(name) and _is_amount(amount) for name, amount in value.items()
    )


def _is_amount(value: Any) -> bool:
    if isinstance(value, dict):
        tiers = value.get("tiers")
        return (
            value.keys() == {"base", "tiers"}
            and _is_usd(value["base"])
            and isinstance(tiers, list)
            and all(
                isinstance(tier, dict)
                and tier.keys() == {"start", "price"}
                and _is_usd(tier["price"])
                and _is_count(tier["start"])
                for tier in tiers
            )
        )
    return value is None or _is_usd(value)


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int) or (
        isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value()
    )
    return whole and 0 < value <= 10**9


USD_MAX: Final = 1_000_000
"""No price for any quantity is as high: not for a million tokens, a thousand pictures, an hour."""


def _is_usd(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and 0 <= value <= USD_MAX
