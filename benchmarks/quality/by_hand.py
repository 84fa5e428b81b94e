"""The checks of all gates as somebody would write them by hand: few statements, only counts."""

# ruff: noqa: S608 (nothing but the constants below is put into statements)

from sqlalchemy import Engine, create_engine, text

_CONTROL = "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"
_LIVE = "m.status IN ('approved', 'auto_approved')"
# What the training set at offset 1 holds.
_FROZEN = """(SELECT id, target_id FROM mappings WHERE status = 'approved' AND live_from <= 1
    UNION ALL SELECT mapping_id, target_id FROM live_spans WHERE live_from <= 1 AND live_to > 1)"""


def statements(kind: str) -> list[str]:
    """Return the statements for a kind of database."""
    control = f"GLOB '*{_CONTROL}*'" if kind == "sqlite" else f"~ '{_CONTROL}'"
    return [
        # submissions
        f"""SELECT count(*), count(*) FILTER (WHERE s.text IS NULL),
            count(*) FILTER (WHERE length(s.text) > 2000),
            count(*) FILTER (WHERE trim(s.text) = '' OR s.text {control}),
            count(*) FILTER (WHERE s.target_id IS NOT NULL AND t.id IS NULL)
            FROM submissions s LEFT JOIN targets t ON t.id = s.target_id""",
        """SELECT count(*) FROM (SELECT upload_id, row FROM submissions WHERE upload_id IS NOT NULL
            AND row IS NOT NULL GROUP BY upload_id, row HAVING count(*) > 1) AS doubled""",
        """SELECT count(*), count(*) FILTER (WHERE conflict) FROM mappings
            WHERE status = 'pending'""",
        # approved_mappings
        f"""SELECT count(*), count(*) FILTER (WHERE t.id IS NULL),
            count(*) FILTER (WHERE t.retired_at IS NOT NULL),
            count(*) FILTER (WHERE length(m.normalized) < 1)
            FROM mappings m LEFT JOIN targets t ON t.id = m.target_id WHERE {_LIVE}""",
        f"""SELECT count(*) FROM (SELECT normalized FROM mappings m WHERE {_LIVE}
            GROUP BY normalized HAVING count(*) > 1) AS twice""",
        f"""SELECT max(number), sum(number) FROM (SELECT count(*) AS number FROM mappings m
            WHERE {_LIVE} GROUP BY target_id) AS counts""",
        # training_set
        f"""SELECT count(*), count(*) FILTER (WHERE t.id IS NULL),
            count(*) FILTER (WHERE t.retired_at IS NOT NULL),
            count(*) FILTER (WHERE length(m.text) NOT BETWEEN 1 AND 2000)
            FROM {_FROZEN} AS l JOIN mappings m ON m.id = l.id
            LEFT JOIN targets t ON t.id = l.target_id""",
        f"""SELECT count(*) FROM (SELECT normalized FROM {_FROZEN} AS l
            JOIN mappings m ON m.id = l.id GROUP BY normalized HAVING count(*) > 1) AS twice""",
        f"""SELECT count(number), max(number), sum(number) FROM (SELECT count(*) AS number
            FROM {_FROZEN} AS l GROUP BY target_id) AS counts""",
        """SELECT count(DISTINCT mapping_id) FROM live_spans WHERE live_to <= 1
            AND ended_by IN ('superseded', 'corrected')""",
        f"""SELECT count(*) FROM (SELECT replace(key, ' ', '') FROM {_FROZEN} AS l
            JOIN mappings m ON m.id = l.id GROUP BY replace(key, ' ', '')
            HAVING min(key) <> max(key)) AS leaked""",
        # predictions
        """SELECT count(*), count(*) FILTER (WHERE m.probability IS NULL),
            count(*) FILTER (WHERE m.probability NOT BETWEEN 0 AND 1),
            count(*) FILTER (WHERE m.probability > 0.9999),
            count(*) FILTER (WHERE t.id IS NULL OR t.retired_at IS NOT NULL)
            FROM mappings m LEFT JOIN targets t ON t.id = m.suggested_target_id
            WHERE m.status = 'pending' AND m.suggested_target_id IS NOT NULL""",
        """SELECT suggested_target_id, count(*) FROM mappings WHERE status = 'pending'
            AND model_version IS NOT NULL GROUP BY suggested_target_id""",
    ]


def run(engine: Engine) -> list[object]:
    """Ask everything on a connection without settings; return the first row of each answer."""
    plain = create_engine(engine.url)
    with plain.connect() as connection:
        asked = statements(engine.dialect.name)
        return [connection.execute(text(one.replace(":", "\\:"))).first() for one in asked]
