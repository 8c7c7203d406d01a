-- The first start of Postgres makes the database of the answers; Dagster's instance is another one.
CREATE DATABASE dagster OWNER backlinks;
