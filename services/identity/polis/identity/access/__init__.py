"""What an org is divided into and who may do what there: units, keys, roles, grants, quotas."""
