-- calls/touch_upload: an object is still on its way, and the sweep leaves it
update platform.uploads
set started_at = $2
where object_key = $1
