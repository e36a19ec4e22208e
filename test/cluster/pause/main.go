// Command pause is the process of a pod's sandbox container: it holds the pod's namespaces and does nothing else.
//
// As pid 1 of a pod that shares its process namespace it also has to reap orphans, and to leave on SIGTERM (pid 1 gets no
// default signal handlers).
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range c {
		if s != syscall.SIGCHLD {
			os.Exit(0)
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
