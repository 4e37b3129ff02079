-- sessions/schema.sql
-- SPDX-License-Identifier: MIT
--
-- Every version of the store since the first, in order: a new store runs all of them, an
-- older one those that it lacks (store.c). A version that was released is never edited; a
-- change is a new "version N" section at the end. sessions/embed.awk makes C strings of them.
--
-- Rows are found from outside by `id` (128 random bits, 32 hexadecimal digits, so that two
-- instances never collide) and joined inside by the integer `key`. Times are milliseconds
-- since 1970 unless the name says otherwise.

-- version 1
CREATE TABLE instances (
    id         TEXT PRIMARY KEY CHECK (length(id) = 32),
    pid        INTEGER NOT NULL,
    started_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- tags: sorted, one a line. active_leaf: a key of messages, not a foreign key because
-- messages are only deleted together with their conversation.
CREATE TABLE conversations (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
    title       TEXT NOT NULL,
    tags        TEXT NOT NULL DEFAULT '',
    origin      TEXT NOT NULL DEFAULT '',
    forked_from TEXT,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    active_leaf INTEGER
) STRICT;
CREATE INDEX conversations_newest ON conversations (updated_ms DESC, key DESC);

-- The tree: editing or regenerating adds a sibling, nothing is overwritten. instance is who
-- writes the row while it is streaming.
CREATE TABLE messages (
    key          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    parent       INTEGER REFERENCES messages (key) DEFERRABLE INITIALLY DEFERRED,
    role         TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    state        TEXT NOT NULL CHECK (state IN ('streaming', 'done', 'interrupted', 'error')),
    stop_reason  TEXT NOT NULL DEFAULT 'none',
    error        TEXT,
    instance     TEXT,
    created_ms   INTEGER NOT NULL,
    finished_ms  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX messages_tree ON messages (conversation, parent);
CREATE INDEX messages_parent ON messages (parent);
CREATE INDEX messages_streaming ON messages (instance) WHERE state = 'streaming';

-- Original bytes by SHA-256. In the database and not beside it: a message and its pictures
-- are then committed, copied, forgotten and backed up as one thing, with one file's
-- permissions. The bytes stand last, so that the other columns are read without them.
CREATE TABLE attachments (
    key        INTEGER PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    media_type TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    bytes      BLOB NOT NULL
) STRICT;

CREATE TABLE parts (
    key        INTEGER PRIMARY KEY,
    message    INTEGER NOT NULL REFERENCES messages (key) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    text       TEXT,
    attachment TEXT REFERENCES attachments (hash),
    name       TEXT,
    UNIQUE (message, position),
    CHECK ((text IS NULL) <> (attachment IS NULL))
) STRICT;
CREATE INDEX parts_attachment ON parts (attachment) WHERE attachment IS NOT NULL;

-- What is needed to show a reply again and to make it again. tokens: tokens.c.
CREATE TABLE replies (
    message          INTEGER PRIMARY KEY REFERENCES messages (key) ON DELETE CASCADE,
    model_name       TEXT NOT NULL,
    model_hash       TEXT NOT NULL,
    device           TEXT NOT NULL,
    build            TEXT NOT NULL,
    template_hash    TEXT NOT NULL,
    settings         TEXT NOT NULL,
    prompt_count     INTEGER NOT NULL,
    prompt           BLOB,
    prompt_ns        INTEGER NOT NULL DEFAULT 0,
    generation_ns    INTEGER NOT NULL DEFAULT 0,
    token_count      INTEGER NOT NULL DEFAULT 0,
    tokens           BLOB
) STRICT;

-- What a streaming reply has so far, one row per flush: saving costs what is new, not what
-- is there. Folded into parts and replies when the reply ends.
CREATE TABLE reply_chunks (
    message     INTEGER NOT NULL REFERENCES messages (key) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    text        TEXT NOT NULL,
    token_count INTEGER NOT NULL,
    tokens      BLOB NOT NULL,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;

-- conversation: an id, or '' for the message that begins a new one. Each instance has its
-- own; those of dead instances are taken over by whoever asks next.
CREATE TABLE drafts (
    key          INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    instance     TEXT NOT NULL,
    updated_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX drafts_conversation ON drafts (conversation, updated_ms DESC);

CREATE TABLE draft_parts (
    key        INTEGER PRIMARY KEY,
    draft      INTEGER NOT NULL REFERENCES drafts (key) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    text       TEXT,
    attachment TEXT REFERENCES attachments (hash),
    name       TEXT,
    UNIQUE (draft, position),
    CHECK ((text IS NULL) <> (attachment IS NULL))
) STRICT;
CREATE INDEX draft_parts_attachment ON draft_parts (attachment)
    WHERE attachment IS NOT NULL;

CREATE TRIGGER conversations_deleted AFTER DELETE ON conversations BEGIN
    DELETE FROM drafts WHERE conversation = old.id;
END;

-- The last one who used an attachment takes it along.
CREATE TRIGGER parts_deleted AFTER DELETE ON parts WHEN old.attachment IS NOT NULL BEGIN
    DELETE FROM attachments WHERE hash = old.attachment
        AND NOT EXISTS (SELECT 1 FROM parts WHERE attachment = old.attachment)
        AND NOT EXISTS (SELECT 1 FROM draft_parts WHERE attachment = old.attachment);
END;
CREATE TRIGGER draft_parts_deleted AFTER DELETE ON draft_parts
    WHEN old.attachment IS NOT NULL BEGIN
    DELETE FROM attachments WHERE hash = old.attachment
        AND NOT EXISTS (SELECT 1 FROM parts WHERE attachment = old.attachment)
        AND NOT EXISTS (SELECT 1 FROM draft_parts WHERE attachment = old.attachment);
END;

-- version 2
-- Full text: the indexes hold no text of their own. search.c keeps them in step and not
-- triggers: with trusted_schema off, as a file from outside demands, triggers may not write
-- to virtual tables.
CREATE VIRTUAL TABLE parts_index USING fts5 (
    text, content = 'parts', content_rowid = 'key', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE titles_index USING fts5 (
    title, tags, content = 'conversations', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO parts_index (parts_index) VALUES ('rebuild');
INSERT INTO titles_index (titles_index) VALUES ('rebuild');
