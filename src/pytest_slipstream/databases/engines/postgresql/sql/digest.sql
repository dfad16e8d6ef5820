-- The catalogue for the audit: each object to a digest of its definition, without object ids and
-- without what is slipstream's own. Columns are (key, digest).
WITH user_namespace AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema', '_slipstream')
      AND nspname NOT LIKE 'pg\_toast%' AND nspname NOT LIKE 'pg\_temp%'
), relation AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN user_namespace n ON n.oid = c.relnamespace
), object (key, definition) AS (
    SELECT 'schema ' || nspname, concat_ws(' ', nspowner::regrole, nspacl)
    FROM pg_namespace WHERE oid IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT 'relation ' || name,
           concat_ws(' ', relkind, relowner::regrole, relacl, relpersistence, relrowsecurity,
                     relforcerowsecurity, relreplident, reloptions, relispopulated, relispartition,
                     pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid), reloftype::regtype,
                     (SELECT string_agg(inhparent::regclass::text, ',' ORDER BY inhseqno)
                      FROM pg_inherits WHERE inhrelid = relation.oid),
                     (SELECT amname FROM pg_am WHERE pg_am.oid = relam))
    FROM relation
    UNION ALL
    SELECT 'columns of ' || name, string_agg(
        concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                  a.attgenerated, a.attacl, a.attcollation::regcollation, a.attstorage,
                  a.attcompression, a.attoptions, a.attislocal, a.attinhcount,
                  pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attnum)
    FROM relation JOIN pg_attribute a ON a.attrelid = relation.oid
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY name
    UNION ALL
    SELECT 'view ' || name, pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
    UNION ALL
    -- Which index CLUSTER used last is left out, like the order of rows that it made.
    SELECT 'index ' || name, concat_ws(' ', pg_get_indexdef(oid), i.indisvalid, i.indisreplident)
    FROM relation JOIN pg_index i ON i.indexrelid = relation.oid
    UNION ALL
    SELECT 'sequence ' || name,
           concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin,
                     seqcache, seqcycle,
                     (SELECT string_agg(pg_describe_object(refclassid, refobjid, refobjsubid), ',')
                      FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = seqrelid
                        AND deptype IN ('a', 'i')))
    FROM relation JOIN pg_sequence s ON s.seqrelid = relation.oid
    UNION ALL
    SELECT format('constraint %s on %s', conname,
                  coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text)),
           concat_ws(' ', pg_get_constraintdef(oid), convalidated, condeferrable, condeferred,
                     coninhcount)
    FROM pg_constraint WHERE connamespace IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT format('trigger %s on %s', tgname, name),
           concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
    FROM relation JOIN pg_trigger t ON t.tgrelid = relation.oid
    WHERE NOT tgisinternal AND tgname <> 'slipstream_change'
    UNION ALL
    -- The triggers that enforce a foreign key can be switched off one by one.
    SELECT 'internal triggers of ' || name, string_agg(tgenabled, '' ORDER BY tgenabled)
    FROM relation JOIN pg_trigger t ON t.tgrelid = relation.oid WHERE tgisinternal GROUP BY name
    UNION ALL
    SELECT format('rule %s on %s', rulename, name), concat_ws(' ', pg_get_ruledef(r.oid), ev_enabled)
    FROM relation JOIN pg_rewrite r ON r.ev_class = relation.oid
    UNION ALL
    SELECT format('policy %s on %s', polname, name),
           concat_ws(' ', polcmd, polpermissive, polroles::regrole[],
                     pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    FROM relation JOIN pg_policy p ON p.polrelid = relation.oid
    UNION ALL
    SELECT 'statistics ' || stxname, pg_get_statisticsobjdef(oid)
    FROM pg_statistic_ext WHERE stxnamespace IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure,
           concat_ws(' ', proowner::regrole, proacl,
                     CASE WHEN prokind <> 'a' THEN pg_get_functiondef(p.oid) END)
    FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT 'type ' || format('%I.%I', n.nspname, t.typname),
           concat_ws(' ', typtype, typowner::regrole, typacl, typnotnull, typdefault,
                     format_type(nullif(typbasetype, 0), typtypmod),
                     (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder)
                      FROM pg_enum WHERE enumtypid = t.oid),
                     (SELECT concat_ws(' ', rngsubtype::regtype, rngsubdiff)
                      FROM pg_range WHERE rngtypid = t.oid))
    FROM pg_type t JOIN user_namespace n ON n.oid = t.typnamespace
    UNION ALL
    SELECT 'operator ' || oid::regoperator,
           concat_ws(' ', oprowner::regrole, oprcode, oprcom::regoperator, oprnegate::regoperator)
    FROM pg_operator WHERE oprnamespace IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT 'cast ' || pg_describe_object('pg_cast'::regclass, oid, 0), castcontext::text
    FROM pg_cast WHERE oid >= 16384
    UNION ALL
    SELECT 'collation ' || collname, concat_ws(' ', collowner::regrole, collcollate, collctype)
    FROM pg_collation WHERE collnamespace IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT 'text search configuration ' || cfgname, cfgowner::regrole::text
    FROM pg_ts_config WHERE cfgnamespace IN (SELECT oid FROM user_namespace)
    UNION ALL
    SELECT 'extension ' || extname, concat_ws(' ', extversion, extowner::regrole, extnamespace::regnamespace)
    FROM pg_extension
    UNION ALL
    SELECT 'language ' || lanname, concat_ws(' ', lanowner::regrole, lanacl) FROM pg_language
    UNION ALL
    SELECT 'publication ' || pubname,
           concat_ws(' ', pubowner::regrole, puballtables, pubinsert, pubupdate, pubdelete,
                     (SELECT string_agg(prrelid::regclass::text, ',' ORDER BY prrelid::regclass::text)
                      FROM pg_publication_rel WHERE prpubid = p.oid))
    FROM pg_publication p
    UNION ALL
    SELECT 'foreign server ' || srvname, concat_ws(' ', srvowner::regrole, srvacl, srvoptions)
    FROM pg_foreign_server
    UNION ALL
    SELECT 'event trigger ' || evtname,
           concat_ws(' ', evtevent, evtowner::regrole, evtfoid::regproc, evtenabled, evttags)
    FROM pg_event_trigger
    UNION ALL
    SELECT 'comment on ' || pg_describe_object(classoid, objoid, objsubid), description
    FROM pg_description WHERE objoid >= 16384
    UNION ALL
    SELECT concat_ws(' ', 'default privileges', defaclrole::regrole, defaclnamespace::regnamespace,
                     defaclobjtype), defaclacl::text
    FROM pg_default_acl
    UNION ALL
    SELECT 'large object ' || oid, concat_ws(' ', lomowner::regrole, lomacl, md5(lo_get(oid)))
    FROM pg_largeobject_metadata
    UNION ALL
    SELECT 'settings of the database for role ' || setrole::regrole, setconfig::text
    FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL
    SELECT 'database', concat_ws(' ', datdba::regrole, datacl, datconnlimit)
    FROM pg_database WHERE datname = current_database()
)
SELECT key, md5(string_agg(coalesce(definition, ''), E'\n' ORDER BY definition))
FROM object WHERE key NOT LIKE '%_slipstream.%' GROUP BY key
