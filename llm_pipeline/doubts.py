"""What `doubts` shows: approved labels that the rest speaks against."""

from rich.table import Table

from llm_pipeline.steps.find_errors import find_errors
from llm_pipeline.store import label_errors
from llm_pipeline.terminal import out
from llm_pipeline.wiring import Parts, now


def show_doubts(parts: Parts, limit: int, actor: str, *, look: bool) -> None:
    """Show the surest doubts; with `look`, look for them first."""
    if look:
        found = find_errors(parts.database, actor, now)
        out.print(f"{found.texts} labels looked at, as of offset {found.as_of}")
    with parts.read() as session:
        doubts, number = label_errors.page(session, None, limit), label_errors.count(session)
    if not doubts:
        out.print("no label is in doubt; `llm-pipeline doubts --look` looks again", soft_wrap=True)
        return
    table = Table("mapping", "text", "label", "suggested", "score", "why")
    for one in doubts:
        score = f"{one.score:.1f}"
        row = (str(one.mapping_id), one.text, one.target, one.suggested_target, score, one.reason)
        table.add_row(*row)
    out.print(table)
    out.print(f"{len(doubts)} of {number} labels in doubt, the surest first")
