"""The policy at work on a stream: answer, draw, approve or ask, audit, learn, refit.

All pieces are the product's own. The reviewer is the file: whoever is shown a group says what each
of its rows is, at the price of one decision for each different target.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from llm_pipeline.domain.records import Recognition
from llm_pipeline.model.evaluation import taught
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.model.risk import History, Risk, describe_new
from llm_pipeline.replaying.approver import Approver, Settings
from llm_pipeline.replaying.groups import MEMORY, Group, best, grouped
from llm_pipeline.replaying.stream import Period
from llm_pipeline.replaying.tally import Line

WEIGHTS_AT = (1, 3, 6)  # periods after which weights are trained, then every `WEIGHTS_EVERY`
WEIGHTS_EVERY = 12
RISK_EVERY = 3
RISK_OFTEN = 6  # before it, after each


def trains_after(number: int) -> bool:
    """Whether weights are trained after the period of this number."""
    return number in WEIGHTS_AT or (number > 0 and number % WEIGHTS_EVERY == 0)


@dataclass(frozen=True, slots=True)
class _Looked:
    """A group that a person answered, for the risk: its features, share wrong and weight."""

    known: bool
    features: list[float]
    wrong: float
    weight: float


@dataclass(slots=True)
class Player:
    """What the policy knows while it plays."""

    settings: Settings
    recognizer: Recognizer = field(default_factory=Recognizer.empty)
    history: History = field(default_factory=History)
    known: Risk = field(default_factory=Risk)
    new: Risk = field(default_factory=Risk)
    looked: list[_Looked] = field(default_factory=list)
    learned: list[pd.DataFrame] = field(default_factory=list)
    approver: Approver = field(init=False)

    def __post_init__(self) -> None:
        self.approver = Approver(self.settings)

    def play(self, period: Period) -> Line:
        """Let one period's rows arrive; return what became of them."""
        texts = period.rows["text"].unique().tolist()
        answers = dict(zip(texts, self.recognizer.recognize(texts, 1), strict=True))
        groups = grouped(period, answers)
        features, risks = self._risks(groups, period.number)
        approver = self.approver
        approver.begin(len(period.rows))
        rule, stopped = approver.rule, approver.stopped_at is not None
        shown: list[int] = []
        counts = dict.fromkeys(("decisions", "audits", "automatic", "wrong", "standing"), 0)
        for group, beside, risk in zip(groups, features, risks, strict=True):
            stratum = group.stratum if group.answer else ""
            fate = approver.arrive(stratum, 1 - risk, group.rows, group.wrong)
            if fate.shown:
                shown += group.places.tolist()
                counts["decisions"] += group.labels
                counts["audits"] += group.labels if fate.accepted else 0
                self._look(group, beside, fate.inclusion if fate.accepted else 1.0)
            if fate.accepted:
                counts["automatic"] += group.rows
                counts["wrong"] += group.wrong
                counts["standing"] += 0 if fate.drawn else group.wrong
        self._learn(period, shown, answers)
        self._refit(period.number)
        return Line(
            period.name,
            len(period.rows),
            **counts,
            limit=rule.limit,
            bound=rule.bound if rule.limit is not None else None,
            share=approver.share,
            stopped=stopped,
        )

    def _risks(self, groups: Sequence[Group], at: int) -> tuple[list[list[float]], Sequence[float]]:
        """Return the features of each group, and the probability that it is wrong."""
        features: list[list[float]] = []
        for group in groups:
            if group.stratum in MEMORY:
                features.append(self.history.describe(group.key, group.answer, group.texts, at))
            else:
                features.append(describe_new(group.probability, group.rows, len(group.texts)))
        risks = np.ones(len(groups))
        for risk, remembered in ((self.known, True), (self.new, False)):
            places = [n for n, g in enumerate(groups) if (g.stratum in MEMORY) == remembered]
            if places:
                risks[places] = risk(np.array([features[n] for n in places]))
        return features, risks.tolist()

    def _look(self, group: Group, features: list[float], probability: float) -> None:
        if group.answer:
            wrong = group.wrong / group.rows
            known = group.stratum in MEMORY
            self.looked.append(_Looked(known, features, wrong, 1 / probability))

    def _learn(self, period: Period, shown: list[int], answers: Mapping[str, Recognition]) -> None:
        """Let recogniser and history learn what people said."""
        rows = period.rows.iloc[sorted(shown)]
        given = [best(answers[text])[0] for text in rows["text"]]
        normalized, keys, targets = (
            rows[name].tolist() for name in ("normalized", "key", "target")
        )
        self.history.look(zip(normalized, keys, given, targets, strict=True), period.number)
        for text, target in rows.groupby("text", sort=False)["target"].last().items():
            self.recognizer.learn(str(text), target)
        self.learned.append(rows)

    def _refit(self, number: int) -> None:
        if number < RISK_OFTEN or number % RISK_EVERY == 0:
            self._fit_risks()
        if trains_after(number):
            self._train()
        self.approver.end(number)

    def _fit_risks(self) -> None:
        for risk, known in ((self.known, True), (self.new, False)):
            past = [one for one in self.looked if one.known == known]
            if past:
                risk.fit(
                    np.array([one.features for one in past]),
                    np.array([one.wrong for one in past]),
                    np.array([one.weight for one in past]),
                )

    def _train(self) -> None:
        """Train a recogniser on all that people said."""
        history = pd.concat(self.learned, ignore_index=True)
        last = history.drop_duplicates("normalized", keep="last")
        self.recognizer = taught(Recognizer(), last, history)


def play(
    stream: Sequence[Period], settings: Settings, hear: Callable[[int], None] = lambda _: None
) -> list[Line]:
    """Play a whole stream; `hear` is told how many periods are done."""
    return list(_lines(stream, Player(settings), hear))


def _lines(stream: Sequence[Period], player: Player, hear: Callable[[int], None]) -> Iterator[Line]:
    for done, period in enumerate(stream, 1):
        yield player.play(period)
        hear(done)
