"""ML Dashboard: a model of another installation has no scores here, and a file that is none."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from llm_pipeline.store import models
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.wiring import now
from llm_pipeline_tests.dashboard.conftest import Dashboard, opened, sign_in


def test_models_with_and_without_scores_stand_beside_each_other(
    dashboard: Dashboard, browser: Browser, tmp_path: Path
) -> None:
    scores = {"accuracy": 0.9, "unseen_accuracy": 0.5, "unseen_ece": 0.1, "unseen_brier": 0.2}
    engine = open_engine(dashboard.settings.store_url)
    with Database(engine).begin() as session:
        for version, metrics in (("1", scores), ("2", {})):
            made = models.StoredModel(version, "run", 0, "imported", metrics, "", now(), None)
            models.add_imported(session, made)
    engine.dispose()
    broken = tmp_path / "model.zip"
    broken.write_bytes(b"no model")
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "admin")
        page = opened(context, "/ml")
        expect(page.locator("tr[data-key='1']")).to_contain_text("50.0 %")
        expect(page.locator("tr[data-key='2']")).to_contain_text("–")
        page.locator("input[type=file]").set_input_files(broken)
        expect(page.locator(".drop-files .bad")).to_contain_text("zip")
