import csv
from collections import Counter
from pathlib import Path

import pytest

from llm_pipeline.demo import sample_history, sample_submissions, sample_targets, write_sample
from llm_pipeline.domain.text import MAX_TEXT_LENGTH, normalize


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_catalogue_holds_each_company_once_and_says_it_is_a_sample() -> None:
    targets = sample_targets()
    names = {target.key: target.name for target in targets}
    assert 450 < len(targets) == len(names) == len(set(names.values()))
    assert names["SBUX"] == "Starbucks"
    assert "GOOGL" in names
    assert "GOOG" not in names
    assert all(target.category and target.attributes["sample"] == "true" for target in targets)


def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    first, again = write_sample(tmp_path / "a"), write_sample(tmp_path / "b")
    other = write_sample(tmp_path / "c", seed=8)
    for name in ("targets", "approved", "submissions", "truth"):
        assert getattr(first, name).read_bytes() == getattr(again, name).read_bytes()
    assert first.approved.read_bytes() != other.approved.read_bytes()


def test_every_row_says_that_it_is_sample_data(tmp_path: Path) -> None:
    files = write_sample(tmp_path)
    assert {row["sample"] for row in _read(files.targets)} == {"true"}
    for path in (files.approved, files.submissions, files.truth):
        assert {row["note"] for row in _read(path)} == {"sample data"}


def test_the_history_is_skewed_repeats_itself_and_runs_in_time_order() -> None:
    history = sample_history()
    per_target = Counter(row.target for row in history).most_common()
    times = [row.occurred_at for row in history if row.occurred_at]
    assert len(history) == 4_002
    assert times == sorted(times)
    assert per_target[0][1] > 20 * per_target[-1][1]
    assert 0.5 < len({row.text for row in history}) / len(history) < 0.8


def test_the_history_holds_two_rows_for_the_quarantine() -> None:
    known = {target.key for target in sample_targets()}
    assert sorted({str(row.target) for row in sample_history()} - known) == ["FB", "TWTR"]


def test_submissions_come_after_the_history_and_carry_no_target() -> None:
    last = sample_history()[-1].occurred_at
    submissions = list(sample_submissions())
    assert len(submissions) == 1_500
    assert all(row.target is None for row in submissions)
    assert all(row.occurred_at and last and row.occurred_at > last for row in submissions)


def test_submissions_are_what_their_kind_says() -> None:
    history = sample_history()
    texts = {row.text for row in history}
    companies = {row.target for row in history}
    for row in sample_submissions():
        kind, truth = row.extra["kind"], row.extra["truth"]
        assert (kind == "repeat") <= (row.text in texts)
        assert (kind == "new_company") <= (bool(truth) and truth not in companies)
        assert (kind in {"no_company", "bad"}) == (truth == "")


def test_only_the_bad_submissions_cannot_be_taken() -> None:
    rows = list(sample_submissions())
    bad = [row.text for row in rows if row.extra["kind"] == "bad"]
    unusable = [r.text for r in rows if not normalize(r.text) or len(r.text) > MAX_TEXT_LENGTH]
    assert sorted(bad) == sorted(unusable)
    assert len(bad) == 5


def test_the_answers_stand_in_a_file_of_their_own_row_by_row(tmp_path: Path) -> None:
    files = write_sample(tmp_path)
    submissions, truth = _read(files.submissions), _read(files.truth)
    assert [row["text"] for row in submissions] == [row["text"] for row in truth]
    assert "target" not in submissions[0]
    assert "truth" not in submissions[0]


@pytest.mark.parametrize("rows", [100, 1_000])
def test_the_number_of_rows_can_be_chosen(rows: int) -> None:
    assert len(sample_history(rows=rows)) == rows + 2
    assert len(list(sample_submissions(rows=rows))) == rows
