-- Slipstream's own objects in a template and in every slot made from it.
--
-- The invariant: whatever a session commits leaves a row in _slipstream.change or _slipstream.ddl,
-- moves a sequence, or alters what _slipstream.unseen() and _slipstream.large_objects() digest.
-- Cleaning looks at these four and at nothing else.
--
-- Layer 0 is the template. Rows are kept as the text of the whole row: text depends on no type and
-- no table, so that a test's DROP TYPE meets no dependency of ours. Only the two tables that record
-- changes are unlogged: a crash empties unlogged tables, and snapshots must survive it.

-- Not named after the role: "$user" stands in the default search_path.
CREATE SCHEMA _slipstream;

CREATE UNLOGGED TABLE _slipstream.change (
    relation oid NOT NULL,
    altered boolean NOT NULL DEFAULT true  -- not only inserted into
);

CREATE UNLOGGED TABLE _slipstream.ddl (
    tag text NOT NULL, object text NOT NULL, objid oid NOT NULL, pid int NOT NULL,
    temporary boolean NOT NULL
);

CREATE TABLE _slipstream.relation (
    relation oid PRIMARY KEY,
    name text NOT NULL,             -- as reported
    target text NOT NULL,           -- as quoted in SQL
    members oid[] NOT NULL,         -- itself and its descendants, those that store rows
    columns text[] NOT NULL,        -- quoted, without generated ones
    key text,                       -- a text expression over the primary key
    obstacle text,                  -- why it cannot be put back exactly
    toast oid NOT NULL,             -- its TOAST table, or 0
    size_limit bigint               -- bytes of either; beyond it, VACUUM
);

CREATE TABLE _slipstream.holding (
    relation oid, layer int, rows bigint NOT NULL, PRIMARY KEY (relation, layer)
);

CREATE TABLE _slipstream.snapshot (
    relation oid, layer int, number bigint, key text, content text NOT NULL,
    PRIMARY KEY (relation, layer, number)
);

CREATE TABLE _slipstream.sequence (
    relation oid PRIMARY KEY, name text NOT NULL, definition text NOT NULL,
    caches boolean NOT NULL, last_value bigint NOT NULL, is_called boolean NOT NULL
);

CREATE TABLE _slipstream.position (
    relation oid, layer int, last_value bigint NOT NULL, is_called boolean NOT NULL,
    PRIMARY KEY (relation, layer)
);

CREATE TABLE _slipstream.materialized (
    relation oid PRIMARY KEY, target text NOT NULL, populated boolean NOT NULL,
    digest text NOT NULL
);

CREATE TABLE _slipstream.large_object (
    layer int, loid oid, owner oid NOT NULL, granted boolean NOT NULL, content bytea NOT NULL,
    PRIMARY KEY (layer, loid)
);


-- Appends and never reads: two transactions must neither wait for each other here nor, when they
-- are serializable, fail because of each other.
CREATE FUNCTION _slipstream.note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO _slipstream.change VALUES (TG_RELID, TG_OP <> 'INSERT');
    RETURN NULL;
END $$;

CREATE FUNCTION _slipstream.note_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('slipstream.cleaning', true) = 'on' OR TG_TAG = 'REINDEX' THEN
        RETURN;
    END IF;
    -- These two name no object, yet change owners and rights.
    IF TG_TAG IN ('DROP OWNED', 'REASSIGN OWNED') THEN
        INSERT INTO _slipstream.ddl VALUES (TG_TAG, '', 0, pg_backend_pid(), false);
    END IF;
    INSERT INTO _slipstream.ddl
    SELECT command_tag, coalesce(object_identity, object_type), coalesce(objid, 0),
           pg_backend_pid(), coalesce(schema_name LIKE 'pg\_temp%', false)
    FROM pg_event_trigger_ddl_commands();
END $$;

CREATE FUNCTION _slipstream.note_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('slipstream.cleaning', true) = 'on' THEN
        RETURN;
    END IF;
    INSERT INTO _slipstream.ddl
    SELECT TG_TAG, object_identity, objid, pg_backend_pid(), is_temporary
    FROM pg_event_trigger_dropped_objects() WHERE original;
END $$;

CREATE EVENT TRIGGER slipstream_ddl ON ddl_command_end EXECUTE FUNCTION _slipstream.note_ddl();
ALTER EVENT TRIGGER slipstream_ddl ENABLE ALWAYS;
CREATE EVENT TRIGGER slipstream_drop ON sql_drop EXECUTE FUNCTION _slipstream.note_drop();
ALTER EVENT TRIGGER slipstream_drop ENABLE ALWAYS;

-- What is committed without a trigger or an event trigger: event triggers themselves, and the
-- database's own owner, rights and settings.
CREATE FUNCTION _slipstream.unseen(database oid) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT concat_ws('|', d.datdba, d.datacl, d.datconnlimit,
            (SELECT string_agg(concat(e.oid, ' ', e.xmin), ',') FROM pg_event_trigger e),
            (SELECT string_agg(concat(s.setrole, ' ', s.setconfig), ',')
             FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))
        FROM pg_database d WHERE d.oid = database);
END $$;

-- A digest by row versions, not by content: any write makes a new version. '' when there are none.
CREATE FUNCTION _slipstream.large_objects() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_largeobject_metadata) THEN
        RETURN '';
    END IF;
    RETURN (
        SELECT md5(string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid))
        FROM pg_largeobject_metadata
    ) || (
        SELECT coalesce(md5(string_agg(concat_ws(' ', loid, pageno, xmin, ctid), ','
                                       ORDER BY loid, pageno)), '')
        FROM pg_largeobject);
END $$;
