-- Body of immich_ml.read_settings(store text) returns jsonb: reads the machine-learning keys of
-- Immich's configuration and nothing else. Names are looked up in pg_catalog only. Types of variables
-- are qualified, since PostgreSQL resolves them before the first statement runs.
--
-- Returns: { "row": "absent" or the JSON type of the whole row,
--            "values": { key: JSON text as it is stored },
--            "blocked": { key: path of a value that should be an object and is not } }
DECLARE
  known pg_catalog.jsonb := '{{settings_keys}}';
  own_tables pg_catalog.text[];
  touched pg_catalog.text;
  old_table_in_use pg_catalog.bool;
  document pg_catalog.jsonb;
  row_type pg_catalog.text;
  setting pg_catalog.text;
  path pg_catalog.text[];
  part pg_catalog.jsonb;
  content pg_catalog.text;
  answer pg_catalog.jsonb;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
{{check_store}}
  answer := '{"values": {}, "blocked": {}}';

  IF store = 'system_config' THEN
    FOR setting, content IN
      SELECT stored.key, stored.value FROM public.system_config AS stored
      WHERE known ? stored.key AND stored.value IS NOT NULL
    LOOP
      answer := jsonb_set(answer, ARRAY['values', setting], to_jsonb(content));
    END LOOP;
    RETURN answer || '{"row": "object"}';
  END IF;

  SELECT stored.value INTO document FROM public.system_metadata AS stored
  WHERE stored.key = 'system-config';
  row_type := coalesce(jsonb_typeof(document), 'absent');
  IF row_type = 'object' THEN
    FOR setting IN SELECT jsonb_object_keys(known) LOOP
      path := string_to_array(setting, '.');
      FOR depth IN 1 .. cardinality(path) LOOP
        part := document #> path[1:depth];
        EXIT WHEN part IS NULL;
        IF depth = cardinality(path) THEN
          answer := jsonb_set(answer, ARRAY['values', setting], to_jsonb(part::text));
        ELSIF jsonb_typeof(part) <> 'object' THEN
          answer := jsonb_set(answer, ARRAY['blocked', setting],
                              to_jsonb(array_to_string(path[1:depth], '.')));
          EXIT;
        END IF;
      END LOOP;
    END LOOP;
  END IF;
  RETURN answer || jsonb_build_object('row', row_type);
END;
