import { StoreError } from '../store-error.ts';
import type { Database, Run } from './connection.ts';

/**
 * The tables in a Postgres database (15 or newer). `store.version` is how many of these steps they have been through; a step is never
 * changed once it was released, only followed.
 */
const steps: readonly string[] = [
  `
  -- Texts that repeat, once: callers, models, paths. By their hash, since an index has no room for long ones.
  CREATE TABLE name (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, digest bytea NOT NULL UNIQUE, text text NOT NULL);

  -- The log: one row, whose lock is the turn of who writes; leaves in their order, and the hashes of subtrees that are full.
  CREATE TABLE log (
    size bigint NOT NULL, root bytea NOT NULL, at bigint NOT NULL,
    next_session bigint NOT NULL, blocks bigint NOT NULL, events bigint NOT NULL, sessions bigint NOT NULL, line_bytes bigint NOT NULL
  );
  INSERT INTO log VALUES (0, sha256(''), 0, 1, 0, 0, 0, 0);
  CREATE TABLE entry (id bigint PRIMARY KEY, text text NOT NULL);
  CREATE INDEX entry_authorities ON entry (id) WHERE starts_with(text, '{"v":1,"type":"authorities"');
  CREATE TABLE node (level integer NOT NULL, idx bigint NOT NULL, hash bytea NOT NULL, PRIMARY KEY (level, idx));
  CREATE TABLE head (size bigint PRIMARY KEY, at bigint NOT NULL, root text NOT NULL, text text NOT NULL);
  CREATE TABLE evidence (entry bigint PRIMARY KEY, data bytea NOT NULL);

  -- Chains, where they stand, and when their last block was received; what the controller says of a chain and its pod: the last line that
  -- it heard of, when the pod was gone, when that was told; 1 once the log says what never came.
  CREATE TABLE chain (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source integer NOT NULL, name text NOT NULL, namespace integer NOT NULL, pod integer NOT NULL,
    sequence bigint NOT NULL, hash text NOT NULL, received bigint,
    known bigint, known_hash text, gone bigint, told bigint, settled integer,
    UNIQUE (source, name)
  );
  CREATE INDEX chain_present ON chain (source) WHERE gone IS NULL;
  CREATE INDEX chain_departed ON chain (told) WHERE told IS NOT NULL AND settled IS NULL;

  -- Lines as they came, compressed (zstd), by the day in which they were received. The id is that of the log's entry.
  CREATE TABLE block (
    id bigint NOT NULL, chain integer NOT NULL, first bigint NOT NULL, last bigint NOT NULL,
    received bigint NOT NULL, count integer NOT NULL, size integer NOT NULL, data bytea NOT NULL,
    PRIMARY KEY (received, id)
  ) PARTITION BY RANGE (received);
  ALTER TABLE block ALTER COLUMN data SET STORAGE EXTERNAL;
  CREATE INDEX block_chain ON block (chain, last);

  CREATE TABLE session (
    id bigint PRIMARY KEY, chain integer NOT NULL, request uuid NOT NULL, sequence bigint NOT NULL, at bigint NOT NULL,
    namespace integer NOT NULL, pod integer NOT NULL,
    provider integer, issuer integer, subject integer, groups integer[], peer integer, method integer, path integer,
    dialect integer, operation integer, model integer,
    end_sequence bigint, outcome integer, status integer, code integer, tags integer[],
    bytes_in bigint, bytes_out bigint, input_tokens bigint, output_tokens bigint, duration bigint,
    UNIQUE (request, chain)
  );
  CREATE INDEX session_at ON session (at, id);
  CREATE INDEX session_subject ON session (subject, at, id);
  CREATE INDEX session_model ON session (model, at, id);
  CREATE INDEX session_code ON session (code, at, id) WHERE code IS NOT NULL;
  CREATE INDEX session_pod ON session (pod, at, id);
  CREATE INDEX session_namespace ON session (namespace, at, id);
  CREATE INDEX session_outcome ON session (outcome, at, id);
  CREATE INDEX session_operation ON session (operation, at, id);

  -- Tags of a session's end, and its caller's groups as group:NAME.
  CREATE TABLE tag (tag integer NOT NULL, session bigint NOT NULL, PRIMARY KEY (tag, session));
  -- Which blocks have lines of a session.
  CREATE TABLE part (session bigint NOT NULL, block bigint NOT NULL, received bigint NOT NULL, PRIMARY KEY (session, block));
  CREATE INDEX part_block ON part (block);

  -- The words of sessions' texts, so many sessions in each part that a word which all of them have is found in a moment.
  CREATE TABLE words (session bigint PRIMARY KEY, words tsvector NOT NULL) PARTITION BY RANGE (session);
  CREATE INDEX words_words ON words USING gin (words);
  -- The block up to which words were read, and sessions that went on there.
  CREATE TABLE indexed (received bigint NOT NULL, block bigint NOT NULL);
  INSERT INTO indexed VALUES (-1, -1);
  CREATE TABLE unfinished (session bigint PRIMARY KEY, due bigint NOT NULL);
  CREATE INDEX unfinished_due ON unfinished (due);

  -- What is kept whatever its age. NULL: any.
  CREATE TABLE hold (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL, who text NOT NULL, reason text NOT NULL, terms text NOT NULL,
    namespace integer, pod integer, subject integer, request uuid, since bigint, until bigint
  );
  `,
  `
  -- How far the log is archived: the first entry that is not, and the size of the newest head that is.
  CREATE TABLE archive (entries bigint NOT NULL, heads bigint NOT NULL);
  INSERT INTO archive VALUES (0, 0);
  `,
  `
  -- How far each receiver is: the entry that is read next, and how many of its events were taken; which recorder ships to it, until when.
  CREATE TABLE ship (
    receiver text PRIMARY KEY, entry bigint NOT NULL, events integer NOT NULL, holder uuid, until timestamptz NOT NULL
  );
  -- What a receiver never took.
  CREATE TABLE ship_dead (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver text NOT NULL, at timestamptz NOT NULL DEFAULT now(), event text NOT NULL
  );
  CREATE INDEX ship_dead_receiver ON ship_dead (receiver, id);
  `,
  `
  -- Entries of type retention, which are few.
  CREATE INDEX entry_retention ON entry (id) WHERE starts_with(text, '{"v":1,"type":"retention"');
  `,
  `
  -- The words of sessions anew, from the lines: of the newest sessions as they are; of older ones which sessions of a part have a word.
  DROP TABLE words;
  CREATE TABLE recent (session bigint PRIMARY KEY, words tsvector NOT NULL) PARTITION BY RANGE (session);
  ALTER TABLE recent ALTER COLUMN words SET STORAGE MAIN;
  CREATE TABLE posting (
    word text COLLATE "C" NOT NULL, part integer NOT NULL, sessions smallint[] NOT NULL, PRIMARY KEY (word, part)
  );
  CREATE INDEX posting_part ON posting (part);
  UPDATE indexed SET received = -1, block = -1;
  DELETE FROM unfinished;
  `,
  `
  -- Sessions that are deleted, by part and place, until their words are too.
  CREATE TABLE forgotten (
    part integer NOT NULL, place smallint NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (part, place)
  );
  `,
  `
  -- Words of sessions anew, from the lines: packed, in segments (segments.ts). Sessions that are deleted stand in "forgotten" until their words
  -- are too; "swept": up to which of them a page has none any more.
  DROP TABLE recent, posting, forgotten;
  CREATE TABLE segment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, low bigint NOT NULL, high bigint NOT NULL, pairs integer NOT NULL
  );
  CREATE TABLE posting (
    segment bigint NOT NULL, first text COLLATE "C" NOT NULL, swept bigint NOT NULL, data bytea NOT NULL,
    PRIMARY KEY (segment, first)
  );
  ALTER TABLE posting ALTER COLUMN data SET STORAGE EXTERNAL;
  CREATE TABLE forgotten (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session bigint NOT NULL, at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX forgotten_session ON forgotten (session);
  UPDATE indexed SET received = -1, block = -1;
  DELETE FROM unfinished;

  -- Tags and groups are found in their sessions, which have them anyway; what has one time is put in order as it is read.
  DROP TABLE tag;
  CREATE INDEX session_tags ON session USING gin (tags) WITH (gin_pending_list_limit = 512);
  CREATE INDEX session_groups ON session USING gin (groups) WITH (gin_pending_list_limit = 512);
  DROP INDEX session_at, session_subject, session_model, session_code, session_pod, session_namespace, session_outcome, session_operation;
  CREATE INDEX session_at ON session (at);
  CREATE INDEX session_subject ON session (subject, at);
  CREATE INDEX session_model ON session (model, at);
  CREATE INDEX session_code ON session (code, at) WHERE code IS NOT NULL;
  CREATE INDEX session_pod ON session (pod, at);
  CREATE INDEX session_namespace ON session (namespace, at);
  CREATE INDEX session_outcome ON session (outcome, at);
  CREATE INDEX session_operation ON session (operation, at);
  `,
  `
  -- Which recorder has the streams of which sidecars, until when.
  CREATE TABLE stream (holder uuid PRIMARY KEY, sources integer[] NOT NULL, until timestamptz NOT NULL);
  `,
  `
  -- What a sidecar said of a session's time, where that is not believed.
  ALTER TABLE session ADD COLUMN said bigint;
  `,
  `
  -- Sessions that were deleted since names were swept; the sweep that goes on (0: none), and the names that were given out since it began; how
  -- often names were removed. The time that deletion by age has reached.
  ALTER TABLE log ADD COLUMN unswept bigint NOT NULL DEFAULT 1, ADD COLUMN names_sweep bigint NOT NULL DEFAULT 0,
    ADD COLUMN names_removed bigint NOT NULL DEFAULT 0;
  CREATE SEQUENCE name_sweep;
  CREATE TABLE name_used (id integer PRIMARY KEY);
  CREATE TABLE retention (reached bigint NOT NULL);
  INSERT INTO retention VALUES (0);
  `,
  `
  -- The latest time that lines of a chain say, since their clock last began anew. NULL: not known.
  ALTER TABLE chain ADD COLUMN newest bigint;
  `,
  `
  -- Under another name: recorders that seal some entries alone, and do not look at the version in their turns, fail in them.
  ALTER TABLE log RENAME COLUMN root TO sealed_root;

  -- The first session that has a tag for each label that acted (search/label-tags.ts).
  ALTER TABLE log ADD COLUMN labelled bigint NOT NULL DEFAULT 1;
  UPDATE log SET labelled = next_session;

  -- The words of sessions anew, from the lines, with pairs of characters where words are not parted (search/grams.ts). How far they were read is
  -- under another name, so that no older recorder goes on without these.
  TRUNCATE segment, posting, forgotten, unfinished;
  UPDATE indexed SET received = -1, block = -1;
  ALTER TABLE indexed RENAME TO words_read;
  `,
  `
  -- Entries of type clock, which are few.
  CREATE INDEX entry_clock ON entry (id) WHERE starts_with(text, '{"v":1,"type":"clock"');
  `,
  `
  -- What goes on, or never ended, of a chain.
  CREATE INDEX session_open ON session (chain, sequence) WHERE end_sequence IS NULL;
  `,
  `
  -- The words of sessions anew, from the lines: those that stand over the end of a piece of a text, too (search/joined-texts.ts). An older recorder
  -- does nothing to the index from this version on (word-index.ts).
  TRUNCATE segment, posting, forgotten, unfinished;
  UPDATE words_read SET received = -1, block = -1;
  `,
  `
  -- What the lines of a chain, and the evidence about sidecars of a namespace, count as (held-bytes.ts).
  ALTER TABLE chain ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
  UPDATE chain c SET bytes = b.bytes FROM (SELECT chain, sum(length(data) + size / 4) AS bytes FROM block GROUP BY chain) b WHERE b.chain = c.id;
  CREATE TABLE evidence_held (namespace text PRIMARY KEY, bytes bigint NOT NULL);
  INSERT INTO evidence_held SELECT namespace, sum(bytes) FROM (
    SELECT substring(e.text::json ->> 'source' FROM '/ns/([^/]*)') AS namespace, length(v.data) AS bytes FROM evidence v JOIN entry e ON e.id = v.entry
  ) n WHERE namespace IS NOT NULL GROUP BY namespace;
  `,
  `
  -- Segments of the archive, by their first entries, that a hold wants kept, or wanted; done: the archive has said that it is so. How far it was looked at for a hold.
  CREATE TABLE archive_hold (
    segment bigint NOT NULL, hold integer NOT NULL, done boolean NOT NULL DEFAULT false, PRIMARY KEY (segment, hold)
  );
  CREATE INDEX archive_hold_hold ON archive_hold (hold, done);
  CREATE INDEX archive_hold_todo ON archive_hold (segment) WHERE NOT done;
  ALTER TABLE hold ADD COLUMN archived bigint NOT NULL DEFAULT 0;
  `,
  `
  -- The last line that the controller heard of a chain says that its sidecar stops.
  ALTER TABLE chain ADD COLUMN known_ended boolean NOT NULL DEFAULT false;
  `,
  `
  -- When the archive last said that a segment carries its hold; NULL: not known.
  ALTER TABLE archive_hold ADD COLUMN asked bigint;
  `,
  `
  -- Which restoration of an archive writes, and until when it counts (claim.ts).
  ALTER TABLE log ADD COLUMN restoring uuid, ADD COLUMN restoring_until timestamptz;
  `,
];

/** Of a store that has been through all steps. */
export const schemaVersion = steps.length;

/** For one step, which may go over a whole table, and for another recorder's steps. The chart's startup probe waits as long. */
const stepMs = 3_600_000;

/** Brings a schema to the newest version, one recorder at a time. @throws StoreError not_a_store, unavailable */
export async function migrate({ transaction }: Database, schema: string): Promise<void> {
  await transaction(async (run) => {
    await run('SELECT pg_advisory_xact_lock(hashtext($1))', [`sidegate ${schema}`]);
    const [server] = await run('SHOW server_encoding');
    if (server?.['server_encoding'] !== 'UTF8')
      throw new StoreError('not_a_store', 'the database does not have the encoding UTF8');
    if ((await run('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])).length === 0)
      await run(`CREATE SCHEMA ${schema}`);
    const version = await versionOf(run, schema);
    if (version > steps.length)
      throw new StoreError('not_a_store', 'the store was written by a newer version of the recorder');
    // A turn of another recorder has come to its end, or finds another version at it (log.ts).
    if (version > 0 && version < steps.length) await run('LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
    for (const step of steps.slice(version)) await run(step);
    await run('UPDATE store SET version = $1', [steps.length]);
  }, stepMs);
}

/** That a database has a store of this version, in the schema of the connection. @throws StoreError not_a_store */
export async function needStore(run: Run): Promise<void> {
  const [there] = await run(`SELECT to_regclass('store') IS NOT NULL AND to_regclass('log') IS NOT NULL AS there`);
  if (there?.['there'] !== true) throw new StoreError('not_a_store', 'the database there has no store of records');
  if (Number((await run('SELECT version FROM store'))[0]?.['version']) !== steps.length)
    throw new StoreError('not_a_store', 'the store there is of another version of the recorder');
}

async function versionOf(run: Run, schema: string): Promise<number> {
  const tables = await run('SELECT tablename FROM pg_tables WHERE schemaname = $1', [schema]);
  if (tables.length === 0) {
    await run('CREATE TABLE store (version integer NOT NULL)');
    await run('INSERT INTO store VALUES (0)');
    return 0;
  }
  if (!tables.some((row) => row['tablename'] === 'store'))
    throw new StoreError('not_a_store', 'the schema of the database has tables that are not of a store of records');
  return Number((await run('SELECT version FROM store'))[0]?.['version'] ?? 0);
}
