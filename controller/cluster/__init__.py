"""Inside a cluster: the only room of kopf and kubernetes."""
