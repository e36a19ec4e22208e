import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from './store-error.ts';

/**
 * The tables of the embedded store. `PRAGMA user_version` is how many of these steps a file has been through; a step is never
 * changed once it was released, only followed.
 */
const steps: readonly string[] = [
  `
  -- Texts that repeat, once: callers, models, paths.
  CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

  -- The log: leaves in their order, and the hashes of subtrees that are full.
  CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
  CREATE TABLE node (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
  CREATE TABLE head (size INTEGER PRIMARY KEY, at INTEGER NOT NULL, root TEXT NOT NULL, text TEXT NOT NULL) STRICT;
  CREATE TABLE evidence (entry INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

  -- Chains and where they stand.
  CREATE TABLE chain (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    name TEXT NOT NULL,
    namespace INTEGER NOT NULL,
    pod INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (source, name)
  ) STRICT;

  -- Lines as they came, compressed (zstd). The id is that of the log's entry. data NULL: deleted by retention.
  CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    chain INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    received INTEGER NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    data BLOB
  ) STRICT;
  CREATE UNIQUE INDEX block_chain ON block (chain, first);
  CREATE INDEX block_kept ON block (received) WHERE data IS NOT NULL;

  CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    chain INTEGER NOT NULL,
    request BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    pod INTEGER NOT NULL,
    provider INTEGER, issuer INTEGER, subject INTEGER, groups INTEGER,
    peer INTEGER, method INTEGER, path INTEGER, dialect INTEGER, operation INTEGER, model INTEGER,
    endSequence INTEGER, outcome INTEGER, status INTEGER, code INTEGER, tags INTEGER,
    bytesIn INTEGER, bytesOut INTEGER, inputTokens INTEGER, outputTokens INTEGER, duration INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX session_request ON session (request, chain);
  CREATE INDEX session_at ON session (at);
  CREATE INDEX session_subject ON session (subject, at);
  CREATE INDEX session_model ON session (model, at);
  CREATE INDEX session_code ON session (code, at) WHERE code IS NOT NULL;
  CREATE INDEX session_pod ON session (pod, at);

  CREATE TABLE tag (tag INTEGER NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (tag, session)) STRICT, WITHOUT ROWID;
  -- Which blocks have lines of a session.
  CREATE TABLE part (session INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (session, block)) STRICT, WITHOUT ROWID;
  CREATE INDEX part_block ON part (block);

  -- The texts of sessions, as an index alone; and which sessions it lacks, from when on it should not.
  CREATE VIRTUAL TABLE words USING fts5 (
    text, content='', contentless_delete=1, detail=none, tokenize="unicode61 remove_diacritics 2"
  );
  CREATE TABLE unindexed (session INTEGER PRIMARY KEY, due INTEGER NOT NULL) STRICT;

  CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO counter VALUES ('blocks', 0), ('events', 0), ('sessions', 0), ('lineBytes', 0);
  `,
  `
  -- What the controller says of a chain and its pod: the last line that it heard of; when the pod was gone, and when that was told;
  -- 1 once the log says what never came.
  ALTER TABLE chain ADD COLUMN known INTEGER;
  ALTER TABLE chain ADD COLUMN knownHash TEXT;
  ALTER TABLE chain ADD COLUMN gone INTEGER;
  ALTER TABLE chain ADD COLUMN told INTEGER;
  ALTER TABLE chain ADD COLUMN settled INTEGER;
  CREATE INDEX chain_present ON chain (source) WHERE gone IS NULL;
  CREATE INDEX chain_departed ON chain (told) WHERE told IS NOT NULL AND settled IS NULL;
  -- Entries of type authorities, which are few.
  CREATE INDEX entry_authorities ON entry (id) WHERE substr(text, 1, 27) = '{"v":1,"type":"authorities"';
  `,
  `
  -- The words are in a file of their own, which follows; here is what it has to forget.
  DROP TABLE words;
  DROP TABLE unindexed;
  CREATE TABLE dropped (id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL) STRICT;
  CREATE INDEX session_namespace ON session (namespace, at);
  CREATE INDEX session_groups ON session (groups, at);
  CREATE INDEX session_outcome ON session (outcome, at);
  CREATE INDEX session_operation ON session (operation, at);
  `,
  `
  -- What is kept whatever its age. NULL: any.
  CREATE TABLE hold (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, terms TEXT NOT NULL,
    namespace INTEGER, pod INTEGER, subject INTEGER, request BLOB, since INTEGER, until INTEGER
  ) STRICT;
  `,
  `
  -- How far the log is archived: the first entry that is not, and the size of the newest head that is.
  CREATE TABLE archive (entries INTEGER NOT NULL, heads INTEGER NOT NULL) STRICT;
  INSERT INTO archive VALUES (0, 0);
  `,
  `
  -- Entries of type retention, which are few.
  CREATE INDEX entry_retention ON entry (id) WHERE substr(text, 1, 25) = '{"v":1,"type":"retention"';
  `,
  `
  -- What a sidecar said of a session's time, where that is not believed.
  ALTER TABLE session ADD COLUMN said INTEGER;
  `,
  `
  -- A block whose lines are deleted is its entry alone: the room of its row is for new ones. And what a session that goes has as tags.
  DELETE FROM block WHERE data IS NULL;
  CREATE INDEX tag_session ON tag (session);
  `,
  `
  -- Sessions that were deleted since names were swept, and how often that has removed some; the time that deletion by age has reached.
  INSERT INTO counter VALUES ('unswept', 1), ('sweeps', 0), ('retentionReached', 0);
  `,
  `
  -- The latest time that lines of a chain say, since their clock last began anew. NULL: not known.
  ALTER TABLE chain ADD COLUMN newest INTEGER;
  `,
  `
  -- The first session that has a tag for each label that acted (search/label-tags.ts).
  INSERT INTO counter SELECT 'labelled', ifnull(max(id), 0) + 1 FROM session;
  `,
  `
  -- Entries of type clock, which are few.
  CREATE INDEX entry_clock ON entry (id) WHERE substr(text, 1, 21) = '{"v":1,"type":"clock"';
  `,
  `
  -- What goes on, or never ended, of a chain.
  CREATE INDEX session_open ON session (chain, sequence) WHERE endSequence IS NULL;
  `,
  `
  -- What the lines of a chain, and the evidence about sidecars of a namespace, count as (held-bytes.ts).
  ALTER TABLE chain ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE chain SET bytes = (SELECT ifnull(sum(length(b.data) + b.size / 4), 0) FROM block b WHERE b.chain = chain.id);
  CREATE TABLE evidence_held (namespace TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO evidence_held SELECT namespace, sum(bytes) FROM (
    SELECT substr(rest, 1, instr(rest || '/', '/') - 1) AS namespace, bytes FROM (
      SELECT substr(source, instr(source, '/ns/') + 4) AS rest, bytes FROM (
        SELECT json_extract(e.text, '$.source') AS source, length(v.data) AS bytes FROM evidence v JOIN entry e ON e.id = v.entry
      ) WHERE instr(source, '/ns/') > 0)
  ) GROUP BY namespace;
  `,
  `
  -- Segments of the archive, by their first entries, that a hold wants kept, or wanted; done 1: the archive has said that it is so. How far it was looked at for a hold.
  CREATE TABLE archive_hold (
    segment INTEGER NOT NULL, hold INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (segment, hold)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX archive_hold_hold ON archive_hold (hold, done);
  CREATE INDEX archive_hold_todo ON archive_hold (segment) WHERE done = 0;
  ALTER TABLE hold ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- 1: the last line that the controller heard of a chain says that its sidecar stops.
  ALTER TABLE chain ADD COLUMN knownEnded INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- When the archive last said that a segment carries its hold; NULL: not known.
  ALTER TABLE archive_hold ADD COLUMN asked INTEGER;
  `,
];

/** Marks a file as ours: `SGre`. */
const applicationId = 0x53_47_72_65;

/** Brings an open file to the newest version. @throws StoreError not_a_store */
export function migrate(db: DatabaseSync): void {
  const pragma = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
  const version = pragma('user_version');
  const owner = pragma('application_id');
  const empty = db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (!empty && owner !== applicationId) throw new StoreError('not_a_store', 'the file is not a store of records');
  if (version > steps.length)
    throw new StoreError('not_a_store', 'the store was written by a newer version of the recorder');
  for (const [at, step] of steps.entries()) {
    if (at < version) continue;
    db.exec('BEGIN IMMEDIATE');
    try {
      db.exec(step);
      db.exec(`PRAGMA application_id = ${applicationId}`);
      db.exec(`PRAGMA user_version = ${at + 1}`);
      db.exec('COMMIT');
    } catch (error) {
      // Some errors have ended it already.
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }
}
