"""The project's recogniser behind the interface of its peers."""

import os
from collections.abc import Sequence

import numpy as np
from peers import Ranked

from llm_pipeline.domain.records import Target
from llm_pipeline.model.evaluation import best_answers
from llm_pipeline.model.recognizer import Recognizer


class Own:
    """`Recognizer` as it is; the catalogue is given where the task has one."""

    name = "llm_pipeline"
    limit = None

    def fit(
        self, texts: Sequence[str], targets: Sequence[str], catalogue: Sequence[Target]
    ) -> None:
        given = {"catalogue": catalogue} if catalogue else {}
        self.recognizer = Recognizer(n_jobs=os.cpu_count() or 1).fit(texts, targets, **given)

    def rank(self, texts: Sequence[str], top_k: int) -> Ranked:
        """Return the candidates even of an abstention, so that accuracy compares like with like."""
        answers = self.recognizer.recognize(texts, top_k)
        if top_k == 1:
            best, sure = best_answers(answers)
            return best[:, None], sure[:, None]
        targets = np.full((len(texts), top_k), "", dtype=object)
        scores = np.zeros((len(texts), top_k))
        for row, answer in enumerate(answers):
            for place, candidate in enumerate(answer.candidates[:top_k]):
                targets[row, place] = candidate.target
                scores[row, place] = candidate.probability
        return targets, scores
