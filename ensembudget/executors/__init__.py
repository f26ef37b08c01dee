"""Where jobs are trained, one executor a file; members do not depend on which."""
