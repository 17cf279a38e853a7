-- Personal data: what leaves for a language model, a plugin or an index is the redacted text; the raw one stays in its own column.

-- Null in rows that were written before; those are redacted whenever they are read.
alter table utterances add column redacted_text text;

-- `digest` is of the raw utterances. `redaction` says what was replaced where, and never the value.
alter table transcriptions
    add column redacted_digest text check (redacted_digest ~ '^[0-9a-f]{64}$'),
    add column redaction jsonb,
    add column redaction_digest text check (redaction_digest ~ '^[0-9a-f]{64}$');
