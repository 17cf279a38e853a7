-- Masking, for one session. Every function gives null for null.

-- Another id with the same time, so that what was newer stays newer; the same for the same id.
create function pg_temp.other_id(id uuid) returns uuid language sql stable strict as $$
    select case when id = from_tenant then to_tenant
        else (substr(id::text, 1, 15) || substr(h, 1, 3) || '-' || substr(id::text, 20, 1) || substr(h, 4, 3) || '-' || substr(h, 7, 12))::uuid end
    from pg_temp.clone, lateral (select encode(sha256(convert_to(to_tenant::text || id::text, 'UTF8')), 'hex') as h) hashed
$$;

-- Ids of the tenant inside a text.
create function pg_temp.other_ids(given text) returns text language plpgsql stable strict as $$
declare
    one record;
begin
    if given !~* '[0-9a-f]{8}-[0-9a-f]{4}-' then
        return given;
    end if;
    for one in
        select distinct ids.id
        from regexp_matches(given, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'gi') as found(groups)
        join pg_temp.ids on ids.id = groups[1]::uuid
    loop
        given := regexp_replace(given, one.id::text, pg_temp.other_id(one.id)::text, 'gi');
    end loop;
    return given;
end
$$;

-- Letters become x, digits 0, all beyond ASCII x: its length in characters, its blanks and its punctuation stay.
create function pg_temp.masked(given text) returns text language sql immutable strict as $$
    select regexp_replace(
        translate(given, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
            repeat('X', 26) || repeat('x', 26) || repeat('0', 10)),
        '[^\u0001-\u007f]', 'x', 'g')
$$;

create function pg_temp.masked_texts(given jsonb, kept text[]) returns jsonb language plpgsql immutable strict as $$
begin
    return case jsonb_typeof(given)
        when 'string' then to_jsonb(pg_temp.masked(given #>> '{}'))
        when 'array' then (
            select coalesce(jsonb_agg(pg_temp.masked_texts(item, kept) order by n), '[]')
            from jsonb_array_elements(given) with ordinality as items(item, n))
        when 'object' then (
            select coalesce(jsonb_object_agg(name, case
                when name = any (kept) and jsonb_typeof(value) = 'string' then value
                else pg_temp.masked_texts(value, kept) end), '{}')
            from jsonb_each(given) as fields(name, value))
        else given
    end;
end
$$;

-- The same for the same, for as long as the session lasts.
create function pg_temp.pseudonym(given text) returns text language sql stable strict as $$
    select 'masked-' || substr(encode(sha256(convert_to(secret::text || given, 'UTF8')), 'hex'), 1, 20) from pg_temp.clone
$$;

-- The tenant's prefix becomes the clone's. Another prefix fails the clone: whose object would it be?
create function pg_temp.other_key(given text) returns text language plpgsql stable strict as $$
declare
    tenants record;
begin
    select from_tenant, to_tenant into tenants from pg_temp.clone;
    if not starts_with(given, tenants.from_tenant || '/') then
        raise exception 'an object lies under another prefix' using errcode = 'raise_exception';
    end if;
    return tenants.to_tenant || substr(given, 37);
end
$$;

-- It says what it is, keeps what was not masked, and no digest of what was.
create function pg_temp.masked_receipt(given jsonb) returns jsonb language sql stable strict as $$
    select pg_temp.other_ids((given - 'signed_by'
        || jsonb_build_object('masked', true, 'transcript', none, 'prompt', none, 'raw_answer', none, 'answers', none,
            'prompt_note', pg_temp.masked(given ->> 'prompt_note'))
        || case when jsonb_typeof(given -> 'about') = 'object' then
               jsonb_build_object('about', (given -> 'about') || jsonb_build_object('audio', null, 'redaction', none, 'metrics', none)
                   || case when given -> 'about' ->> 'human_answers' is null then '{}' else jsonb_build_object('human_answers', none) end)
           else '{}' end
        || case when jsonb_typeof(given -> 'scoring') = 'object' then
               jsonb_build_object('scoring', (given -> 'scoring') || jsonb_build_object('input', none, 'scores', none, 'insights', none)
                   || case when given -> 'scoring' ->> 'note' is null then '{}' else jsonb_build_object('note', none) end)
           else '{}' end)::text)::jsonb
    from (select repeat('0', 64) as none) nothing
$$;
