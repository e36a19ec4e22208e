module sidegate-cluster/pause

go 1.24
