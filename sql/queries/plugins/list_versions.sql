-- plugins/list_versions: newest first, after a position (of a digest its first half), and whether an organization of $2 uses each
select v.digest, v.name, v.version, v.world, v.summary, v.size_bytes, v.object_key, v.settings_schema, v.manifest,
    null::jsonb as report, v.uploaded_by, v.created_at,
    exists (
        select from tenant.plugin_bindings b
        where b.digest = v.digest
          and b.organization_id = any ($2)
          and b.ended_at is null
    ) as is_bound
from tenant.plugin_versions v
where v.organization_id = $1
  and ($3::text is null or v.world = $3)
  and ($4::text is null or v.name = $4)
  and (v.created_at, left(v.digest, 32))
      < (coalesce($5::timestamptz, 'infinity'), coalesce(replace($6::uuid::text, '-', ''), 'g'))
order by v.created_at desc, v.digest desc
limit $7
