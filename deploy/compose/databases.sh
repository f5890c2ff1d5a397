#!/bin/sh
# Run once by the postgres image on an empty data folder: a role and a database per service, none of them a superuser.
set -eu
for service in intake eligibility matching disbursement notification onecard; do
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set service="$service" --set password="$LIANGBU_DATABASE_PASSWORD" <<-'SQL'
	CREATE ROLE :"service" LOGIN PASSWORD :'password';
	CREATE DATABASE :"service" OWNER :"service";
	SQL
done
