-- Body of immich_ml.write_settings(store text, changes jsonb, options jsonb) returns jsonb: changes
-- machine-learning keys of Immich's configuration, all of them or none. About names and types see
-- readSettings.sql.
--
-- changes: [ { "key": …, "value": JSON text }                    sets the key
--            { "key": …, "remove": n }                            removes it, and its parents from the
--                                                                 n-th on if that leaves them empty
--            … and with "expected": [JSON text or null, …]        only if the key holds one of these
--                                                                 (null: the key is absent) ]
-- options: { "drop_empty_row": true                               removes a row that ends up as {}
--            "clear_embeddings": { "default": model name } }      empties smart_search if the CLIP
--                                                                 model changes
-- Returns: { "before": { key: { "value": JSON text } or { "missing_from": n } }, "row": as read_settings,
--            "skipped": { key: JSON text or null }, "cleared": number of embeddings or null }
DECLARE
  known pg_catalog.jsonb := '{{settings_keys}}';
  own_tables pg_catalog.text[];
  touched pg_catalog.text;
  old_table_in_use pg_catalog.bool;
  document pg_catalog.jsonb;
  old_document pg_catalog.jsonb;
  change pg_catalog.jsonb;
  rule pg_catalog.jsonb;
  setting pg_catalog.text;
  path pg_catalog.text[];
  part pg_catalog.jsonb;
  wanted pg_catalog.jsonb;
  current_value pg_catalog.text;
  missing_from pg_catalog.int4;
  blocked pg_catalog.text;
  fits pg_catalog.bool;
  row_type pg_catalog.text;
  old_model pg_catalog.text;
  new_model pg_catalog.text;
  cleared pg_catalog.int8;
  removed pg_catalog.jsonb;
  answer pg_catalog.jsonb;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM set_config('lock_timeout', '15s', true);
  -- One writer of this schema at a time: "immich_ml" in ASCII, cut to 8 bytes.
  PERFORM pg_advisory_xact_lock(x'696d6d6963685f6d'::bigint);
{{check_store}}
  answer := '{"before": {}, "skipped": {}}';
  removed := '[]';

  IF store = 'system_metadata' THEN
    SELECT stored.value INTO document FROM public.system_metadata AS stored
    WHERE stored.key = 'system-config' FOR UPDATE;
    row_type := coalesce(jsonb_typeof(document), 'absent');
    IF document IS NULL AND changes @? '$[*].value' THEN
      INSERT INTO public.system_metadata (key, value) VALUES ('system-config', '{}')
      ON CONFLICT DO NOTHING;
      -- Immich may have written the row in between.
      SELECT stored.value INTO document FROM public.system_metadata AS stored
      WHERE stored.key = 'system-config' FOR UPDATE;
      IF document <> '{}' THEN
        row_type := jsonb_typeof(document);
      END IF;
    END IF;
  ELSE
    row_type := 'object';
    PERFORM FROM public.system_config AS stored WHERE known ? stored.key FOR UPDATE;
    SELECT coalesce(jsonb_object_agg(stored.key, stored.value), '{}') INTO document
    FROM public.system_config AS stored WHERE known ? stored.key AND stored.value IS NOT NULL;
  END IF;
  old_document := document;

  FOR change IN SELECT jsonb_array_elements(changes) LOOP
    setting := change ->> 'key';
    rule := known -> setting;
    IF rule IS NULL THEN
      RAISE EXCEPTION 'the key % is not one of those that may be changed', setting USING ERRCODE = 'IML01';
    END IF;

    IF change ? 'value' THEN
      wanted := (change ->> 'value')::jsonb;
      fits := CASE rule ->> 'type'
        WHEN 'boolean' THEN jsonb_typeof(wanted) = 'boolean'
        WHEN 'string' THEN jsonb_typeof(wanted) = 'string' AND wanted <> '""'
        WHEN 'strings' THEN jsonb_typeof(wanted) = 'array' AND jsonb_array_length(wanted) > 0
          AND NOT wanted @? '$[*] ? (@.type() != "string" || @ == "")'
        ELSE jsonb_typeof(wanted) = 'number' END;
      IF fits AND rule ->> 'type' IN ('integer', 'number') THEN
        fits := (rule ->> 'type' = 'number' OR mod(wanted::numeric, 1) = 0)
          AND wanted::numeric >= coalesce((rule ->> 'minimum')::numeric, wanted::numeric)
          AND wanted::numeric <= coalesce((rule ->> 'maximum')::numeric, wanted::numeric);
      END IF;
      IF NOT fits THEN
        RAISE EXCEPTION 'the value % is not allowed for %: %', wanted, setting, rule USING ERRCODE = 'IML01';
      END IF;
    ELSE
      wanted := NULL;
    END IF;

    -- The key holds a value, is missing from some depth on, or has a parent that is no object.
    path := CASE store WHEN 'system_config' THEN ARRAY[setting] ELSE string_to_array(setting, '.') END;
    current_value := NULL;
    missing_from := NULL;
    blocked := NULL;
    IF row_type NOT IN ('object', 'absent') THEN
      blocked := 'the whole row';
    ELSE
      FOR depth IN 1 .. cardinality(path) LOOP
        part := old_document #> path[1:depth];
        IF part IS NULL THEN
          missing_from := depth;
          EXIT;
        ELSIF depth = cardinality(path) THEN
          current_value := CASE store WHEN 'system_config' THEN part #>> '{}' ELSE part::text END;
        ELSIF jsonb_typeof(part) <> 'object' THEN
          blocked := array_to_string(path[1:depth], '.');
          EXIT;
        END IF;
      END LOOP;
    END IF;

    IF blocked IS NOT NULL AND NOT change ? 'expected' THEN
      RAISE EXCEPTION 'Immich''s configuration is damaged: % is no object; nothing was changed', blocked
        USING ERRCODE = 'IML02',
        HINT = CASE blocked
          WHEN 'the whole row' THEN
            'Immich runs on its defaults. Look at it, then: DELETE FROM system_metadata WHERE key = ''system-config'';'
          ELSE format('Look at it, then: UPDATE system_metadata SET value = value #- %L WHERE key = ''system-config'';',
            '{' || replace(blocked, '.', ',') || '}') END;
    END IF;
    -- Compare as JSON: two spellings of one value are the same.
    IF change ? 'expected' AND (blocked IS NOT NULL OR NOT EXISTS (
      SELECT FROM jsonb_array_elements(change -> 'expected') AS expected(item)
      WHERE CASE WHEN current_value IS NULL THEN expected.item = 'null'
        WHEN expected.item = 'null' THEN false
        WHEN store = 'system_config' THEN expected.item #>> '{}' = current_value
        ELSE (expected.item #>> '{}')::jsonb = current_value::jsonb END))
    THEN
      answer := jsonb_set(answer, ARRAY['skipped', setting], coalesce(to_jsonb(current_value), 'null'));
      CONTINUE;
    END IF;

    answer := jsonb_set(answer, ARRAY['before', setting], CASE
      WHEN current_value IS NULL THEN jsonb_build_object('missing_from', missing_from)
      ELSE jsonb_build_object('value', current_value) END);

    IF wanted IS NOT NULL THEN
      IF document IS NULL THEN
        document := '{}';
      END IF;
      FOR depth IN 1 .. cardinality(path) - 1 LOOP
        IF document #> path[1:depth] IS NULL THEN
          document := jsonb_set(document, path[1:depth], '{}');
        END IF;
      END LOOP;
      document := jsonb_set(document, path,
        CASE store WHEN 'system_config' THEN change -> 'value' ELSE wanted END);
    ELSE
      document := document #- path;
      removed := removed || change;
    END IF;
  END LOOP;

  -- Remove emptied parents, the deepest first, since that may empty their own parents.
  IF store = 'system_metadata' THEN
    FOR change IN
      SELECT item FROM jsonb_array_elements(removed) AS item ORDER BY (item ->> 'remove')::int DESC
    LOOP
      path := string_to_array(change ->> 'key', '.');
      FOR depth IN REVERSE cardinality(path) - 1 .. (change ->> 'remove')::int LOOP
        EXIT WHEN document #> path[1:depth] <> '{}';
        document := document #- path[1:depth];
      END LOOP;
    END LOOP;
  END IF;

  IF store = 'system_config' THEN
    DELETE FROM public.system_config AS stored
    WHERE known ? stored.key AND old_document ? stored.key AND NOT document ? stored.key;
    INSERT INTO public.system_config AS stored (key, value)
    SELECT item.key, item.value FROM jsonb_each_text(document) AS item
    WHERE (old_document -> item.key) IS DISTINCT FROM (document -> item.key)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value;
  ELSIF document = '{}' AND options @> '{"drop_empty_row": true}' THEN
    DELETE FROM public.system_metadata AS stored WHERE stored.key = 'system-config';
  ELSIF document IS DISTINCT FROM old_document THEN
    UPDATE public.system_metadata AS stored SET value = document WHERE stored.key = 'system-config';
  END IF;

  IF options ? 'clear_embeddings' AND to_regclass('public.smart_search') IS NOT NULL THEN
    IF store = 'system_config' THEN
      old_model := trim(BOTH '"' FROM old_document ->> 'machineLearning.clip.modelName');
      new_model := trim(BOTH '"' FROM document ->> 'machineLearning.clip.modelName');
    ELSE
      old_model := old_document #>> '{machineLearning,clip,modelName}';
      new_model := document #>> '{machineLearning,clip,modelName}';
    END IF;
    -- Immich identifies a model by what follows the last slash, with _ for each colon.
    old_model := replace(regexp_replace(coalesce(old_model, options #>> '{clear_embeddings,default}'), '^.*/', ''), ':', '_');
    new_model := replace(regexp_replace(coalesce(new_model, options #>> '{clear_embeddings,default}'), '^.*/', ''), ':', '_');
    IF old_model <> new_model THEN
      DELETE FROM public.smart_search;
      GET DIAGNOSTICS cleared = ROW_COUNT;
    END IF;
  END IF;
  RETURN answer || jsonb_build_object('row', row_type, 'cleared', cleared);
END;
