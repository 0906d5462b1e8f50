#!/usr/bin/env bash
# Creates the databases `airflow` and `loyalty`, each owned by the role of its name, and the roles that use `loyalty`.
#
# The postgres image runs this once, on an empty volume. It may be run again at any time, also against another server
# (PGHOST, PGPORT and PGPASSWORD are honoured): what exists stays, the passwords become those of the environment.
set -euo pipefail

: "${AIRFLOW_DB_PASSWORD:?is the password that the role airflow is to have}"
: "${LOYALTY_DB_PASSWORD:?is the password that the role loyalty is to have}"
: "${LOYALTY_JOURNEYS_PASSWORD:?is the password that the role loyalty_journeys is to have}"
: "${LOYALTY_INGEST_PASSWORD:?is the password that the role loyalty_ingest is to have}"
: "${LOYALTY_READER_PASSWORD:?is the password that the role loyalty_reader is to have}"
export AIRFLOW_DB_PASSWORD LOYALTY_DB_PASSWORD LOYALTY_JOURNEYS_PASSWORD LOYALTY_INGEST_PASSWORD LOYALTY_READER_PASSWORD

# \getenv (psql 14 and later) keeps the passwords out of the list of processes.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv loyalty_password LOYALTY_DB_PASSWORD
\getenv journeys_password LOYALTY_JOURNEYS_PASSWORD
\getenv ingest_password LOYALTY_INGEST_PASSWORD
\getenv reader_password LOYALTY_READER_PASSWORD
select set_config('log_statement', 'none', false) from pg_roles where rolname = current_user and rolsuper \g /dev/null

select format('create role %I login', name)
  from unnest(array['airflow', 'loyalty', 'loyalty_journeys', 'loyalty_ingest', 'loyalty_reader']) as wanted(name)
 where not exists (select from pg_roles where rolname = name) \gexec

alter role airflow with login password :'airflow_password';
alter role loyalty with login password :'loyalty_password';
alter role loyalty_journeys with login password :'journeys_password';
alter role loyalty_ingest with login password :'ingest_password';
alter role loyalty_reader with login password :'reader_password';

-- The server's administrator need not be a superuser: to give a database away one must belong to its new owner.
select format('grant %I to current_user', name)
  from unnest(array['airflow', 'loyalty']) as wanted(name)
 where not pg_has_role(current_user, name, 'member') \gexec

select format('create database %I owner %I encoding ''UTF8'' template template0', name, name)
  from unnest(array['airflow', 'loyalty']) as wanted(name)
 where not exists (select from pg_database where datname = name) \gexec

revoke all on database airflow from public;
revoke all on database loyalty from public;
SQL
