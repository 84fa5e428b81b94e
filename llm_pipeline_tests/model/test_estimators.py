"""The rules of scikit-learn.

Its checks ask with rows of numbers, so an estimator of texts is let off nearly all of them. Here
`SpelledClassifier` and `SpelledTransformer` write each row as words, and so all checks are run.
"""

import pickle
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.utils import Tags
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.recognizer import Recognizer

ESTIMATORS = [Ngrams(), LinearModel(), Recognizer()]
TEXTS = ["city taxi", "airport taxi", "corner books", "old books", "taxi", "books"]
TARGETS = ["taxi", "taxi", "books", "books", "taxi", "books"]
SCALE = "abcdefghijklmnop"
WITHOUT_DATA = [
    checks.check_estimator_cloneable,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_estimator_repr,
    checks.check_no_attributes_set_in_init,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_mixin_order,
]


def spelled(rows: npt.NDArray[Any]) -> list[str]:
    """Return a word for each number: a letter for the column, one for the height."""
    heights = np.clip(np.round(2 * rows) + 8, 0, 15).astype(int)
    return [
        " ".join(f"{SCALE[column % 16]}{SCALE[height]}" for column, height in enumerate(row))
        for row in heights
    ]


class SpelledClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Numbers to labels by way of texts."""

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        self.estimator_ = clone(self.estimator).fit(spelled(X), places.astype(str).tolist())
        return self

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        check_is_fitted(self)
        texts = spelled(validate_data(self, X, reset=False, dtype=np.float64))
        found = answered(self.estimator_, texts)
        return np.asarray(self.classes_[[int(place or 0) for place in found]])


class SpelledTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Numbers to rows by way of texts."""

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def fit(self, X: npt.NDArray[Any], y: object = None) -> Self:
        X = validate_data(self, X, dtype=np.float64)
        self.estimator_ = clone(self.estimator).fit(spelled(X))
        return self

    def transform(self, X: npt.NDArray[Any]) -> csr_matrix:
        check_is_fitted(self)
        texts = spelled(validate_data(self, X, reset=False, dtype=np.float64))
        return csr_matrix(self.estimator_.transform(texts))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # words have none
        return tags


def answered(estimator: Any, texts: list[str]) -> list[str]:
    if isinstance(estimator, LinearModel):
        return [str(target) for target in estimator.top_k(texts, 1)[0][:, 0]]
    return [str(target) for target in estimator.predict(texts)]


@parametrize_with_checks(  # type: ignore[untyped-decorator]  # scikit-learn is not typed
    [
        SpelledClassifier(Recognizer()),
        SpelledClassifier(LinearModel()),
        SpelledTransformer(Ngrams()),
    ]
)
def test_passes_each_check_of_scikit_learn_on_spelled_numbers(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_check_estimator_passes_and_says_that_it_has_no_texts(estimator: BaseEstimator) -> None:
    with pytest.warns(SkipTestWarning, match="requires input"):
        done = check_estimator(estimator)
    assert [(one["check_name"], one["status"]) for one in done] == [
        ("check_estimator_cloneable", "passed")
    ]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", WITHOUT_DATA, ids=lambda check: str(check.__name__))
def test_passes_the_checks_that_need_no_data(
    estimator: BaseEstimator, check: Callable[[str, BaseEstimator], None]
) -> None:
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_takes_texts_and_says_so(estimator: BaseEstimator) -> None:
    tags = estimator.__sklearn_tags__().input_tags
    assert (tags.string, tags.one_d_array, tags.two_d_array) == (True, True, False)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Ngrams().transform(["taxi"]),
        lambda: LinearModel().top_k(["taxi"], 1),
        lambda: Recognizer().recognize(["taxi"]),
        lambda: Recognizer().predict(["taxi"]),
        lambda: Recognizer().score(["taxi"], ["a"]),
    ],
)
def test_says_that_it_was_not_fitted(ask: Callable[[], object]) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ask()


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda texts: np.array(texts, object)])
def test_texts_come_in_any_sequence_and_are_left_alone(kind: Callable[..., Any]) -> None:
    texts, targets = kind(TEXTS), kind(TARGETS)
    if isinstance(texts, np.ndarray):
        texts.flags.writeable = targets.flags.writeable = False
    assert Recognizer().fit(texts, targets).predict(texts).tolist() == TARGETS
    assert list(texts) == TEXTS
    assert list(targets) == TARGETS


@pytest.mark.parametrize("estimator", [LinearModel(), Recognizer()], ids=repr)
def test_fitted_anew_it_forgets_what_it_was_fitted_on_before(estimator: Any) -> None:
    estimator = clone(estimator)
    once = answered(estimator.fit(TEXTS, TARGETS), ["moon taxi", "books"])
    other = estimator.fit(["pizza hut", "hut"], ["food", "food"])
    assert answered(other, ["taxi"]) == [""]
    assert answered(estimator.fit(TEXTS, TARGETS), ["moon taxi", "books"]) == once


def test_a_pickled_recogniser_gives_the_same_answers_and_goes_on_learning() -> None:
    recognizer = Recognizer().fit(TEXTS, TARGETS)
    copy = pickle.loads(pickle.dumps(recognizer))  # noqa: S301 - our own bytes
    asked = [*TEXTS, "moon taxi", "東京"]
    assert copy.recognize(asked) == recognizer.recognize(asked)
    copy.learn("quartz lantern 1", "lamp")
    assert copy.predict(["quartz lantern 2", "quart lantern"]).tolist() == ["lamp", "lamp"]
    assert recognizer.predict(["quartz lantern 2"]).tolist() != ["lamp"]
