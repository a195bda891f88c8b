"""The servers of one lab process: PostgreSQL and Toxiproxy, their ports, their folder and their guardian."""
