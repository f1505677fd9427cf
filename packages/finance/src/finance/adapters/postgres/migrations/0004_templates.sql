-- A scheduler asks for the templates of all companies at every turn, and they are few among the events: without this it
-- would read the whole log each time, and run into its time-out as the log grows. Writers wait while it is built, once.
CREATE INDEX events_of_templates ON finance_log.events (tenant_id, stream_id, version) WHERE kind = 'template';
