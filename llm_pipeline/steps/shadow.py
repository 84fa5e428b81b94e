"""Shadow: a better challenger answers what waits beside the champion, before it may take over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.policy import CHANCE, PairedAnswers, Verdict, mcnemar_loss
from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model.changes import follow
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.store import catalogue, models, shadows, training
from llm_pipeline.store.engine import Database

CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Shadowed:
    """How many texts a challenger answered now, and what people made of its answers so far: the
    verdict is None while too few of them are decided."""

    version: str | None
    answered: int
    decided: int
    verdict: Verdict | None


def shadow(
    database: Database,
    load: Callable[[str], Recognizer],
    needed: int,
    clock: Callable[[], datetime],
    *,
    extra: Sequence[str] = (),
) -> Shadowed:
    """Let the challenger answer what the champion has answered, and judge it once people decided
    about `needed` of these texts. A challenger that cannot be loaded answers nothing."""
    with database.read() as session:
        challenger = models.challenger(session)
    if not needed or challenger is None:
        return Shadowed(None, 0, 0, None)
    try:
        recognizer = load(challenger.version)
    except ModelUnavailable:
        return Shadowed(challenger.version, 0, 0, None)
    with database.read() as session:
        changed = catalogue.changed_since(session, challenger.as_of)
        follow(recognizer, changed, training.live_changes(session, challenger.as_of))
    answered = after = 0
    while True:
        with database.read() as session:
            some = shadows.waiting(session, challenger.version, after, CHUNK, extra)
        if not some:
            break
        texts, said = [one.text for one in some], [one.extra for one in some]
        answers = recognizer.recognize(texts, top_k=1, extra=said)
        pairs = [(one.id, answer) for one, answer in zip(some, answers, strict=True)]
        with database.begin() as session:
            shadows.save(session, challenger.version, pairs, clock())
        answered, after = answered + len(some), some[-1].id
    with database.read() as session:
        found = shadows.decided(session, challenger.version)
    verdict = None if found.texts < needed else _verdict(found)
    return Shadowed(challenger.version, answered, found.texts, verdict)


def _verdict(found: shadows.Decided) -> Verdict:
    pairs = PairedAnswers(found.only_challenger, found.only_champion)
    loss = mcnemar_loss(pairs)
    told = (
        f"{found.texts} live texts that both answered and people decided about: "
        f"{pairs.only_challenger} only the challenger had right, {pairs.only_champion} only the "
        f"champion (McNemar p of a loss {loss:.3f})"
    )
    numbers = {
        "shadow_texts": float(found.texts),
        "shadow_only_challenger": float(pairs.only_challenger),
        "shadow_only_champion": float(pairs.only_champion),
        "shadow_p_of_loss": loss,
    }
    if loss < CHANCE:
        return Verdict(False, f"worse on live traffic: {told}", numbers)
    return Verdict(True, f"as good or better on live traffic: {told}", numbers)
