-- An approval that was given by way of a grant stands for as long as the grant at the most.

alter table runtime.approvals add column expires_at timestamptz;
