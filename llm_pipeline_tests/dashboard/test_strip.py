"""The last day of a component as a strip."""

from datetime import UTC, datetime, timedelta

from llm_pipeline.api.infrastructure import ChangeOut
from llm_pipeline.dashboard.strip import Piece, strip
from llm_pipeline.domain.health import Health

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def change(status: Health, hours_ago: float) -> ChangeOut:
    return ChangeOut(status=status, at=AT - timedelta(hours=hours_ago), reason="")


def test_a_day_is_cut_where_the_status_changed() -> None:
    history = [change(Health.OK, 6), change(Health.DOWN, 12), change(Health.OK, 30)]
    assert strip(history, AT) == [Piece("ok", 0.5), Piece("down", 0.25), Piece("ok", 0.25)]


def test_what_was_before_the_first_look_is_not_known() -> None:
    assert strip([change(Health.OK, 6)], AT) == [Piece("unknown", 0.75), Piece("ok", 0.25)]
    assert strip([], AT) == [Piece("unknown", 1.0)]
