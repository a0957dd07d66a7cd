"""The value types: sizes and secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stellwerk.settings.types import MASK, NOT_GIVEN, Bytes, Secret, TimeZone


class Holder(BaseModel):
    secret: Secret = NOT_GIVEN
    size: Bytes = Bytes(0)
    zone: TimeZone = "Etc/UTC"


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_renders_to_text_that_parses_to_the_same_size(size: int) -> None:
    assert Bytes.parse(Bytes(size).text) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GB", 2**30), ("1gb", 2**30), ("2.5GB", 5 * 2**29), ("16 MB", 2**24), ("512", 512)],
)
def test_a_size_is_read_in_units_of_1024(text: str, size: int) -> None:
    assert Bytes.parse(text) == size


@pytest.mark.parametrize("wrong", ["1GiB", "-1MB", "", "MB", "0.3B", True, -1, 1.5, None])
def test_what_is_no_size_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="expected a size"):
        Holder(size=wrong)


def test_a_secret_appears_in_no_form_of_its_holder() -> None:
    holder = Holder(secret=Secret("planted-secret"))
    shown = f"{holder!r} {holder} {holder.model_dump()} {holder.model_dump_json()}"
    assert "planted" not in shown
    assert MASK in shown


def test_a_secret_that_is_refused_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"secret": "planted secret"})
    assert "planted" not in Holder.model_validate({}).model_dump_json()
    assert "planted" not in str(caught.value.errors(include_input=False))


@pytest.mark.parametrize("wrong", ["short", "two words here", "line\nbreak-in-it", MASK, 12345678])
def test_a_secret_that_could_break_a_configuration_file_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="8 to 512 printable"):
        Holder(secret=wrong)


def test_a_secret_that_was_not_given_cannot_be_used() -> None:
    with pytest.raises(LookupError, match="not given"):
        Holder().secret.get_secret_value()


def test_a_time_zone_must_exist() -> None:
    with pytest.raises(ValidationError, match="expected a time zone"):
        Holder(zone="Europe/Atlantis")
