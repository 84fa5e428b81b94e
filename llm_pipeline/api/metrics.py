"""`/metrics` for Prometheus: requests as they were counted, everything else as the store has it."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from llm_pipeline.api import auth
from llm_pipeline.api.auth import Caller, Guard
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.domain.health import Health
from llm_pipeline.domain.records import Role
from llm_pipeline.store import gauges
from llm_pipeline.store.gauges import Gauges

router = APIRouter(tags=["Health"])

# What a proxy says of who asked: then the address of the connection is the proxy's.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_SEVERITIES = ("critical", "warning")


class ScrapeGuard(Guard):
    """Lets viewers pass; with the setting `metrics_open` also whoever asks from this machine."""

    def __call__(
        self,
        request: Request,
        services: Given,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(auth.bearer)],
        cookie: Annotated[str | None, Depends(auth.cookie)],
    ) -> Caller:
        if services.parts.settings.metrics_open and bearer is None and _is_near(request):
            return Caller("scrape", Role.VIEWER, "token")
        return super().__call__(request, services, bearer, cookie)


def _is_near(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return ipaddress.ip_address(request.client.host).is_loopback


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[Depends(ScrapeGuard(Role.VIEWER))],
)
def get_metrics(services: Given) -> Response:
    """A viewer's token, in Prometheus as `authorization: {credentials: TOKEN}`."""
    with services.parts.read() as session:
        found = gauges.read(session)
    of_store = CollectorRegistry()
    of_store.register(_Standing(services, found))
    told = generate_latest(services.requests.registry) + generate_latest(of_store)
    return Response(told, media_type=CONTENT_TYPE_LATEST)


class _Standing(Collector):
    """How the store and the components stand, at one scrape."""

    def __init__(self, services: Services, found: Gauges) -> None:
        self._services = services
        self._found = found

    def collect(self) -> Iterator[Metric]:
        found, live = self._found, self._services.live
        yield _labelled("mappings", "Mappings by status", "status", found.mappings)
        yield _gauge("queue_mappings", "Mappings that wait for a person", found.mappings["pending"])
        yield _gauge("queue_rows", "Submissions behind them", found.waiting_rows)
        yield CounterMetricFamily(
            "llm_pipeline_submissions", "Submissions taken in", value=found.submissions
        )
        yield _gauge("log_offset", "Offset of the newest event", found.offset)
        behind = max(0, found.offset - live.serving.offset)
        yield _gauge("recogniser_lag_events", "Events recognition has not followed yet", behind)
        yield _model(found, live.serving.version)
        severities = {one: found.open_alerts.get(one, 0) for one in _SEVERITIES}
        yield _labelled("open_alerts", "Open alerts by severity", "severity", severities)
        yield _gauge("open_audits", "Audits that nobody answered yet", found.open_audits)
        yield CounterMetricFamily(
            "llm_pipeline_audits_answered", "Audits answered", value=found.answered_audits
        )
        yield _gauge("uploads_under_way", "Files on their way in", found.uploads_under_way)
        yield _gauge(
            "automation_stops", "What stops automatic approval now", found.automation_stops
        )
        yield self._components()

    def _components(self) -> Metric:
        told = GaugeMetricFamily(
            "llm_pipeline_component_status",
            "1 for the status that a component has",
            labels=["component", "status"],
        )
        for one in self._services.watcher.standing():
            for status in Health:
                told.add_metric([one.component, status.value], float(one.status is status))
        return told


def _gauge(name: str, told: str, value: int) -> Metric:
    return GaugeMetricFamily(f"llm_pipeline_{name}", told, value=value)


def _labelled(name: str, told: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"llm_pipeline_{name}", told, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _model(found: Gauges, serving: str) -> Metric:
    champion = found.champion
    said = {"serving": serving, "champion": "", "as_of": ""}
    if champion is not None:
        said |= {"champion": champion.version, "as_of": str(champion.as_of)}
    return InfoMetricFamily("llm_pipeline_model", "The champion, and which answers", value=said)
