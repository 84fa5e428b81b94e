"""Our own files: their columns, and cells that no spreadsheet runs and that come back unchanged."""

from collections.abc import Iterable

# A file with this column was written by us: its CSV cells are sealed, and of its other columns
# those below say nothing that a submission has to keep.
MARK = "llm_pipeline_id"
MAPPING_COLUMNS = (
    MARK,
    "text",
    "status",
    "target",
    "proposed_target",
    "suggested_target",
    "probability",
    "model_version",
    "conflict",
    "rows",
    "version",
    "note",
    "source",
    "submitter",
    "upload",
    "created_at",
    "updated_at",
)
TARGET_COLUMNS = (MARK, "key", "name", "category", "attributes", "retired")

# A spreadsheet runs a cell that begins with one of these; the apostrophe is how we seal them.
_SEALED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def seal(cell: str) -> str:
    """Return a cell as no spreadsheet takes for a formula; `unseal` gives it back.

    >>> seal("=1+1"), seal("'tis"), seal("plain")
    ("'=1+1", "''tis", 'plain')
    """
    return f"'{cell}" if cell.startswith(_SEALED) else cell


def unseal(cell: str) -> str:
    """Return what `seal` was given.

    >>> unseal("'=1+1"), unseal("''tis"), unseal("plain")
    ('=1+1', "'tis", 'plain')
    """
    return cell.removeprefix("'")


def is_ours(names: Iterable[str]) -> bool:
    """Whether a file with these columns was written by us."""
    return MARK in names
