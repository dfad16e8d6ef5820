-- Layers: what wider fixtures wrote, pushed, popped, and carried over to a new database.

CREATE FUNCTION slipstream.push_layer(mark jsonb, number int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    touched oid[];
    ddl text[];
    names text[];
    moved text[];
BEGIN
    WITH gone AS (DELETE FROM slipstream.change RETURNING relation)
    SELECT coalesce(array_agg(DISTINCT relation), '{}') INTO touched FROM gone;
    WITH gone AS (DELETE FROM slipstream.ddl RETURNING *)
    SELECT coalesce(array_agg(rtrim(tag || ' ' || object)) FILTER (
               WHERE NOT temporary AND NOT slipstream.only_restarts(tag, objid)), '{}')
    INTO ddl FROM gone;
    IF mark->>'unseen' IS DISTINCT FROM slipstream.unseen() THEN
        ddl := ddl || 'a change of event triggers or of the database itself'::text;
    END IF;
    names := ARRAY(SELECT name FROM slipstream.relation WHERE relation = ANY (touched));
    IF ddl <> '{}' THEN
        -- Any table may have other columns now: snapshots below this layer are void.
        PERFORM slipstream.instrument();
        names := ARRAY(SELECT name FROM slipstream.relation WHERE relation = ANY (touched));
        touched := ARRAY(SELECT relation FROM slipstream.relation);
        INSERT INTO slipstream.position
        SELECT relation, number, last_value, is_called FROM slipstream.sequence;
    END IF;
    PERFORM slipstream.hold(number, slipstream.worth_holding(slipstream.stored(touched)));
    moved := slipstream.hold_positions(number);
    IF mark->>'large_objects' <> slipstream.large_objects() THEN
        PERFORM slipstream.hold_large_objects(number);
        moved := moved || 'pg_catalog.pg_largeobject'::text;
    END IF;
    RETURN jsonb_build_object(
        'tables', ARRAY(SELECT DISTINCT n FROM unnest(names || moved) n ORDER BY n),
        'ddl', ddl, 'mark', slipstream.mark());
END $$;

CREATE FUNCTION slipstream.hold_positions(into_layer int) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    names text[];
BEGIN
    WITH moved AS (
        UPDATE slipstream.sequence s SET last_value = m.last_value, is_called = m.is_called
        FROM slipstream.moved() m WHERE m.relation = s.relation
        RETURNING s.relation, s.name, s.last_value, s.is_called
    ), recorded AS (
        INSERT INTO slipstream.position
        SELECT relation, into_layer, last_value, is_called FROM moved
    )
    SELECT coalesce(array_agg(name), '{}') INTO names FROM moved;
    RETURN names;
END $$;

-- What a layer holds, to lay it on a new database.
CREATE FUNCTION slipstream.export_layer(asked int) RETURNS text LANGUAGE sql STABLE AS $$
SELECT json_build_object(
    'holding', (SELECT json_agg(h) FROM slipstream.holding h WHERE layer = asked),
    'snapshot', (SELECT json_agg(s) FROM slipstream.snapshot s WHERE layer = asked),
    'position', (SELECT json_agg(p) FROM slipstream.position p WHERE layer = asked),
    'large_object', (SELECT json_agg(o) FROM slipstream.large_object o WHERE layer = asked)) $$;

-- The recorded position of a sequence is that of its topmost layer.
CREATE FUNCTION slipstream.settle_positions() RETURNS void LANGUAGE sql AS $$
UPDATE slipstream.sequence s SET last_value = p.last_value, is_called = p.is_called
FROM (SELECT DISTINCT ON (relation) * FROM slipstream.position ORDER BY relation, layer DESC) p
WHERE p.relation = s.relation
  AND (p.last_value <> s.last_value OR p.is_called <> s.is_called) $$;

-- Lays a layer on top; the next clean() makes the tables hold its rows.
CREATE FUNCTION slipstream.import_layer(exported json) RETURNS void LANGUAGE sql AS $$
INSERT INTO slipstream.holding
SELECT * FROM json_populate_recordset(NULL::slipstream.holding, exported->'holding');
INSERT INTO slipstream.snapshot
SELECT * FROM json_populate_recordset(NULL::slipstream.snapshot, exported->'snapshot');
INSERT INTO slipstream.position
SELECT * FROM json_populate_recordset(NULL::slipstream.position, exported->'position');
INSERT INTO slipstream.large_object
SELECT * FROM json_populate_recordset(NULL::slipstream.large_object, exported->'large_object');
INSERT INTO slipstream.change
SELECT relation FROM json_populate_recordset(NULL::slipstream.holding, exported->'holding')
WHERE relation <> 'pg_largeobject'::regclass;
SELECT slipstream.settle_positions() $$;

-- Takes a layer out, also from under others; the next clean() puts back what it held.
CREATE FUNCTION slipstream.pop_layer(asked int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM slipstream.rebase(h.relation, asked, above.layer)
    FROM slipstream.holding h JOIN slipstream.holding above
         ON above.relation = h.relation AND above.layer > h.layer
    WHERE h.layer = asked AND h.relation <> 'pg_largeobject'::regclass;
    INSERT INTO slipstream.change
    SELECT relation FROM slipstream.holding
    WHERE layer = asked AND relation <> 'pg_largeobject'::regclass;
    DELETE FROM slipstream.holding WHERE layer = asked;
    DELETE FROM slipstream.snapshot WHERE layer = asked;
    DELETE FROM slipstream.position WHERE layer = asked;
    DELETE FROM slipstream.large_object WHERE layer = asked;
    PERFORM slipstream.settle_positions();
END $$;

-- Takes what a layer had done to a table out of a layer above it. Against what lies below, rows
-- that it had added go, and rows that it had removed come back, unless the layer above has a row
-- of its own with the same key. `copy` tells equal rows apart: of two only as many go as were added.
CREATE FUNCTION slipstream.rebase(asked oid, removed int, above int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    below int := (SELECT max(layer) FROM slipstream.holding
                  WHERE relation = asked AND layer < removed);
BEGIN
    WITH numbered AS (
        SELECT layer, number, key, content,
               row_number() OVER (PARTITION BY layer, content ORDER BY number) AS copy
        FROM slipstream.snapshot WHERE relation = asked AND layer IN (below, removed, above)
    ), added AS (
        SELECT content, copy FROM numbered r WHERE layer = removed AND NOT EXISTS (
            SELECT FROM numbered b
            WHERE b.layer = below AND b.content = r.content AND b.copy = r.copy)
    ), taken AS (
        SELECT key, content FROM numbered b WHERE layer = below AND NOT EXISTS (
            SELECT FROM numbered r
            WHERE r.layer = removed AND r.content = b.content AND r.copy = b.copy)
    ), gone AS (
        DELETE FROM slipstream.snapshot s USING numbered n, added a
        WHERE n.layer = above AND n.content = a.content AND n.copy = a.copy
          AND s.relation = asked AND s.layer = above AND s.number = n.number
        RETURNING s.number
    )
    INSERT INTO slipstream.snapshot
    SELECT asked, above,
           (SELECT coalesce(max(number), 0) FROM numbered) + row_number() OVER (), t.key, t.content
    FROM taken t
    WHERE NOT EXISTS (
        SELECT FROM numbered n WHERE n.layer = above AND n.key = t.key
          AND n.number NOT IN (SELECT number FROM gone));
    UPDATE slipstream.holding SET rows = (
        SELECT count(*) FROM slipstream.snapshot WHERE relation = asked AND layer = above)
    WHERE relation = asked AND layer = above;
END $$;
