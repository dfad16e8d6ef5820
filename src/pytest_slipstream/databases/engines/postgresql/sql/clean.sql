-- The calls that finish a template, begin a slot and make it clean.
--
-- Each takes and returns a mark, which the client keeps: when the slot was last clean, which
-- advisory locks wider fixtures hold, and the digests of what no trigger sees.

CREATE FUNCTION slipstream.mark() RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object(
    'at', clock_timestamp(), 'unseen', slipstream.unseen(),
    'large_objects', slipstream.large_objects(),
    'locks', (SELECT coalesce(jsonb_agg(lock), '[]') FROM slipstream.advisory_locks())) $$;

-- Last step of a build.
CREATE FUNCTION slipstream.finish() RETURNS void LANGUAGE sql AS $$
SELECT slipstream.instrument();
SELECT slipstream.hold(0, slipstream.worth_holding(ARRAY(SELECT relation FROM slipstream.relation)));
INSERT INTO slipstream.position SELECT relation, 0, last_value, is_called FROM slipstream.sequence;
SELECT slipstream.hold_large_objects(0);
DELETE FROM slipstream.ddl;
DELETE FROM slipstream.change $$;

-- First step in a new slot. Unlogged tables are empty in a template that saw a crash: their rows
-- come back from the snapshot, which is logged.
CREATE FUNCTION slipstream.begin() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM slipstream.change;
    DELETE FROM slipstream.ddl;
    INSERT INTO slipstream.change
    SELECT h.relation FROM slipstream.holding h JOIN pg_class c ON c.oid = h.relation
    WHERE c.relpersistence = 'u';
    RETURN slipstream.mark();
END $$;

CREATE FUNCTION slipstream.clean(mark jsonb, everyone boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    since timestamptz := CASE WHEN everyone THEN '-infinity' ELSE (mark->>'at')::timestamptz END;
    leftovers jsonb := '[]';
    touched oid[];
    temporary int[];
    ddl text[];
    refreshed oid[];
    reason text;
    grown text[] := '{}';
    names text[] := '{}';
    t record;
BEGIN
    IF slipstream.has_sessions() THEN
        leftovers := slipstream.end_transactions(since)
                     || slipstream.end_lock_holders(since, mark->'locks');
    END IF;

    WITH gone AS (DELETE FROM slipstream.change RETURNING relation)
    SELECT array_agg(DISTINCT relation) INTO touched FROM gone;
    WITH gone AS (DELETE FROM slipstream.ddl RETURNING *)
    SELECT array_agg(DISTINCT pid) FILTER (
               WHERE g.temporary AND EXISTS (SELECT FROM pg_class WHERE oid = objid)),
           array_agg(rtrim(tag || ' ' || object)) FILTER (
               WHERE NOT g.temporary AND tag <> 'REFRESH MATERIALIZED VIEW'
                 AND NOT slipstream.only_restarts(tag, objid)),
           array_agg(DISTINCT objid) FILTER (WHERE tag = 'REFRESH MATERIALIZED VIEW')
    INTO temporary, ddl, refreshed FROM gone g;
    IF temporary IS NOT NULL THEN
        SELECT leftovers || coalesce(jsonb_agg(slipstream.end_session(a.pid, 'temporary table')), '[]')
        INTO leftovers FROM pg_stat_activity a WHERE a.pid = ANY (temporary);
    END IF;

    IF ddl IS NOT NULL THEN
        reason := ddl[1];
        names := ARRAY(SELECT name FROM slipstream.relation WHERE relation = ANY (touched) ORDER BY name);
    ELSIF mark->>'unseen' IS DISTINCT FROM slipstream.unseen() THEN
        reason := 'an event trigger, or a setting or right of the database itself, was changed';
    END IF;
    IF reason IS NOT NULL THEN
        RETURN jsonb_build_object('tables', names, 'ddl', coalesce(ddl, '{}'),
                                  'leftovers', leftovers, 'cannot', reason);
    END IF;

    IF touched IS NOT NULL THEN
        FOR t IN
            SELECT r.*, r.relation = ANY (touched) AS named, h.layer, h.rows
            FROM slipstream.relation r LEFT JOIN LATERAL (
                SELECT layer, rows FROM slipstream.holding
                WHERE holding.relation = r.relation ORDER BY layer DESC LIMIT 1) h ON true
            WHERE r.relation = ANY (touched) OR r.relation = ANY (slipstream.stored(touched))
            ORDER BY r.name
        LOOP
            IF t.named THEN
                names := names || t.name;
            END IF;
            IF t.obstacle IS NOT NULL THEN
                reason := format('%s was written to: %s', t.name, t.obstacle);
            ELSIF t.relation = ANY (t.members) THEN
                IF coalesce(t.rows, 0) > 0 THEN
                    PERFORM slipstream.restore(t.relation, t.target, t.columns, t.key, t.layer, t.rows);
                ELSE
                    EXECUTE 'DELETE FROM ONLY ' || t.target;
                END IF;
                IF pg_table_size(t.relation) > t.size_limit THEN
                    grown := grown || t.target;
                END IF;
            END IF;
        END LOOP;
        IF pg_relation_size('slipstream.change') > 32768 THEN
            grown := grown || ARRAY['slipstream.change', 'slipstream.ddl'];
        END IF;
    END IF;

    FOR t IN SELECT m.relation, s.name, s.caches, s.last_value, s.is_called
             FROM slipstream.moved() m JOIN slipstream.sequence s ON s.relation = m.relation LOOP
        PERFORM setval(t.relation::regclass, t.last_value, t.is_called);
        IF t.caches THEN
            reason := format('the sequence %s moved, and sessions cache its values', t.name);
        END IF;
    END LOOP;

    IF mark->>'large_objects' <> slipstream.large_objects() THEN
        PERFORM slipstream.restore_large_objects();
        mark := jsonb_set(mark, '{large_objects}', to_jsonb(slipstream.large_objects()));
        grown := grown || ARRAY(
            SELECT target FROM slipstream.relation
            WHERE relation = 'pg_largeobject'::regclass AND pg_table_size(relation) > size_limit);
    END IF;
    IF refreshed IS NOT NULL THEN
        PERFORM slipstream.refresh_materialized(refreshed);
    END IF;
    RETURN jsonb_build_object(
        'tables', names, 'leftovers', leftovers, 'cannot', reason, 'grown', grown,
        'mark', jsonb_set(mark, '{at}', to_jsonb(clock_timestamp())));
END $$;

CREATE FUNCTION slipstream.vacuumed(targets text[]) RETURNS void LANGUAGE sql AS $$
UPDATE slipstream.relation SET size_limit = 2 * pg_table_size(relation) + 65536
WHERE target = ANY (targets) $$;

CREATE FUNCTION slipstream.touched() RETURNS SETOF text LANGUAGE sql STABLE AS $$
SELECT name FROM slipstream.relation
WHERE relation IN (SELECT relation FROM slipstream.change) ORDER BY name $$;
