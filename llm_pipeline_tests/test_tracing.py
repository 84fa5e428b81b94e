"""Traces as a collector gets them: real OTLP over HTTP, from a process of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import llm_pipeline

# A provider is set once in a process, so it is another one that is traced.
TRACED = """
import sys
from pathlib import Path
from dagster import DagsterInstance
from llm_pipeline.config import Settings
from llm_pipeline.definitions import build_definitions
from llm_pipeline.defs.resources import Pipeline
from llm_pipeline_tests.api.live_server import prepare, running

if __name__ == "__main__":
    settings = Settings(home=Path(sys.argv[1]))
    prepare(settings).dispose()
    with running(settings) as server, server.client() as client:
        client.get("/api/llm-center/mappings/7")
    definitions = build_definitions({"pipeline": Pipeline(home=sys.argv[1])})
    with DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("policy")
        assert job.execute_in_process(instance=instance).success
"""


class Collector:
    """What was posted to /v1/traces."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        taken = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = {pair.key: pair.value.string_value for pair in one.resource.attributes}
                    taken.extend(
                        (named["service.name"], span)
                        for scope in one.scope_spans
                        for span in scope.spans
                    )
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name: str) -> Span:
        (found,) = [span for _, span in self.spans if span.name == name]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def ran(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TRACED, str(tmp_path / "home")],
        cwd=Path(llm_pipeline.__file__).parents[1],
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_requests_and_runs_with_their_assets_are_traced(
    tmp_path: Path, collector: Collector
) -> None:
    port = collector.server.server_port
    done = ran(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    request = collector.named("GET /api/llm-center/mappings/{mapping_id}")
    run, asset = collector.named("run policy"), collector.named("asset approval_policy")
    assert asset.parent_span_id == run.span_id
    assert asset.trace_id == run.trace_id != request.trace_id
    (run_id,) = [one.value.string_value for one in run.attributes]
    assert len(run_id) == 36
    assert {service for service, _ in collector.spans} == {"llm_pipeline api"}


def test_nothing_is_sent_unless_it_is_asked_for(tmp_path: Path, collector: Collector) -> None:
    assert ran(tmp_path).returncode == 0
    assert collector.spans == []
