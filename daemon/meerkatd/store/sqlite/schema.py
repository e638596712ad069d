"""The database's shape, as a table of migrations. No I/O here.

How the rows are keyed, with the reasons:

* `messages.id` is `session_key << 31 | seq` and the table's rowid. A page by offset is then one range of one
  b-tree, and there is no second copy of the key. Measured over bodies of 500 and of 2,000 bytes in the mean,
  spread as real ones are: 1.19-1.23 stored bytes per body byte; `PRIMARY KEY (session, seq) WITHOUT ROWID`
  takes 1.72-1.86, because an index b-tree keeps at most about 1,000 bytes of a row on its page and gives the
  rest a page of its own.
  A fork shares messages of its source; `sessions.lineage` says which are whose (see `store/lineage.py`).
* `turns.id` is `session_key << 31 | ordinal`, for the same reasons; the last turn of a session is the end of a
  range.
* Sessions are listed by `sessions_newest`. Its columns run in one direction, so that walking it backwards is
  the order of the list. `archived` repeats what `archived_ms` says, under a CHECK; as a generated column the
  index would not count as covering, and a page far down the list would read the row of every session above it.
* A session's labels are a JSON object in its row, from which they are read; `session_labels` repeats them only
  to be searched.
* `charges.id` is `session_key << 31 | n` as well, in the order of recording; `usage_days` repeats their sums.
"""

APPLICATION_ID = 0x4D4B5254  # "MKRT": tells `file` and us that a database is a realm's.

SEQ_BITS = 31
SEQ_LIMIT = 1 << SEQ_BITS

# Entry n takes a database from version n to n + 1. Released entries never change.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

    CREATE TABLE sessions(
        session_key INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        message_count INTEGER NOT NULL,
        turn_count INTEGER NOT NULL,
        event_seq INTEGER NOT NULL,
        archived_ms INTEGER,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_creation_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        labels TEXT NOT NULL,
        meta TEXT NOT NULL,
        archived INTEGER NOT NULL DEFAULT 0,
        CHECK (archived = (archived_ms IS NOT NULL))
    ) STRICT;
    CREATE INDEX sessions_newest ON sessions(archived, updated_ms, session_id);

    CREATE TABLE session_labels(
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        session_key INTEGER NOT NULL REFERENCES sessions,
        PRIMARY KEY (name, value, session_key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE messages(id INTEGER PRIMARY KEY, role TEXT NOT NULL, body TEXT NOT NULL) STRICT;

    CREATE TABLE turns(
        id INTEGER PRIMARY KEY,
        turn_id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        prompt TEXT NOT NULL,
        holder TEXT NOT NULL,
        detail TEXT,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_creation_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX turns_running ON turns(id) WHERE state = 'running';

    CREATE TABLE tools(
        id INTEGER PRIMARY KEY,
        turn INTEGER NOT NULL REFERENCES turns,
        call_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        arguments TEXT NOT NULL,
        state TEXT NOT NULL,
        detail TEXT,
        UNIQUE (turn, call_id)
    ) STRICT;

    CREATE TABLE keys(
        key TEXT PRIMARY KEY,
        method TEXT NOT NULL,
        digest TEXT NOT NULL,
        session_id TEXT,
        turn_id TEXT,
        result TEXT,
        created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE sessions ADD COLUMN lineage TEXT NOT NULL DEFAULT '[]';

    CREATE TABLE charges(
        id INTEGER PRIMARY KEY,
        charge_id TEXT NOT NULL,
        turn INTEGER NOT NULL REFERENCES turns,
        at_ms INTEGER NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_creation_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cost_nanos INTEGER,
        estimated INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        tool_calls INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX charges_once ON charges(id >> 31, charge_id);

    CREATE TABLE usage_days(
        day INTEGER NOT NULL,
        session_key INTEGER NOT NULL REFERENCES sessions,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_creation_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cost_nanos INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        calls_without_cost INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        tool_calls INTEGER NOT NULL,
        PRIMARY KEY (day, session_key, provider, model)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX usage_days_of_session ON usage_days(session_key, day);

    CREATE TABLE approvals(
        approval_id TEXT PRIMARY KEY,
        turn INTEGER NOT NULL REFERENCES turns,
        call_id TEXT NOT NULL,
        state TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        decided_ms INTEGER,
        body TEXT NOT NULL,
        decision TEXT
    ) STRICT;
    CREATE INDEX approvals_newest ON approvals(created_ms, approval_id);
    CREATE INDEX approvals_by_state ON approvals(state, created_ms, approval_id);
    CREATE INDEX approvals_of_session ON approvals(turn >> 31, created_ms, approval_id);
    """,
)

FORMAT_VERSION = len(MIGRATIONS)


def packed(session_key: int, number: int) -> int:
    """The rowid of message or turn `number` of a session."""
    return session_key << SEQ_BITS | number


def unpacked(rowid: int) -> tuple[int, int]:
    """`(session_key, number)` of a rowid."""
    return rowid >> SEQ_BITS, rowid & (SEQ_LIMIT - 1)
