-- The simulator's book. Amounts are paise, times RFC 3339 text in UTC with microseconds.
CREATE TABLE IF NOT EXISTS accounts (
    bank TEXT NOT NULL,
    name TEXT NOT NULL,
    balance INTEGER NOT NULL DEFAULT 0,
    may_overdraw INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bank, name),
    CHECK (may_overdraw OR balance >= 0)
) STRICT;

CREATE TABLE IF NOT EXISTS postings (
    id INTEGER PRIMARY KEY,
    bank TEXT NOT NULL,
    at TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    reference TEXT NOT NULL,
    utr TEXT NOT NULL,
    nodal_balance_after INTEGER NOT NULL,
    CHECK (debit <> credit),
    FOREIGN KEY (bank, debit) REFERENCES accounts (bank, name),
    FOREIGN KEY (bank, credit) REFERENCES accounts (bank, name)
) STRICT;
CREATE INDEX IF NOT EXISTS postings_by_time ON postings (bank, at);
CREATE TRIGGER IF NOT EXISTS postings_never_change BEFORE UPDATE ON postings
    BEGIN SELECT RAISE(ABORT, 'a posting never changes'); END;
CREATE TRIGGER IF NOT EXISTS postings_never_go BEFORE DELETE ON postings
    BEGIN SELECT RAISE(ABORT, 'a posting never goes'); END;

CREATE TABLE IF NOT EXISTS sessions (
    token TEXT PRIMARY KEY,
    bank TEXT NOT NULL,
    reference TEXT NOT NULL,
    user_id TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    return_url TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'declined')),
    reason TEXT,
    bank_reference TEXT,
    customer TEXT,
    expires_at TEXT NOT NULL,
    UNIQUE (bank, reference)
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_pending ON sessions (expires_at) WHERE status = 'pending';

-- A reference is unique only while idempotency is on, so the table cannot say so.
CREATE TABLE IF NOT EXISTS payouts (
    id INTEGER PRIMARY KEY,
    bank TEXT NOT NULL,
    reference TEXT NOT NULL,
    asked TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    status TEXT NOT NULL CHECK (status IN ('PROCESSING', 'SUCCESS', 'FAILED', 'REVERSED')),
    utr TEXT,
    code TEXT,
    message TEXT,
    will_refuse INTEGER NOT NULL DEFAULT 0,
    will_reverse INTEGER NOT NULL DEFAULT 0,
    due_at TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS payouts_by_reference ON payouts (bank, reference);
CREATE INDEX IF NOT EXISTS payouts_due ON payouts (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    bank TEXT NOT NULL,
    reference TEXT NOT NULL,
    user_ref TEXT NOT NULL,
    amount INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT NOT NULL DEFAULT 'answering'
) STRICT;
CREATE INDEX IF NOT EXISTS calls_by_time ON calls (bank, started_at);
CREATE INDEX IF NOT EXISTS calls_by_reference ON calls (bank, reference);
-- What the platform says of the trace that a call belongs to. A table of its own, which an older file gets as well.
CREATE TABLE IF NOT EXISTS call_traces (
    call_id INTEGER PRIMARY KEY REFERENCES calls (id),
    traceparent TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    bank TEXT NOT NULL,
    flow TEXT NOT NULL CHECK (flow IN ('payment', 'payout')),
    facts TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'delivered', 'rejected', 'dropped', 'exhausted')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    overtaken INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    wrong_amount INTEGER NOT NULL DEFAULT 0,
    bad_signature INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS notices_pending ON notices (due_at) WHERE status = 'pending';

CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    notice_id INTEGER NOT NULL REFERENCES notices (id),
    at TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('normal', 'duplicate', 'wrong_amount', 'bad_signature', 'resent')),
    status INTEGER,
    answer TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_by_notice ON deliveries (notice_id);

CREATE TABLE IF NOT EXISTS faults (bank TEXT PRIMARY KEY, chosen TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS counters (
    bank TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (bank, name)
) STRICT;
