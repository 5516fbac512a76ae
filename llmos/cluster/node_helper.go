// What a real node needs beside the programs of Kubernetes: the process that holds a pod's namespaces (`pause`), and a
// relay from an address of the node's own network to a listener on loopback (`relay FROM TO`).
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "relay":
		relay(os.Args[2], os.Args[3])
	case len(os.Args) == 2 && os.Args[1] == "pause":
		pause()
	default:
		fmt.Fprintln(os.Stderr, "usage: pause | relay FROM TO")
		os.Exit(2)
	}
}

// As process 1 of a shared process namespace it inherits orphans, and has to reap them.
func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func relay(from, to string) {
	listener, err := net.Listen("tcp", from)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		near, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go carry(near.(*net.TCPConn), to)
	}
}

func carry(near *net.TCPConn, to string) {
	defer near.Close()
	dialled, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	far := dialled.(*net.TCPConn)
	defer far.Close()
	done := make(chan struct{}, 2)
	copyHalf := func(target, source *net.TCPConn) {
		io.Copy(target, source)
		target.CloseWrite()
		done <- struct{}{}
	}
	go copyHalf(far, near)
	go copyHalf(near, far)
	<-done
	<-done
}
