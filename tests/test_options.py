"""The declaration of keys: configurations, checks, and what older versions recorded."""

from dataclasses import dataclass, field

import pytest

from jaxbio import options
from jaxbio.errors import InputError
from jaxbio.options import option


@dataclass(frozen=True)
class _Inner:
    share: float = option(0.5, "a share", "(0, 1]")
    pair: tuple[float, float] = option((0.0, 1.0), "two numbers", "[0, inf)")
    count: int | None = option(None, "may be unset", "[1, 10]")


@dataclass(frozen=True)
class _Outer:
    name: str = option("a", "one of two", choices=("alpha", "a"))
    floor: float = option(float("-inf"), "or none", "[-inf, 0]")
    added: bool = option(True, "came later", absent=False)
    renamed: int = option(3, "had another name", was="inner.old")
    inner: _Inner = field(default_factory=_Inner)


def test_a_configuration_is_locked_typed_and_has_placeholders():
    config = options.defaults(_Outer)
    assert config.inner.count is None
    config.inner.count = 3
    with pytest.raises(TypeError):
        config.inner.count = "x"
    with pytest.raises(AttributeError, match="shar"):
        config.inner.shar = 0.1
    config.inner.count = None
    assert options.read(_Outer, config) == _Outer()


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("inner.share", 0.0, r"\(0, 1\]"),
        ("inner.share", float("nan"), r"\(0, 1\]"),
        ("inner.share", float("inf"), r"\(0, 1\]"),
        ("inner.pair", (1.0, float("inf")), "0 or more"),
        ("inner.pair", (1.0,), "2 numbers"),
        ("inner.count", 11, r"\[1, 10\]"),
        ("inner.count", 10**30, r"\[1, 10\]"),
        ("floor", float("nan"), "number"),
        ("name", "alhpa", "'alpha'"),
    ],
)
def test_a_value_out_of_its_range_is_named_with_the_range(path, value, told):
    config = options.defaults(_Outer)
    options.set_key(config, path, value)
    with pytest.raises(InputError, match=f"^{path}=.*{told}"):
        options.read(_Outer, config)


@pytest.mark.parametrize(
    "values", [{"inner": 3}, {"inner": {"share": "x"}}, {"added": 1}, {"inner": {"pair": 3.0}}]
)
def test_values_of_other_types_are_refused(values):
    with pytest.raises(InputError):
        options.read(_Outer, values)


def test_unknown_keys_are_refused_with_the_closest():
    config = options.defaults(_Outer)
    with pytest.raises(InputError, match=r"inner\.shar.*'share'"):
        options.set_key(config, "inner.shar", 1.0)
    with pytest.raises(InputError, match="section"):
        options.set_key(config, "inner", 1.0)
    with pytest.raises(InputError, match="float"):
        options.set_key(config, "inner.share", "much")


def test_a_record_without_a_key_keeps_what_the_run_did():
    recorded = {"name": "alpha", "inner": {"old": 7, "pair": [0.0, 2.0]}, "gone": 1}
    config = options.restore(_Outer, recorded)
    assert (config.added, config.renamed, config.inner.pair) == (False, 7, (0.0, 2.0))
    again = options.defaults(_Outer)
    assert options.with_old_meanings(_Outer, again, recorded).added is False
    assert again.added is True  # the caller's own is untouched
    assert options.with_old_meanings(_Outer, again, {**recorded, "added": True}).added is True
