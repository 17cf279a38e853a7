-- lifecycle/find_certificate: what was destroyed of a tenant
select document, digest, issued_at
from platform.certificates
where tenant_id = $1
