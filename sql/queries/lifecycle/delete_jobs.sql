-- lifecycle/delete_jobs: all work of a tenant; an attempt that runs finds its lease lost
delete from platform.jobs
where tenant_id = $1
