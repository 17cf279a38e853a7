-- lifecycle/delete_uploads: a recording on its way becomes no call's any more
delete from platform.uploads
where tenant_id = $1
