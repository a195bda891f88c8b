"""What all contenders' gunicorns have in common; gunicorn reads it from its working folder."""

workers = 1
loglevel = "warning"
control_socket_disable = True  # gunicorn 25 and later; older ones pass over it. All would share one path
