-- isolation/object_keys: keys of stored objects that these organizations have, and those that are not below the tenant's prefix
select count(*) as recorded, count(*) filter (where not starts_with(object_key, $2)) as outside
from (
    select object_key from tenant.audio_files where organization_id = any ($1)
    union all
    select object_key from tenant.plugin_versions where organization_id = any ($1)
) keys
