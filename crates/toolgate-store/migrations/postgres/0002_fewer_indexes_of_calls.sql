-- Every index is written for every call, and most calls name no end user, many no team or user: those are left out. Calls of
-- one server are found by their time.
DROP INDEX spend_logs_server;
DROP INDEX spend_logs_team;
DROP INDEX spend_logs_user;
DROP INDEX spend_logs_end_user;
CREATE INDEX spend_logs_team ON spend_logs (team_id, start_time) WHERE team_id IS NOT NULL;
CREATE INDEX spend_logs_user ON spend_logs (user_id, start_time) WHERE user_id IS NOT NULL;
CREATE INDEX spend_logs_end_user ON spend_logs (end_user, start_time) WHERE end_user IS NOT NULL;
