"""`python -m llm_pipeline.api`: API and dashboard alone, as `llm-pipeline up` starts them."""

from llm_pipeline.api.app import serve
from llm_pipeline.config import Settings

if __name__ == "__main__":
    serve(Settings())
