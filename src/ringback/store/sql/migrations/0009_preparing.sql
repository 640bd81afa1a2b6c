-- What must be done before replicas can start, such as making an environment.

ALTER TABLE replicas ADD COLUMN preparing TEXT;
