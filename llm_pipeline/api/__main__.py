"""`python -m llm_pipeline.api`: the API alone, without the dashboard."""

from llm_pipeline.api.app import create_app, serve
from llm_pipeline.config import Settings

if __name__ == "__main__":
    settings = Settings()
    serve(settings, create_app(settings))
