-- What sessions leave behind: transactions, advisory locks. It is ended and told.

CREATE FUNCTION slipstream.end_session(ended int, what text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
BEGIN
    SELECT jsonb_build_object('kind', what, 'detail', format(
        'pid %s%s%s, %s; last statement: %s', a.pid,
        coalesce(', application ' || nullif(a.application_name, ''), ''),
        coalesce(', user ' || a.usename, ''), a.state,
        left(regexp_replace(a.query, '\s+', ' ', 'g'), 200)))
    INTO found FROM pg_stat_activity a WHERE a.pid = ended;
    PERFORM pg_terminate_backend(ended, 5000);
    RETURN found;
END $$;

-- Ends transactions that began after `since`, after a moment in which they may end by themselves:
-- 10 ms for one that waits for its client, 250 ms for one that executes a statement.
CREATE FUNCTION slipstream.end_transactions(since timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    working int;
    present int;
    start timestamptz;
    ended jsonb := '[]';
BEGIN
    LOOP
        SELECT count(*), count(*) FILTER (WHERE state = 'active') INTO present, working
        FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
          AND a.xact_start > since AND a.backend_type = 'client backend';
        IF present = 0 THEN
            RETURN ended;
        END IF;
        start := coalesce(start, clock_timestamp());
        EXIT WHEN clock_timestamp() - start
                  > CASE WHEN working > 0 THEN interval '250 ms' ELSE interval '10 ms' END;
        PERFORM pg_sleep(0.002), pg_stat_clear_snapshot();
    END LOOP;
    SELECT jsonb_agg(slipstream.end_session(a.pid, 'transaction')) INTO ended
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND a.xact_start > since AND a.backend_type = 'client backend';
    RETURN coalesce(ended, '[]');
END $$;

CREATE FUNCTION slipstream.advisory_locks() RETURNS TABLE (pid int, lock text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT l.pid, concat_ws(':', l.pid, l.classid, l.objid, l.objsubid, l.mode)
    FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
      AND d.datname = current_database();
END $$;

CREATE FUNCTION slipstream.end_lock_holders(since timestamptz, kept jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(slipstream.end_session(h.pid, 'advisory lock')), '[]')
        FROM (SELECT DISTINCT l.pid FROM slipstream.advisory_locks() l
              LEFT JOIN pg_stat_activity a ON a.pid = l.pid
              WHERE NOT kept ? l.lock AND (a.xact_start IS NULL OR a.xact_start > since)) h);
END $$;

CREATE FUNCTION slipstream.has_sessions() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid());
END $$;
