-- A store of version 8, as its own code left it: written out by sqlite3's iterdump.
PRAGMA application_id = 1397508432;
PRAGMA user_version = 8;
BEGIN TRANSACTION;
CREATE TABLE audits (id INTEGER PRIMARY KEY AUTOINCREMENT, report TEXT NOT NULL) STRICT;
CREATE TABLE changes (sequence INTEGER PRIMARY KEY, record INTEGER NOT NULL) STRICT;
INSERT INTO "changes" VALUES(1,1);
INSERT INTO "changes" VALUES(2,2);
INSERT INTO "changes" VALUES(3,3);
INSERT INTO "changes" VALUES(4,4);
INSERT INTO "changes" VALUES(5,5);
INSERT INTO "changes" VALUES(6,6);
INSERT INTO "changes" VALUES(7,7);
CREATE TABLE coded (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER,
    blocks TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT
;
CREATE TABLE codes (
    space INTEGER NOT NULL,
    block INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (space, block)
) STRICT;
CREATE TABLE doubted_keys (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID
;
CREATE TABLE findings (
    audit INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL, type TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (audit, kind, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE kept_terms (
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    type TEXT NOT NULL,
    term BLOB NOT NULL,
    schema_version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE lease (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO "lease" VALUES(1,0);
CREATE TABLE leaves (
    after TEXT PRIMARY KEY,
    digests TEXT NOT NULL,
    keys TEXT NOT NULL,
    types TEXT NOT NULL,
    terms BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE letters (
    id TEXT PRIMARY KEY,
    key TEXT,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    position INTEGER,
    payload TEXT
) STRICT;
INSERT INTO "letters" VALUES('letter','e:n005','broken',5,1767225600000000,NULL,NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    due_at INTEGER
) STRICT;
INSERT INTO "messages" VALUES(1,'pkg_mutations','{"n": 1}',NULL);
CREATE TABLE named_values (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "named_values" VALUES('checkpoint','42','978c88cc0edfc8ed');
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    space INTEGER NOT NULL REFERENCES spaces,
    position INTEGER NOT NULL,
    entity_type TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    checksum TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    schema_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    template_version TEXT NOT NULL,
    confidence REAL,
    quality REAL,
    source_document TEXT,
    last_validated INTEGER,
    needs_reembedding INTEGER NOT NULL,
    reembedding_reason TEXT,
    metadata TEXT, embedded_confidence REAL,
    UNIQUE (key, space)
) STRICT;
INSERT INTO "records" VALUES(1,'e:n000',1,1,'Person','fingerprint-1','d50561293f4caa99',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "records" VALUES(2,'e:n001',1,2,'Person','fingerprint-2','fcf4da77799eb6b7',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "records" VALUES(3,'e:n002',1,3,'Person','fingerprint-3','75de8308fa6a6134',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "records" VALUES(4,'e:n003',1,4,'Person','fingerprint-4','0cc24f78dc062771',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "records" VALUES(5,'e:n004',1,5,'Person','fingerprint-5','0a222c45d2ac96b9',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "records" VALUES(6,'e:n005',1,6,'Person','fingerprint-6','187148e70dd956f1',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "records" VALUES(7,'e:n000',2,400,'Person','fingerprint-400','80c7066cc9f34c00',1,'0000000000000000',1767323045678901,'',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL,
    arguments TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    progress TEXT,
    answer TEXT
) STRICT;
CREATE TABLE segments (
    after TEXT PRIMARY KEY,
    digests TEXT,
    schema_version_min INTEGER,
    schema_version_max INTEGER,
    position_max INTEGER,
    writes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "segments" VALUES('','{"Person": [7, "7ca2836e81999318804fbe243fc634ef"]}',1,1,400,14);
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    model_id TEXT NOT NULL,
    model_version TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    UNIQUE (model_id, model_version, dimension, generation)
) STRICT;
INSERT INTO "spaces" VALUES(1,'suite-model','1',8,1);
INSERT INTO "spaces" VALUES(2,'suite-model','1',8,2);
CREATE TABLE tombstones (key TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "tombstones" VALUES('e:gone',7);
CREATE TABLE vectors (record INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;
INSERT INTO "vectors" VALUES(1,X'7EE8A43E6C01973E5915F1BE9E37E53EBAA0B2BDF7EDA1BE2D291DBD18FC06BF');
INSERT INTO "vectors" VALUES(2,X'B919073D40325C3E0F4A383F981D69BCA269A83E046C9F3EBF892E3DF916F43E');
INSERT INTO "vectors" VALUES(3,X'21C193BD47C7FBBEFAB515BE9B219A3E80A2ABBEDBE4CB3E4E1F3D3EA85E143F');
INSERT INTO "vectors" VALUES(4,X'7C6781BE96D4D2BE3ED4EBBE3189573EC452BBBDC4DD333F5890AEBD5168EA3C');
INSERT INTO "vectors" VALUES(5,X'037FD8BE3F3EA23E654466BEAB1C09BB4A333ABFDCEBC2BC54870BBEC4DFB2BE');
INSERT INTO "vectors" VALUES(6,X'FCD2FB3E2809F93EA287AABD8DA5553E2760333E45A3EE3EFEB72C3D32E1F0BE');
INSERT INTO "vectors" VALUES(7,X'BBA84B3E4BE2883E6048633E268A39BEA51C5D3FD196EDBCFE6E7ABEF2F36DBC');
CREATE TABLE work (
    key TEXT PRIMARY KEY,
    lane INTEGER NOT NULL,
    position INTEGER,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    reason TEXT NOT NULL,
    error TEXT,
    force INTEGER NOT NULL
, rank REAL NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
INSERT INTO "work" VALUES('e:n003',1,4,2,NULL,'retry','down',0,0.0);
CREATE INDEX tombstones_by_position ON tombstones (position);
CREATE INDEX letters_by_key ON letters (key);
CREATE INDEX messages_by_topic ON messages (topic, id);
CREATE INDEX work_by_urgency ON work (lane, rank, key);
CREATE INDEX requests_waiting ON requests (id) WHERE answer IS NULL
;
CREATE TRIGGER records_inserted AFTER INSERT ON records BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < NEW.key); END;
CREATE TRIGGER records_updated AFTER UPDATE ON records BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < NEW.key); END;
CREATE TRIGGER records_renamed AFTER UPDATE OF key ON records BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < OLD.key); END;
CREATE TRIGGER records_deleted AFTER DELETE ON records BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < OLD.key); END;
CREATE TRIGGER records_replaced BEFORE INSERT ON records BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < (SELECT key FROM records WHERE id = NEW.id)); END;
CREATE TRIGGER records_moved BEFORE UPDATE ON records WHEN NEW.id <> OLD.id BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < (SELECT key FROM records WHERE id = NEW.id)); END;
CREATE TRIGGER vectors_inserted AFTER INSERT ON vectors BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < (SELECT key FROM records WHERE id = NEW.record)); END;
CREATE TRIGGER vectors_updated AFTER UPDATE ON vectors BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < (SELECT key FROM records WHERE id = NEW.record)); END;
CREATE TRIGGER vectors_moved AFTER UPDATE ON vectors WHEN NEW.record <> OLD.record BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < (SELECT key FROM records WHERE id = OLD.record)); END;
CREATE TRIGGER vectors_deleted AFTER DELETE ON vectors BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 WHERE after = (SELECT max(after) FROM segments WHERE after < (SELECT key FROM records WHERE id = OLD.record)); END;
CREATE TRIGGER records_insert_guard BEFORE INSERT ON records WHEN NOT (
NEW.key GLOB '[er]:?*'
AND NEW.space IN (SELECT id FROM spaces)
AND CASE
    WHEN NEW.metadata IS NULL THEN 1
    WHEN json_valid(NEW.metadata) THEN json_type(NEW.metadata) = 'object'
    ELSE 0
END
AND NEW.created_at BETWEEN -62135596800000000 AND 253402300799999999
AND (NEW.last_validated IS NULL OR NEW.last_validated BETWEEN -62135596800000000 AND 253402300799999999)
) BEGIN SELECT raise(ABORT, 'not a record: key, space, metadata or a time can not be read'); END;
CREATE TRIGGER records_update_guard BEFORE UPDATE OF key, space, metadata, created_at, last_validated ON records WHEN NOT (
NEW.key GLOB '[er]:?*'
AND NEW.space IN (SELECT id FROM spaces)
AND CASE
    WHEN NEW.metadata IS NULL THEN 1
    WHEN json_valid(NEW.metadata) THEN json_type(NEW.metadata) = 'object'
    ELSE 0
END
AND NEW.created_at BETWEEN -62135596800000000 AND 253402300799999999
AND (NEW.last_validated IS NULL OR NEW.last_validated BETWEEN -62135596800000000 AND 253402300799999999)
) BEGIN SELECT raise(ABORT, 'not a record: key, space, metadata or a time can not be read'); END;
CREATE TRIGGER spaces_insert_guard BEFORE INSERT ON spaces WHEN NEW.id IN (SELECT id FROM spaces) BEGIN SELECT raise(ABORT, 'a space never changes'); END;
CREATE TRIGGER spaces_update_guard BEFORE UPDATE ON spaces WHEN 1 BEGIN SELECT raise(ABORT, 'a space never changes'); END;
CREATE TRIGGER spaces_delete_guard BEFORE DELETE ON spaces WHEN OLD.id IN (SELECT space FROM records) BEGIN SELECT raise(ABORT, 'the space holds records'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('messages',1);
COMMIT;
