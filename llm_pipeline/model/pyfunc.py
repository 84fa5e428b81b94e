"""The saved model as MLflow serves it: a "model from code" file around a bundle.

Only MLflow executes this file, from a copy beside the model; no module of this package imports it.
That is why mlflow is imported at the top and why importing it does something (`set_model`).
"""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from llm_pipeline.domain.records import Recognition
from llm_pipeline.model import bundle


class RecognizerModel(PythonModel):
    """Texts in; for each its state, target, probability and candidates out."""

    def load_context(self, context: PythonModelContext) -> None:
        self.recognizer = bundle.load(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[str],
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        return [_answered(answer) for answer in self.recognizer.recognize(model_input)]


def _answered(answer: Recognition) -> dict[str, Any]:
    return {
        "text": answer.text,
        "state": answer.state.value,
        "target": answer.target,
        "probability": answer.probability,
        "candidates": [
            {
                "target": candidate.target,
                "probability": candidate.probability,
                "evidence": candidate.evidence,
                "example": candidate.example,
            }
            for candidate in answer.candidates
        ],
    }


set_model(RecognizerModel())
