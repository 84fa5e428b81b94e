"""One mapping, all the way: from an unknown text to a new champion that knows its kind."""

from pathlib import Path

from llm_pipeline.domain.records import Action, State
from llm_pipeline.loop import learn
from llm_pipeline.steps.recognize import recognize_one
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import log, models
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, labelled, load_catalogue, submission

UNKNOWN = "ЯНДЕКС ТАКСИ 9"
KIND = [(f"ЯНДЕКС {city}", "UBER") for city in ("МОСКВА", "КАЗАНЬ", "ОМСК", "ПЕРМЬ", "УФА")]
KIND += [(f"ТАКСИ {city}", "UBER") for city in ("МОСКВА", "КАЗАНЬ", "ОМСК", "ПЕРМЬ", "УФА")]


def test_an_approved_text_is_known_at_once_and_its_kind_after_the_next_training(
    parts: Parts, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(parts.database, clock)
    ingest_rows(parts.database, clock, tmp_path, labelled(), approved=True)
    first = learn(parts, "first", "tests")
    serving = parts.serving()
    assert serving.recognize([UNKNOWN])[0].state is State.NO_MATCH

    with parts.begin() as session:
        waiting = submit(session, submission(UNKNOWN), "tests", clock())
        recognize_one(session, serving, waiting.id, waiting.text, "tests", clock())
        verdict = Verdict(Action.APPROVE, waiting.version, "ann", target="UBER")
        decide(session, waiting.id, verdict, clock())
    with parts.read() as session:
        serving.refresh(session)
    (known,) = serving.recognize(["яндекс такси 9!"])
    assert (known.target, known.candidates[0].evidence) == ("UBER", "exact")
    (like,) = serving.recognize(["ТАКСИ ТОМСК"])
    assert (like.candidates[0].target, like.candidates[0].evidence) == ("UBER", "neighbour")

    ingest_rows(parts.database, clock, tmp_path, KIND, approved=True, name="more.csv")
    second = learn(parts, "more", "tests")

    restarted = parts.serving()
    assert (first.model.version, second.model.version, restarted.version) == ("1", "2", "2")
    assert restarted.recognize(["ТАКСИ ТОМСК"])[0].candidates[0].target == "UBER"
    with parts.read() as session:
        names = [event.name for event in log.read_since(session, 0)]
        champion = models.champion(session)
    assert names[-2:] == ["model:trained", "model:promoted"]
    assert names.index("submission:received", 6) < names.index("review:decided")
    assert champion is not None
    assert champion.as_of > first.model.as_of


def test_a_damaged_copy_of_the_champion_is_fetched_again(
    parts: Parts, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(parts.database, clock)
    ingest_rows(parts.database, clock, tmp_path, labelled(), approved=True)
    learn(parts, "first", "tests")
    before = parts.serving().recognize(["GOLDMAN SACHS BANK 7"])
    (arrays,) = parts.settings.path("models").rglob("arrays.npz")
    arrays.write_bytes(arrays.read_bytes()[:3000])
    serving = parts.serving()
    assert (serving.version, serving.problem) == ("1", "")
    assert serving.recognize(["GOLDMAN SACHS BANK 7"]) == before
