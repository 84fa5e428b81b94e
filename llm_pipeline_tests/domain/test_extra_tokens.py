import pytest

from llm_pipeline.domain.extra import Extra, column_names, tokens


def test_nothing_said_gives_no_tokens() -> None:
    assert tokens(None) == tokens({}) == tokens({"a": None, "b": "", "c": " !"}) == ()


def test_words_are_compared_in_their_normalised_form() -> None:
    assert tokens({"gl": "PARTS - Machinery"}) == tokens({"gl": "parts machinery"})


@pytest.mark.parametrize(
    ("amount", "token"),
    [(0.0, "0"), (0.5, "0"), (12.0, "2"), ("12.0", "2"), (1000.0, "6"), (-1000.0, "-6")],
)
def test_an_amount_is_a_logarithmic_band(amount: str | float, token: str) -> None:
    assert tokens({"amount": amount}) == (f"amount={token}",)


@pytest.mark.parametrize("amount", ["much", float("nan"), float("inf"), None])
def test_what_is_no_amount_says_nothing(amount: str | float | None) -> None:
    assert tokens({"amount": amount}) == ()


def test_the_order_of_columns_does_not_matter() -> None:
    one: Extra = {"a": "x", "month": 7}
    assert tokens(one) == tokens({"month": "7", "a": "X"}) == ("a=x", "month=7")


def test_names_are_split_at_commas() -> None:
    assert column_names(" a , b,,a ") == ("a", "b")
    assert column_names("") == ()
