"""What mappings stand as they do by: a policy, a model's answer, a person. For filters."""

from sqlalchemy import ColumnElement, func, select

from llm_pipeline.store.schema import decisions, mappings

_d = decisions.c


def _by(*made: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the newest decision about a mapping is one of these."""
    later = decisions.alias("later")
    newest = select(func.max(later.c.id)).where(later.c.mapping_id == _d.mapping_id)
    found = select(_d.mapping_id).where(*made, _d.id == newest.scalar_subquery())
    return mappings.c.id.in_(found)


def by_policy(policy_id: int) -> ColumnElement[bool]:
    """Whether a version of the policy approved a mapping, and nobody decided since."""
    return _by(_d.policy_id == policy_id)


def by_model(version: str) -> ColumnElement[bool]:
    """Whether a policy approved a mapping by the answer of a model, and nobody decided since."""
    return _by(_d.policy_id.is_not(None), _d.model_version == version)


def by_actor(actor: str) -> ColumnElement[bool]:
    """Whether somebody was the last to decide about a mapping."""
    return _by(_d.actor == actor)
