"""Databases of their own, on the server that all tests share."""

from uuid import uuid4

import psycopg


def new_database(conninfo: str, options: str = "") -> str:
    """Where an empty one is, beside the one that is given."""
    name = f"own_{uuid4().hex}"
    with psycopg.connect(conninfo, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} {options}")
    return conninfo.replace("dbname=postgres", f"dbname={name}")
