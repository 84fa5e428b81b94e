"""`python -m llm_pipeline.dashboard`: API and dashboard, as `llm-pipeline up` starts them."""

from llm_pipeline.api.app import create_app, serve
from llm_pipeline.config import Settings
from llm_pipeline.dashboard.mount import mount

if __name__ == "__main__":
    settings = Settings()
    app = create_app(settings)
    mount(app)
    serve(settings, app)
