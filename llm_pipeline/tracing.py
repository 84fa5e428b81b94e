"""Traces for OpenTelemetry: off, unless its own variables say where they go.

`OTEL_EXPORTER_OTLP_ENDPOINT` switches them on; all other `OTEL_...` variables hold as they do
everywhere. What is traced: requests, uploads and plans, runs with their assets and checks.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from opentelemetry import trace

P = ParamSpec("P")
R = TypeVar("R")

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NAME = "OTEL_SERVICE_NAME"


def start(service: str) -> bool:
    """Send the traces of this process, if they are wanted; return whether they are."""
    if not any(os.environ.get(name) for name in _SWITCHES):
        return False
    # Imported here: nobody pays for what is off.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        named = {} if os.environ.get(_NAME) else {"service.name": service}
        provider = TracerProvider(resource=Resource.create(named))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    return True


def flush() -> None:
    """Send what has not been sent yet; without traces this does nothing."""
    provider = trace.get_tracer_provider()
    send = getattr(provider, "force_flush", None)
    if send is not None:
        send()


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Trace a block; what it raises is told in the span and raised on."""
    told = {f"llm_pipeline.{key}": value for key, value in attributes.items()}
    with trace.get_tracer("llm_pipeline").start_as_current_span(name, attributes=told):
        yield


def traced(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Return a function whose every call is a span."""

    @functools.wraps(function)
    def calling(*args: P.args, **kwargs: P.kwargs) -> R:
        with span(name):
            return function(*args, **kwargs)

    return calling
