from contextlib import suppress
from pathlib import Path

import pytest

from llm_pipeline import unfinished
from llm_pipeline.errors import Conflict, InvalidInput, SetupError
from llm_pipeline.unfinished import Block, Unfinished


def _joined(parts: list[Path], whole: Path) -> None:
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))


def _begin(
    goal: Path, *, resume: bool = False, overwrite: bool = False, top_k: int = 5
) -> Unfinished:
    join = _joined if goal.suffix == ".parquet" else None
    return unfinished.begin(
        goal, goal.suffix, {"top-k": top_k}, join, resume=resume, overwrite=overwrite
    )


def _break_off(goal: Path, *rows: bytes) -> Unfinished:
    with suppress(KeyboardInterrupt), _begin(goal) as output:
        for row in rows:
            output.add(Block(row, {"matched": 1}))
        raise KeyboardInterrupt
    return output


@pytest.fixture(params=["a.csv", "a.parquet"])
def goal(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def test_it_appears_whole_and_nothing_else_stays(goal: Path) -> None:
    with _begin(goal) as output:
        output.head(b"")
        for row in (b"1\n", b"2\n"):
            output.add(Block(row, {"matched": 1}))
            assert not goal.exists()
        output.finish()
    assert goal.read_bytes() == b"1\n2\n"
    assert list(goal.parent.iterdir()) == [goal]


def test_what_broke_off_is_taken_up_again(goal: Path) -> None:
    _break_off(goal, b"1\n", b"2\n")
    assert not goal.exists()
    with _begin(goal, resume=True) as output:
        assert output.standing.rows == 2
        output.add(Block(b"3\n", {"no_match": 1}))
        output.finish()
    assert goal.read_bytes() == b"1\n2\n3\n"
    assert output.standing.outcomes == {"matched": 2, "no_match": 1}


def test_what_a_killed_process_wrote_behind_its_last_note_is_cut_off(goal: Path) -> None:
    partial = _break_off(goal, b"1\n").path
    if partial.is_dir():
        (partial / "part-00000002.parquet").write_bytes(b"2\n")
        (partial / "_part-00000003.parquet").write_bytes(b"ha")
    else:
        partial.write_bytes(b"1\n2\nha")
    with _begin(goal, resume=True) as output:
        output.add(Block(b"3\n", {"matched": 1}))
        output.finish()
    assert goal.read_bytes() == b"1\n3\n"


def test_nothing_that_is_there_is_lost_unasked(goal: Path) -> None:
    _break_off(goal, b"1\n")
    with pytest.raises(InvalidInput, match="holds 1 rows of a batch that broke off"):
        _begin(goal)
    with pytest.raises(InvalidInput, match=r"begun with another top-k \(5, now 3\)"):
        _begin(goal, resume=True, top_k=3)
    with _begin(goal, overwrite=True) as output:
        output.finish()
    with pytest.raises(InvalidInput, match="is there already"):
        _begin(goal, resume=True)


def test_a_batch_that_broke_off_before_its_first_row_is_begun_again(goal: Path) -> None:
    _break_off(goal)
    assert _begin(goal).standing.rows == 0


def test_two_runs_cannot_write_the_same_output(goal: Path) -> None:
    with (
        _begin(goal),
        pytest.raises(Conflict, match="another run is writing"),
        _begin(goal, overwrite=True),
    ):
        pass


def test_a_damaged_journal_and_a_shortened_output_are_named(tmp_path: Path) -> None:
    goal = tmp_path / "a.csv"
    partial = _break_off(goal, b"1\n").path
    partial.write_bytes(b"")
    with pytest.raises(InvalidInput, match="shorter than its journal"):
        _begin(goal, resume=True).__enter__()
    partial.with_name("a.partial.csv.json").write_text("{")
    with pytest.raises(InvalidInput, match="begin anew with --overwrite"):
        _begin(goal, resume=True)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"a.csv cannot be written: No such file"):
        _begin(tmp_path / "missing" / "a.csv").__enter__()
