from pathlib import Path

import pytest

import llm_pipeline
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer

PACKAGE = Path(llm_pipeline.__file__).parent


@pytest.mark.filterwarnings("ignore")  # mlflow warns of its own type hints at import
def test_mlflow_loads_the_saved_model_and_answers_plain_texts(
    fitted: Recognizer, tmp_path: Path
) -> None:
    import mlflow

    bundle.save(fitted, tmp_path / "bundle")
    mlflow.pyfunc.save_model(
        path=tmp_path / "saved",
        python_model=str(PACKAGE / "model" / "pyfunc.py"),
        artifacts={"bundle": str(tmp_path / "bundle")},
        code_paths=[str(PACKAGE)],
        pip_requirements=["scikit-learn"],
    )
    taxi, nothing = mlflow.pyfunc.load_model(str(tmp_path / "saved")).predict(["moon taxi", "!!!"])
    assert (taxi["state"], taxi["target"]) == ("matched", "taxi")
    assert taxi["candidates"][0]["evidence"] == "model + neighbour"
    assert nothing == {
        "text": "!!!",
        "state": "no_match",
        "target": None,
        "probability": 0.0,
        "candidates": [],
    }
