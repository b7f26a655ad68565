  -- checkStore.sql: does Immich keep its configuration in that table? Up to release 1.105 it is in
  -- system_config, from 1.106 in system_metadata; 1.106 to 1.131 leave an empty system_config behind.
  IF store NOT IN ('system_metadata', 'system_config') THEN
    RAISE EXCEPTION 'store must be system_metadata or system_config, not %', store
      USING ERRCODE = 'IML01';
  END IF;
  IF to_regclass('public.' || store) IS NULL THEN
    RAISE EXCEPTION 'this database has no table %: it is not Immich''s, Immich was never started, or immich.version does not fit (system_config up to v1.105, system_metadata from v1.106)', store
      USING ERRCODE = 'IML01';
  END IF;
  own_tables := ARRAY({{own_tables}});
  FOREACH touched IN ARRAY ARRAY[store, 'smart_search'] LOOP
    IF to_regclass('public.' || touched) IS NOT NULL AND touched <> ALL (own_tables) THEN
      RAISE EXCEPTION 'public.% is not touched: it is no plain table of user %, of the database''s owner or of a superuser. Connect as the user that Immich has; if it is not Immich''s, remove it', touched, current_user
        USING ERRCODE = 'IML01';
    END IF;
  END LOOP;
  IF store = 'system_metadata' AND 'system_config' = ANY (own_tables) THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM public.system_config)' INTO old_table_in_use;
    IF old_table_in_use THEN
      RAISE EXCEPTION 'this Immich keeps its settings in system_config: it is older than v1.106, immich.version does not fit'
        USING ERRCODE = 'IML01';
    END IF;
  END IF;
