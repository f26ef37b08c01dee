"""One kind of task a file: what its networks are fed, and how a user's samples become that."""
