-- lifecycle/certify: never changed afterwards
insert into platform.certificates (tenant_id, slug, document, digest, issued_at)
values ($1, $2, $3, $4, $5)
on conflict do nothing
