from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from llm_pipeline.domain.records import Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.memory import Memory
from llm_pipeline.model.neighbours import VIEWS
from llm_pipeline.model.sources import NEAR, Approved, CatalogueNames, Near, names_of

CATALOGUE = [
    Target("GOOG", "Alphabet Inc. Class C"),
    Target("AAPL", "Apple", attributes={"aliases": "Apple Computer|iPhone maker; "}),
    Target("BKR", "Corner Books"),
    Target("CHAI", "चाय की दुकान"),
]


def approved(*pairs: tuple[str, str]) -> tuple[Approved, Memory]:
    memory = Memory()
    source = Approved(Ngrams(VIEWS, balanced=True).fit([]), memory)
    for text, target in pairs:
        teach(source, memory, text, target)
    return source, memory


def teach(source: Approved, memory: Memory, text: str, target: str) -> None:
    if (key := memory.learn(text, target)) is not None:
        source.add([key], [normalize(text)])


def names(*targets: Target) -> CatalogueNames:
    found = CatalogueNames(Ngrams(VIEWS, balanced=True).fit([]))
    found.update(targets or CATALOGUE)
    return found


def first(near: Near) -> list[str]:
    return [str(target) for target in near.target[:, 0]]


def test_answers_by_the_approved_texts_that_look_like_it() -> None:
    source, _ = approved(("City Taxi 1", "taxi"), ("corner books", "books"))
    near = source.near(["moon taxi", "old books", "xqzw"])
    assert first(near) == ["taxi", "books", ""]
    assert near.target.shape == (3, NEAR)
    assert near.cosine[2].tolist() == [0.0] * NEAR
    assert [source.example(n) for n in near.document[:2, 0]] == ["City Taxi 1", "corner books"]


def test_a_text_is_not_its_own_neighbour() -> None:
    source, _ = approved(("city taxi 1", "own"), ("city taxis", "other"))
    near = source.near(["city taxi 1", "city taxi 99", "city taxo"])
    assert first(near) == ["other", "other", "own"]
    assert group_key("city taxi 1") not in {source.keys[n] for n in near.document[0][:1]}


def test_memory_says_what_a_neighbour_means_now() -> None:
    source, memory = approved(("city taxi 1", "old"), ("taxi city", "far"))
    teach(source, memory, "city taxi 2", "new")
    assert first(source.near(["city taxo"])) == ["new"]
    memory.forget("city taxi 1")
    memory.forget("city taxi 2")
    assert first(source.near(["city taxo"])) == ["far"]
    assert source.example(0) is None


def test_a_key_forgotten_and_learned_again_is_one_neighbour() -> None:
    source, memory = approved(("city taxi", "a"))
    for _ in range(3):
        memory.forget("city taxi")
        teach(source, memory, "city taxi 7", "b")
        memory.forget("city taxi 7")
    teach(source, memory, "city taxi", "c")
    near = source.near(["city taxo"])
    assert near.target[0].tolist() == ["c"] + [""] * (NEAR - 1)
    assert len(source.index) == len(source.keys) == 1


def test_only_what_came_before_answers_for_a_time() -> None:
    source, _ = approved(("city taxi", "a"), ("city taxis", "b"), ("city taxes", "c"))
    times = {key: place for place, key in enumerate(source.keys)}
    near = source.near(["city taxi", "city taxis", "city taxes"], 1, times)
    assert [set(row) - {""} for row in near.target] == [set(), {"a"}, {"a", "b"}]
    assert set(source.near(["unplaced city"], 1, times).target[0]) >= {"a", "b", "c"}


def test_keys_and_documents_stay_together_when_several_threads_teach() -> None:
    source, memory = approved()
    brands = [f"{one * 3}{other * 3} shop" for one in "abcdefghij" for other in "klmnopqrst"]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda brand: teach(source, memory, brand, brand), brands))
    near = source.near([f"{brand}s" for brand in brands])
    assert first(near) == brands


def test_names_and_aliases_of_the_catalogue_are_found() -> None:
    source = names()
    asked = ["apple computers", "iphone makers", "alphabet class c", "चाय की दुकान 7", "xqzw"]
    near = source.near(asked)
    assert first(near) == ["AAPL", "AAPL", "GOOG", "CHAI", ""]
    assert source.example(int(near.document[0, 0])) == "Apple Computer"
    assert names_of(CATALOGUE[1]) == ["Apple", "Apple Computer", "iPhone maker", " "]


def test_renamed_and_retired_targets_lose_their_old_names() -> None:
    source = names()
    source.update([Target("BKR", "Quartz Lantern")])
    source.drop("AAPL")
    source.drop("never known")
    assert first(source.near(["corner books", "quartz lantern", "apple"])) == ["", "BKR", ""]
    source.update([Target("AAPL", "Apple")])
    assert first(source.near(["apple"])) == ["AAPL"]


def test_of_targets_with_one_name_the_first_stays_first_when_it_is_written_anew() -> None:
    source = names(Target("A", "Apple"), Target("B", "APPLE!"), Target("C", "apple"))
    source.update([Target("A", "Apple", "fruit", {"aliases": "pomme"})])
    assert source.holders[0] == ("A", "B", "C")
    source.drop("A")
    assert first(source.near(["apple"])) == ["B"]
    assert first(source.near(["pomme"])) == [""]


def test_names_without_a_word_are_none() -> None:
    source = names(Target("A", "!!!"), Target("B", ""))
    assert (source.texts, len(source.index)) == ([], 0)


def test_restored_sources_answer_alike() -> None:
    source, memory = approved(("city taxi", "taxi"), ("corner books", "books"))
    copy = Approved(source.index.ngrams, memory)
    copy.restore(source.keys, source.index.rows())
    assert first(copy.near(["moon taxi"])) == ["taxi"]
    listed = names()
    twin = CatalogueNames(listed.index.ngrams)
    twin.restore(listed.texts, listed.normalized, listed.holders, listed.index.rows())
    assert first(twin.near(["apple computers"])) == ["AAPL"]
    twin.drop("AAPL")
    assert first(twin.near(["apple computers"])) != ["AAPL"]


def test_rows_that_do_not_fit_are_refused() -> None:
    source, _ = approved(("city taxi", "taxi"))
    with pytest.raises(ValueError, match="2 keys for 1 documents"):
        source.restore(["a", "b"], source.index.rows())
    with pytest.raises(ValueError, match="0 names for 1 documents"):
        names().restore([], [], [], source.index.rows())


def near_of(targets: list[str], cosines: list[float]) -> Near:
    return Near(
        np.array([targets], dtype=object),
        np.array([cosines]),
        np.arange(len(targets))[None, :],
        np.ones(1),
    )


def test_scores_are_cosine_and_lead_over_the_next_target() -> None:
    found = near_of(["a", "a", "b"], [0.9, 0.8, 0.7]).scores()
    assert found[0].tolist() == pytest.approx([0.9, 0.2, 1.0])
    assert near_of(["a", ""], [0.9, 0.0]).scores()[0, 1] == pytest.approx(0.3)


def test_documents_of_other_targets_share_what_the_nearest_leaves_over() -> None:
    chances = near_of(["a", "a", "b", "c"], [0.9, 0.8, 0.6, 0.3]).probabilities(np.array([0.7]))
    assert chances[0].tolist() == pytest.approx([0.7, 0.0, 0.3 * 8 / 9, 0.3 / 9])
    assert near_of(["", ""], [0.0, 0.0]).probabilities(np.array([0.7])).tolist() == [[0.0, 0.0]]


def test_sources_are_compared_and_how_near_both_are_if_they_agree() -> None:
    one, other = near_of(["a"], [0.9]), near_of(["b"], [0.4])
    assert one.beside(one)[0].tolist() == pytest.approx([0.9, 0.3, 1, 0.9, 0.3, 1, 0.81])
    assert one.beside(other)[0].tolist() == pytest.approx([0.9, 0.3, 1, 0.4, 0.3, 1, 0])
    assert one.right(np.array(["a"], dtype=object)).tolist() == [True]
