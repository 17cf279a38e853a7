-- calls/end_upload: the object belongs to a call, or is gone
delete from platform.uploads where object_key = $1
